/** What a program writes to a pipe: values wherever the pieces are cut, how long a tail waits, what stands instead. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { detectorNames } from '../../../../src/masking/detectors/catalog.ts';
import { plants } from '../../../masking/planted.ts';
import { masked, maskingOf, Stream } from './streams.ts';

const card = '4111111111111111';
const everything = maskingOf(detectorNames);
const stars = (bytes: Buffer, start: number, end: number): string => {
  const text = bytes.toString('latin1');
  return text.slice(0, start) + '*'.repeat(end - start) + text.slice(end);
};

test('every value, split at every place, is masked and nothing else is', () => {
  for (const { detector, text, start, end } of plants) {
    // a key without a footer goes on to the end of the text
    const bytes = Buffer.concat([Buffer.from('see '), text, Buffer.from('"\n')]);
    const expected = stars(bytes, start + 4, end + 4);
    for (let cut = 1; cut < bytes.length; cut++) {
      const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)];
      const got = masked(pieces, { masking: everything });
      if (detector === 'private-key') assert.equal(got.slice(0, end + 4), expected.slice(0, end + 4));
      else assert.equal(got, expected, `${detector} cut at ${cut}`);
    }
  }
});

test('what is decided is delivered at once and in order; a tail waits', () => {
  const stream = new Stream();
  stream.push('total ');
  assert.deepEqual([stream.text, stream.waits], ['total ', false]);
  stream.push('41');
  assert.deepEqual([stream.text, stream.waits], ['total ', true]);
  stream.push(' files\n');
  assert.deepEqual([stream.text, stream.waits], ['total 41 files\n', false]);
  stream.push(`${card}`).push('\n');
  assert.equal(stream.text, `total 41 files\n${'*'.repeat(16)}\n`);
});

test('a tail waits 20 ms from when its oldest byte came, however often something follows', () => {
  const stream = new Stream();
  stream.push('41').pass(19);
  assert.equal(stream.text, '');
  stream.push('11').pass(1);
  assert.deepEqual([stream.text, stream.waits], ['4111', false]);
  stream.push('a 5').pass(19).push(' b 6').pass(19);
  assert.equal(stream.text, '4111a 5 b ', 'the clock began anew with the new tail');
  stream.pass(1);
  assert.equal(stream.text, '4111a 5 b 6');
});

test('after the wait: masked if it is a finding already, delivered if not, and the rest is masked with what came before', () => {
  assert.equal(new Stream().push(card).pass(20).text, '*'.repeat(16));
  const stream = new Stream();
  stream.push('4111111').pass(20).push('1111').pass(20).push('11111').pass(20).push('\n');
  assert.equal(stream.end(), `41111111111${'*'.repeat(5)}\n`);
  assert.deepEqual(stream.redactions, [
    { place: { row: -1, column: -1, offset: 11, length: 5, stream: 'output' }, original: '11111' },
  ]);
});

test('a program that writes byte by byte without pauses shows nothing', () => {
  const stream = new Stream();
  for (const char of `pay ${card} now\n`) stream.push(char).pass(1);
  assert.equal(stream.end(), `pay ${'*'.repeat(16)} now\n`);
});

test('the end decides: no more follows', () => {
  assert.equal(masked([`${card}`]), '*'.repeat(16));
  assert.equal(masked(['4111']), '4111');
  assert.equal(masked(['']), '');
  assert.equal(new Stream().end(), '');
});

test('places count from the beginning of the stream, before masking; each original is told once', () => {
  for (const mode of ['redact', 'hash'] as const) {
    const stream = new Stream({ mode, stream: 'error-output' });
    const filler = 'lorem ipsum dolor sit amet\n'.repeat(5000);
    stream.push(`${filler}${card}\n${filler}`).push(`${card}\n`);
    stream.end();
    assert.deepEqual(
      stream.redactions.map(({ place, original }) => [place.stream, place.offset, original]),
      [
        ['error-output', filler.length, card],
        ['error-output', 2 * filler.length + card.length + 1, card],
      ],
    );
  }
});

test('modes: what changes the length does so in a pipe; null leaves stars; of a value in pieces each is starred', () => {
  const text = [`a 4111 1111 11`, `11 1111 b ${card}.\n`];
  assert.equal(masked(text, { mode: 'redact' }), `a ${'*'.repeat(19)} b ${'*'.repeat(16)}.\n`);
  assert.equal(masked(text, { mode: 'partial' }), `a ${'*'.repeat(15)}1111 b ${'*'.repeat(12)}1111.\n`);
  assert.equal(masked(text, { mode: 'null' }), `a ${'*'.repeat(19)} b ${'*'.repeat(16)}.\n`);
  assert.equal(masked(text, { mode: 'fixed' }), 'a masked b masked.\n');
  assert.match(masked(text, { mode: 'hash' }), /^a [a-z2-7]{26} b [a-z2-7]{26}\.\n$/);
  const split = new Stream({ mode: 'hash' }).push('a 4111 1111 ').pass(20).push('1111 1111 b');
  assert.equal(split.end(), `a 4111 1111 ${'*'.repeat(9)} b`);
});

test('binary: bytes outside of findings stay as they are', () => {
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 31) % 251));
  const output = new Stream({ masking: maskingOf(['card']) }).push(bytes);
  output.end();
  assert.ok(Buffer.concat(output.delivered).equals(bytes));
});

test('a private key of any length is masked while it goes by, and not what follows it', () => {
  const key = `-----BEGIN RSA PRIVATE KEY-----\n${'MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX\n'.repeat(4000)}-----END RSA PRIVATE KEY-----`;
  for (const size of [100, 4096, 200_000]) {
    const text = `cat key\n${key}\nls\n`;
    const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
      text.slice(i * size, (i + 1) * size),
    );
    const got = masked(pieces, { detect: ['private-key'] });
    assert.equal(got, `cat key\n${'*'.repeat(key.length)}\nls\n`, `pieces of ${size}`);
  }
});

const part = fc.oneof(
  fc.constantFrom(...plants.map(({ text }) => text.toString('latin1'))),
  fc.constantFrom(' ', '\n', '. ', 'password=', '--', '4111', 'host=db ', 'x'),
  fc.string({ unit: 'binary', maxLength: 9 }).map((text) => Buffer.from(text).toString('latin1')),
);

test('any text in any pieces: length and order are kept, and what the whole text masks is masked', () => {
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }),
      fc.array(fc.nat(500), { maxLength: 7 }),
      (parts, places) => {
        const bytes = Buffer.from(parts.join(''), 'latin1');
        const cuts = [
          0,
          ...places.filter((place) => place < bytes.length).toSorted((a, b) => a - b),
          bytes.length,
        ];
        const pieces = cuts.slice(1).map((to, index) => bytes.subarray(cuts[index], to));
        const got = Buffer.from(masked(pieces, { masking: everything }), 'latin1');
        assert.equal(got.length, bytes.length);
        for (const [at, byte] of got.entries()) assert.ok(byte === bytes[at] || byte === 0x2a);
        const found = everything.scan(bytes, 0, bytes.length);
        for (let i = 0; i < found.length; i++)
          for (let at = found.starts[i]!; at < found.ends[i]!; at++) assert.equal(got[at], 0x2a, `at ${at}`);
      },
    ),
    { numRuns: 1500 },
  );
});

/** They need what follows them: whole they are none yet. */
const told = new Set(['url-password', 'parameter-password']);

test('any pauses: of a value is in the clear no more than what was delivered before all of it had come', () => {
  const step = fc.record({ size: fc.integer({ min: 1, max: 9 }), pause: fc.constantFrom(0, 5, 20) });
  const steps = fc.array(step, { minLength: 30, maxLength: 30 });
  fc.assert(
    fc.property(fc.constantFrom(...plants), steps, ({ detector, text, start, end }, pieces) => {
      const stream = new Stream({ masking: everything });
      /** How much had come when a byte was delivered. */
      const cameBefore: number[] = [];
      let came = 0;
      for (const { size, pause } of [...pieces, { size: text.length, pause: 20 }]) {
        const piece = text.subarray(came, came + size);
        came += piece.length;
        stream.push(piece).pass(pause);
        while (cameBefore.length < stream.text.length) cameBefore.push(came);
      }
      const got = Buffer.from(stream.end(), 'latin1');
      assert.equal(got.length, text.length);
      for (const { place, original } of stream.redactions)
        assert.equal(text.toString('latin1', place.offset, place.offset + place.length), original);
      for (const [place, byte] of got.entries()) {
        assert.ok(byte === text[place] || byte === 0x2a);
        const clear = place >= start && place < end && byte === text[place] && byte !== 0x2a;
        if (clear && !told.has(detector)) assert.ok(cameBefore[place]! < end, `${text} at ${place}`);
      }
    }),
    { numRuns: 1500 },
  );
});
