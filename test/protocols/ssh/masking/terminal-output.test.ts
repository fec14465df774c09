/** A terminal's output: values with control sequences in them, how a terminal is drawn, hostile sequences, and that echo is immediate. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { detectorNames } from '../../../../src/masking/detectors/catalog.ts';
import { plants } from '../../../masking/planted.ts';
import { masked, maskingOf, stars, Stream, type Given } from './streams.ts';

const card = '4111111111111111';
const everything = maskingOf(detectorNames);
const terminal = (...pieces: readonly (string | Buffer)[]): string => masked(pieces, { terminal: true });

/** Masks the text, whole and byte by byte; both give the same. */
function screen(text: string, given: Given = {}): string {
  const whole = masked([text], { terminal: true, ...given });
  assert.equal(masked([...text], { terminal: true, ...given }), whole, 'byte by byte as in one piece');
  return whole;
}

/** What may stand between two bytes of a value without being seen. */
const invisible = [
  '\x1b[31m',
  '\x1b[0;1;38:2::1:2:3m',
  '\x1b[m\x1b[K',
  '\x1b[?25l',
  '\x1b[3 q',
  '\x1b]0;title\x07',
  '\x1b]8;;https://example.test/\x1b\\',
  '\x1b]133;C;41\x1b\\',
  '\x1bP+q544e\x1b\\',
  '\x1b_x\x1b\\',
  '\x1b(B',
  '\x1b(0\x1b(B',
  '\x0f',
  '\x0e\x0f',
  '\x07',
  '\x00',
  '\x7f',
  '\x1b=',
  '\xc2\x9b7m',
  '\xc2\x9d2;x\x07',
  '\x1b[1\x07m',
  '\x1b[12\x18',
  '\x1b\x1b[m',
  '\r\n',
  ' \r',
  '\x1b[B',
  '\x1b[5;7H',
  '\x1b[2G',
  '\x1b7\x1b8',
];

test('the echo of a key does not wait, and what it becomes is masked all the same', () => {
  const { stream, delivered } = new Stream({ terminal: true, detect: ['email'] });
  stream.push(Buffer.from('a'));
  assert.equal(delivered.length, 0, 'nobody typed it');
  stream.end();
  stream.typed(16);
  for (const key of 'na@example.com ') stream.push(Buffer.from(key));
  const shown = Buffer.concat(delivered).toString();
  assert.equal(shown.length, 16);
  assert.ok(!shown.includes('example.com'), shown);
});

test('nor does one that a shell colours, or draws with what stands around it: fish', () => {
  const stream = new Stream({ terminal: true, detect: ['email'] });
  const after = '\x1b[30m\x1b(B\x1b[m';
  stream.stream.typed(4);
  const pieces = [
    `v\r\x1b[35C${after}`,
    `\x1b[36m\x1b[4ma\x1b[38;5;240m\x1b[24mr/log\r\x1b[40C${after}`,
    `\b\x1b[91ma${after}`,
  ];
  for (const piece of pieces) {
    stream.push(piece);
    assert.equal(stream.waits, false, JSON.stringify(piece));
  }
  assert.equal(stream.text, pieces.join(''));
});

test('as many pieces as keys are their echo, and a piece with more text is none: it waits', () => {
  const stream = new Stream({ terminal: true });
  stream.stream.typed(2);
  // decided at once, and the echo of a key all the same
  stream.push(' ').push('\r\n').push('\x1b[31m4\x1b[m');
  assert.deepEqual([stream.text, stream.waits], [' \r\n\x1b[31m', true]);
  assert.equal(stream.push(card.slice(1)).end(), ` \r\n\x1b[31m*\x1b[m${'*'.repeat(15)}`);
  for (const piece of [card.slice(0, 9), '4\x1b[8b', '\x1b]0;411111111']) {
    const other = new Stream({ terminal: true });
    other.stream.typed(1);
    assert.equal(other.push(piece).waits, true, JSON.stringify(piece));
  }
});

test('what is not seen does not take a value apart, wherever it stands', () => {
  for (const between of invisible)
    for (let at = 1; at < card.length; at++) {
      const text = `pay ${card.slice(0, at)}${between}${card.slice(at)}; bye`;
      const expected = `pay ${'*'.repeat(at)}${between}${'*'.repeat(16 - at)}; bye`;
      assert.equal(screen(text), expected, JSON.stringify(text));
    }
});

test('between all bytes of it', () => {
  for (const between of invisible)
    assert.equal(
      screen(`a ${[...card].join(between)};`),
      `a ${[...'*'.repeat(16)].join(between)};`,
      JSON.stringify(between),
    );
});

test('every value, a colour at every place and a cut at every other', () => {
  for (const { detector, text, start, end } of plants) {
    if (detector === 'private-key') continue;
    const plain = text.toString('latin1');
    for (let at = start + 1; at < end; at++) {
      const bytes = `${plain.slice(0, at)}\x1b[7m${plain.slice(at)}"\r\n`;
      const expected = `${plain.slice(0, start)}${'*'.repeat(at - start)}\x1b[7m${'*'.repeat(end - at)}${plain.slice(end)}"\r\n`;
      const cut = (at * 7) % bytes.length;
      const pieces = [bytes.slice(0, cut), bytes.slice(cut)];
      assert.equal(
        masked(pieces, { terminal: true, masking: everything }),
        expected,
        `${detector} at ${at}: ${plain}`,
      );
    }
  }
});

test('a line editor’s blank at the edge may come alone: the address goes on behind it', () => {
  const address = 'ana.lovelace@example.com';
  for (const before of ['', '\u00a0', '語 ', 'a\tb '])
    for (let at = 1; at < address.length; at++) {
      const bytes = Buffer.from(`${before}${address.slice(0, at)} \r${address.slice(at)} bye`);
      const whole = masked([bytes], { terminal: true, detect: ['email'] });
      assert.ok(!whole.includes(address.slice(0, at)) || at < 2, whole);
      const cut = bytes.indexOf(' \r') + 1;
      for (const place of [cut, cut + 1])
        assert.equal(
          masked([bytes.subarray(0, place), bytes.subarray(place)], { terminal: true, detect: ['email'] }),
          whole,
          `${JSON.stringify(bytes.toString())} cut at ${place}`,
        );
    }
});

test('lines stay lines: values that stand next to other digits are found', () => {
  assert.equal(terminal(`12\r\n${card}\r\n34\r\n`), `12\r\n${'*'.repeat(16)}\r\n34\r\n`);
  assert.equal(terminal(`7\x1b[9;1H${card}\x1b[10;1H8`), `7\x1b[9;1H${'*'.repeat(16)}\x1b[10;1H8`);
  assert.equal(terminal(`7\x1b[20C${card}\x1b[20C8`), `7\x1b[20C${'*'.repeat(16)}\x1b[20C8`);
  assert.equal(terminal(`7\t${card}\t8`), `7\t${'*'.repeat(16)}\t8`);
});

test('a line is drawn anew', () => {
  assert.equal(screen(`41\r4111\r${card}\r\n`), `41\r4111\r${'*'.repeat(16)}\r\n`);
  assert.equal(screen(`$ 41\r\x1b[K$ ${card}`), `$ 41\r\x1b[K$ ${'*'.repeat(16)}`);
  const progress = Array.from({ length: 101 }, (_, percent) => `\r ${percent}% of ${card}`).join('');
  assert.equal(screen(progress), progress.replaceAll(card, '*'.repeat(16)));
});

test('where a known width says that a line is not full, it does not go on', () => {
  const given = { detect: ['card', 'phone'], columns: 40 };
  const column = '41111111\r\n11111111\r\n';
  assert.equal(screen(column, given), column);
  const wrapped = `${'x'.repeat(31)} ${card.slice(0, 8)}\r\n${card.slice(8)} \r\n`;
  assert.equal(screen(wrapped, given), wrapped.replaceAll(/\d/g, '*'));
  const edited = `${'x'.repeat(31)} ${card.slice(0, 8)} \r${card.slice(8)} \r\n`;
  assert.equal(screen(edited, given), edited.replaceAll(/\d/g, '*'));
  const coloured = `\x1b[1m${'x'.repeat(71)} ${card.slice(0, 8)}\x1b[m\r\n${card.slice(8)} \r\n`;
  assert.equal(
    screen(coloured, given),
    `\x1b[1m${'x'.repeat(71)} ${'*'.repeat(8)}\x1b[m\r\n${'*'.repeat(8)} \r\n`,
  );
  // not certain: wide characters, movements
  const wide = `\xe4\xb8\x80 ${card.slice(0, 8)}\r\n${card.slice(8)} \r\n`;
  assert.equal(screen(wide, given), `\xe4\xb8\x80 ${'*'.repeat(8)}\r\n${'*'.repeat(8)} \r\n`);
});

test('backspaces: what is written over is searched as it was and as it becomes', () => {
  const tail = card.slice(0, 15);
  // a wrong digit, taken back by a program, by the terminal driver, by a line editor
  for (const correction of ['2\b1', '2\b \b1', '2\b\x1b[K1', '23\b\b\x1b[K1', '2\x1b[D1', '22\x1b[2D1\x1b[K'])
    assert.match(
      screen(`a ${tail}${correction}; b`),
      /^a \*{15}[^1]*\*[^1]*; b$/,
      JSON.stringify(correction),
    );
  // what was there before it was written over
  assert.equal(screen(`a ${card}\bx; b`), `a ${'*'.repeat(16)}\bx; b`);
  assert.equal(
    screen(`a ${card}${'\b'.repeat(16)}${'x'.repeat(16)}`),
    `a ${'*'.repeat(16)}${'\b'.repeat(16)}${'x'.repeat(16)}`,
  );
  // in the middle of the line, the rest of which stays
  assert.equal(
    screen(`a 4111111211111111${'\b'.repeat(9)}1\x1b[8C; b`),
    `a *******2********${'\b'.repeat(9)}*\x1b[8C; b`,
  );
});

const bold = (text: string): string => [...text].map((char) => `${char}\b${char}`).join('');

test('bold and underlined by overstriking', () => {
  assert.equal(screen(`a ${bold(card)}; b`), `a ${bold('*'.repeat(16))}; b`);
  const four = [...card].map((char) => `${char}\b${char}\b${char}\b${char}`).join('');
  assert.equal(screen(`a ${four}; b`), `a ${four.replaceAll(/\d/g, '*')}; b`);
  const underlined = [...card].map((char) => `_\b${char}`).join('');
  assert.equal(screen(`a ${underlined}; b`), `a ${underlined.replaceAll(/\d/g, '*')}; b`);
});

test('gaps and repetitions that the terminal draws', () => {
  assert.equal(screen('a 4111\x1b[C1111\x1b[C1111\x1b[C1111; b'), 'a ****\x1b[C****\x1b[C****\x1b[C****; b');
  assert.equal(screen('a 555\x1b[C234\x1b[C5678; b', { detect: ['phone'] }), 'a ***\x1b[C***\x1b[C****; b');
  assert.equal(screen('a 41\x1b[14b; b'), 'a **\x1b[14b; b');
});

test('titles of windows and targets of links are texts of their own', () => {
  const mail = 'ana@example.com';
  const given = { detect: ['email'] };
  assert.equal(screen(`\x1b]2;${mail} ~\x07$ `, given), `\x1b]2;${stars(mail)} ~\x07$ `);
  assert.equal(
    screen(`\x1b]8;;mailto:${mail}\x1b\\write\x1b]8;;\x1b\\ us`, given),
    `\x1b]8;;mailto:${stars(mail)}\x1b\\write\x1b]8;;\x1b\\ us`,
  );
  assert.equal(screen(`ana\x1b]2;@example.com\x07 x`, given), `ana\x1b]2;@example.com\x07 x`);
});

test('a private key over lines: each is masked, line ends stay', () => {
  const key = `-----BEGIN RSA PRIVATE KEY-----\r\n${'MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX\r\n'.repeat(300)}-----END RSA PRIVATE KEY-----`;
  for (const size of [100, 5000, 50_000]) {
    const text = `$ cat key\r\n${key}\r\n$ ls\r\n`;
    const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
      text.slice(i * size, (i + 1) * size),
    );
    const got = masked(pieces, { terminal: true, detect: ['private-key'], columns: 80 });
    assert.equal(got, `$ cat key\r\n${stars(key)}\r\n$ ls\r\n`);
  }
});

test('every mode keeps the place of everything behind it', () => {
  const text = `a \x1b[1m4111\x1b[m ${card.slice(4, 8)} 1111 1111; b`;
  for (const mode of ['redact', 'fixed', 'hash', 'null'] as const)
    assert.equal(screen(text, { mode }), 'a \x1b[1m****\x1b[m***************; b', mode);
  assert.equal(screen(text, { mode: 'partial' }), 'a \x1b[1m****\x1b[m***********1111; b');
});

test('a redaction spans the control sequences in it, and is told once', () => {
  const stream = new Stream({ terminal: true });
  stream.push(`$ \x1b[1m4111\x1b[31m1111`).push('11111111\x1b[m\r\n').push(`${card} `);
  assert.equal(stream.end(), '$ \x1b[1m****\x1b[31m************\x1b[m\r\n**************** ');
  assert.deepEqual(stream.redactions, [
    {
      place: { row: -1, column: -1, offset: 6, length: 21, stream: 'output' },
      original: '4111\x1b[31m111111111111',
    },
    { place: { row: -1, column: -1, offset: 32, length: 16, stream: 'output' }, original: card },
  ]);
});

test('echo is immediate where nothing can begin, and waits no longer than 20 ms where it can', () => {
  const stream = new Stream({ terminal: true, detect: ['card', 'secrets'] });
  for (const piece of [
    '\x1b[?2004h',
    'ana@db-1:~$ ',
    'l',
    's',
    '\b\x1b[K',
    ' -la',
    '\r\n',
    '\x1b[A',
    '\x1b[32m',
  ]) {
    stream.delivered.length = 0;
    assert.equal(stream.push(piece).text, piece);
    assert.equal(stream.waits, false);
  }
  stream.delivered.length = 0;
  stream.push('\x1b[1m4');
  assert.deepEqual([stream.text, stream.waits], ['\x1b[1m', true]);
  stream.push('\x1b[m').pass(19);
  assert.equal(stream.text, '\x1b[1m');
  assert.equal(stream.pass(1).text, '\x1b[1m4\x1b[m');
});

test('a number typed slowly shows what came before it was one; the rest is masked, and so is every later copy', () => {
  const stream = new Stream({ terminal: true });
  for (const char of card) stream.push(char).pass(50);
  assert.equal(stream.text, '411111111111111*');
  stream.push('\r\n').push(`${card}\r\n`);
  assert.equal(stream.end(), '411111111111111*\r\n****************\r\n');
});

test('hostile: sequences without end take no memory and hold nothing back for ever', () => {
  for (const opening of ['\x1b]0;', '\x1bP', '\x1b[', '\x1b[1;', '\x1b_', '\x1b(', '\x1b']) {
    for (const filler of ['1', 'A', ' ', '\x00', '\x1b[1', '0123456789 ']) {
      const stream = new Stream({ terminal: true });
      const flood = Buffer.from(filler.repeat(Math.ceil(200_000 / filler.length)));
      stream.push(`4111${opening}`);
      for (let at = 0; at < flood.length; at += 10_000) stream.push(flood.subarray(at, at + 10_000));
      const delivered = stream.text.length;
      assert.ok(delivered > flood.length - 40_000, `${JSON.stringify(opening + filler)}: ${delivered}`);
      assert.equal(stream.end(), `4111${opening}${flood.toString('latin1')}`);
    }
  }
});

test('hostile: endless overwriting takes time and memory in proportion', () => {
  for (const unit of [
    'a\bb\b',
    '\r',
    'a\r',
    '\b',
    '\x1b[9999D4',
    '1\x1b[9999b',
    '\x1b[K\b',
    `${card}\b`,
    '\t',
    '\n',
  ]) {
    const stream = new Stream({ terminal: true });
    const text = unit.repeat(Math.ceil(60_000 / unit.length));
    const got = stream.push(text).end();
    assert.equal(got.length, text.length, JSON.stringify(unit));
  }
});

const writtenOver = ['\b', '\b \b', '\x1b[2D'];
const controls = ['\x1b[K', '\x1b[3C', '\x1b[4b', '\t', '\x1b]', '\x1b[', '\x1bP', '\xc2', ' ', 'x', '4111'];

const streamsWith = (...more: readonly string[]): fc.Arbitrary<Buffer> => {
  const part = fc.oneof(
    fc.constantFrom(...plants.map(({ text }) => text.toString('latin1'))),
    fc.constantFrom(...invisible),
    fc.constantFrom(...controls, ...more),
    fc.string({ unit: 'binary', maxLength: 9 }).map((text) => Buffer.from(text).toString('latin1')),
    fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  return fc.array(part, { maxLength: 14 }).map((parts) => Buffer.from(parts.join(''), 'latin1'));
};
const streams = streamsWith(...writtenOver);
const places = fc.array(fc.nat(400), { maxLength: 7 });

function piecesOf(bytes: Buffer, at: readonly number[]): Buffer[] {
  const cuts = [0, ...at.filter((place) => place < bytes.length).toSorted((a, b) => a - b), bytes.length];
  return cuts.slice(1).map((to, index) => bytes.subarray(cuts[index], to));
}

test('any bytes in any pieces: the length is kept, only visible bytes become stars, originals are told', () => {
  fc.assert(
    fc.property(streams, places, fc.boolean(), (bytes, cuts, pauses) => {
      const stream = new Stream({ terminal: true, masking: everything });
      for (const piece of piecesOf(bytes, cuts)) stream.push(piece).pass(pauses ? 7 : 0);
      const got = Buffer.from(stream.end(), 'latin1');
      assert.equal(got.length, bytes.length);
      const told = new Uint8Array(bytes.length);
      for (const { place, original } of stream.redactions) {
        assert.equal(bytes.toString('latin1', place.offset, place.offset + place.length), original);
        told.fill(1, place.offset, place.offset + place.length);
      }
      for (const [at, byte] of got.entries()) {
        if (byte === bytes[at]) continue;
        assert.equal(byte, 0x2a);
        assert.ok(bytes[at]! >= 0x20 && told[at] === 1, `at ${at}`);
      }
    }),
    { numRuns: 2000 },
  );
});

test('any bytes: pieces mask at least what one piece masks, but for what was shown and is written over', () => {
  /** Anything that may be `CSI … D`. */
  const back = /[[\u009b][^@-~]*D/;
  const forwards = streamsWith().filter(
    (bytes) => !bytes.includes(0x08) && !back.test(bytes.toString('latin1')),
  );
  fc.assert(
    fc.property(forwards, places, (bytes, cuts) => {
      const whole = masked([bytes], { terminal: true, masking: everything });
      const got = masked(piecesOf(bytes, cuts), { terminal: true, masking: everything });
      for (const [at, char] of [...whole].entries())
        if (char === '*')
          assert.equal(got[at], '*', `at ${at} of ${JSON.stringify(bytes.toString('latin1'))}`);
    }),
    { numRuns: 2000 },
  );
});

test('a value among anything that leaves it whole on the screen is masked', () => {
  const around = fc.constantFrom(' ', '; ', '\t', '\x1b[2J', '\x1b[2J\x1b[3;4H');
  const inside = fc.array(fc.constantFrom('', ...invisible), { minLength: 15, maxLength: 15 });
  fc.assert(
    fc.property(around, inside, around, places, (before, between, after, cuts) => {
      const value = [...card].map((char, at) => char + (between[at] ?? '')).join('');
      const bytes = Buffer.from(`x${before}${value}${after}`, 'latin1');
      const got = masked(piecesOf(bytes, cuts), { terminal: true });
      let at = 1 + before.length;
      for (const [index, char] of [...card].entries()) {
        assert.equal(bytes.toString('latin1', at, at + 1), char);
        assert.equal(got[at], '*', `digit ${index} of ${JSON.stringify(bytes.toString('latin1'))}`);
        at += 1 + (between[index] ?? '').length;
      }
    }),
    { numRuns: 1500 },
  );
});

test('a line that is written over in pieces is searched as far as it is written', () => {
  const over = (old: string): string => `a ${old}${'\b'.repeat(old.length)}${card};`;
  for (const old of ['x'.repeat(30), '4111 1111', ' '.repeat(16), '2'.repeat(20)])
    assert.equal(screen(over(old)), over(old).replace(card, '*'.repeat(16)), old);
  const wide = `a ${'\xc3\xa9'.repeat(5)}${'\b'.repeat(5)}${card}${'\b'.repeat(16)}\xc3\xa9\b${card.slice(0, 1)}`;
  assert.equal(screen(wide).replaceAll('*', ''), wide.replaceAll(/\d/g, ''));
});
