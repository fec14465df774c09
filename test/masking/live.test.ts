/**
 * Text that is delivered as it comes: whatever the pieces, the same bytes are masked as of the whole text; and what cannot be the
 * beginning of anything is decided at once.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compileConfig, compileMasking } from '../../src/masking/masking.ts';
import type { Masking } from '../../src/gate/masking.ts';
import { detectorNames } from '../../src/masking/detectors/catalog.ts';
import { plants } from './planted.ts';

const detectors = [
  { name: 'employee', pattern: '\\bE\\d{6}\\b', words: null },
  { name: 'birds', pattern: null, words: ['Blue Heron', 'Red Kite', 'Blue'] },
];

function masking(...detect: string[]): Masking {
  const rule = { name: 'r', targets: [], targetGroups: [], detect, columns: [], outputs: [] };
  const compiled = compileConfig({
    detectors,
    rules: [{ ...rule, mode: 'redact', value: null, exemptGroups: [] }],
    exemptColumns: [],
  });
  assert.ok('custom' in compiled);
  const scope = { target: { name: 'db', groups: [] }, groups: [], hashKey: Buffer.alloc(32, 1) };
  const made = compileMasking(compiled, scope).masking;
  assert.ok(made !== null);
  return made;
}

const everything = masking(...detectorNames, 'employee', 'birds');

/** Which bytes the findings of the whole text cover, as stars. */
function whole(text: Buffer, by = everything): string {
  const marks = Buffer.alloc(text.length, 0x2e);
  const found = by.scan(text, 0, text.length);
  for (let i = 0; i < found.length; i++) marks.fill(0x2a, found.starts[i], found.ends[i]);
  return marks.toString();
}

interface Pieces {
  /** As `whole`. */
  readonly marks: string;
  /** How many bytes were decided after each piece. */
  readonly decided: readonly number[];
}

/** As `whole`, of pieces; `settled`: after which of them everything is decided. */
function inPieces(
  text: Buffer,
  cuts: readonly number[],
  settled: readonly number[] = [],
  by = everything,
): Pieces {
  const live = by.live();
  const marks = Buffer.alloc(text.length, 0x2e);
  const decided: number[] = [];
  let [kept, from] = [0, 0];
  for (const [index, to] of [...cuts, text.length].entries()) {
    for (const settle of settled.includes(index) ? [false, true] : [index === cuts.length]) {
      const window = Buffer.concat([Buffer.from('4'), text.subarray(kept, to)]); // the digit is outside of what is given
      const found = live.push(window, 1, 1 + from - kept, window.length, settle);
      for (let i = 0; i < found.length; i++) {
        const [start, end] = [found.starts[i]! - 1 + kept, found.ends[i]! - 1 + kept];
        assert.ok(start >= from && end <= live.decided - 1 + kept, 'a finding lies in what is newly decided');
        marks.fill(0x2a, start, end);
      }
      from = kept + live.decided - 1;
      assert.ok(to - from < 4096 && to - (kept + live.kept - 1) < 8192 + 1, 'what is held is bounded');
      kept += live.kept - 1;
      if (settle) assert.equal(from, to);
    }
    decided.push(from);
  }
  return { marks: marks.toString(), decided };
}

const surrounded = plants.map(({ text, detector }) => ({
  detector,
  text: Buffer.concat([Buffer.from('see '), text, Buffer.from('\nthen more\n')]),
}));

test('every value, split at every place: the same bytes are masked as of the whole text', () => {
  for (const { detector, text } of surrounded) {
    const expected = whole(text);
    for (let cut = 1; cut < text.length; cut++)
      assert.equal(inPieces(text, [cut]).marks, expected, `${detector} cut at ${cut}: ${text}`);
  }
});

test('every value byte by byte, by all detectors and by its own alone', () => {
  for (const { detector, text } of surrounded)
    for (const by of [everything, masking(detector)]) {
      const cuts = Array.from({ length: text.length - 1 }, (_, index) => index + 1);
      assert.equal(inPieces(text, cuts, [], by).marks, whole(text, by), `${detector}: ${text}`);
    }
});

test('detectors of the operator, split at every place', () => {
  for (const value of ['E123456', 'Blue Heron', 'RED KITE', 'blue'])
    for (const after of [' ', '\n', 's', '7', '.']) {
      const text = Buffer.from(`a ${value}${after} b`);
      for (let cut = 1; cut < text.length; cut++)
        assert.equal(inPieces(text, [cut]).marks, whole(text), `${value}${after} cut at ${cut}`);
    }
});

/** The first byte that should be masked and is not; -1 when all are. */
const uncovered = (expected: string, got: string): number =>
  [...expected].findIndex((mark, at) => mark === '*' && got[at] !== '*');

const part = fc.oneof(
  fc.constantFrom(...plants.map(({ text }) => text.toString('latin1'))),
  fc.constantFrom(
    ' ',
    '\n',
    ', ',
    '=',
    '"',
    '-',
    '.',
    ' password=',
    '\\',
    '\\"',
    ' "token": "',
    'lorem ipsum ',
    ' host=',
    '----',
    'x',
    '7',
    '://a:',
  ),
  fc.stringMatching(/^[0-9 .-]{1,9}$/),
  fc.string({ maxLength: 12 }),
);
const texts = fc
  .array(part, { minLength: 1, maxLength: 14 })
  .map((parts) => Buffer.from(parts.join(''), 'latin1'));

test('values, parts of values and anything between them: no piece shows what the whole text masks', () => {
  fc.assert(
    fc.property(texts, fc.array(fc.nat(600), { maxLength: 8 }), (text, places) => {
      const cuts = [...new Set(places)]
        .filter((cut) => cut > 0 && cut < text.length)
        .toSorted((a, b) => a - b);
      const { marks } = inPieces(text, cuts);
      const expected = whole(text);
      assert.equal(uncovered(expected, marks), -1, `${text}\n${expected}\n${marks}\n${cuts.join()}`);
    }),
    { numRuns: 4000 },
  );
});

test('what was settled in the middle of a value is read again: the rest of the value is masked', () => {
  for (const { detector, text, start, end } of plants) {
    const bytes = Buffer.concat([text, Buffer.from('\nmore')]);
    for (let cut = start + 1; cut < end; cut++) {
      const { marks } = inPieces(bytes, [cut], [0]);
      const rest = whole(bytes).slice(cut, end);
      assert.equal(marks.slice(cut, end), rest, `${detector} settled at ${cut}: ${text}`);
    }
  }
});

test('a key whose beginning was settled is masked to its end and no further, wherever it was settled', () => {
  const key = `-----BEGIN RSA PRIVATE KEY-----\n${'MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX\n'.repeat(20)}-----END RSA PRIVATE KEY-----`;
  const text = Buffer.from(`${key}\n$ ls\n`);
  for (let cut = 32; cut <= key.length; cut++) {
    const { marks } = inPieces(text, [cut], [0]);
    assert.equal(marks.slice(cut), `${'*'.repeat(key.length - cut)}......`, `settled at ${cut}`);
  }
});

test('what can begin nothing is decided at once', () => {
  const cases: [detect: string[], text: string, undecided: string][] = [
    [['card'], 'ls -la', ''],
    [['card'], 'total 41', '41'],
    [['card'], 'total 41\n', ''],
    [['card'], '4111 1111 ', '4111 1111 '],
    [['email'], 'ana@db-1:~$ ', ''],
    [['email'], 'mail ana', 'ana'],
    [['email'], 'mail ana@example.co', 'ana@example.co'],
    [['secrets'], 'ana@db-1:~$ l', ''],
    [['secrets'], 'password: ', ''],
    [['secrets'], 'password: x', 'x'],
    [['jwt'], 'say ey', 'ey'],
    [['jwt'], 'say hello', ''],
    [['token'], 'say ghp_x1', 'ghp_x1'],
    [['private-key'], 'a ---', '---'],
    [['private-key'], 'a -----BEGIN CERT', '-----BEGIN CERT'],
    [['private-key'], 'a -----END', ''],
    [['ipv6'], 'at 2001:db8', '2001:db8'],
    [['ipv6'], 'hello world', ''],
    [['iban'], 'the iban DE', 'DE'],
    [['iban'], 'the accounts', ''],
    [['url-password'], 'http://localhost/x:y', ''],
    [['url-password'], 'redis://u:pw', 'pw'],
    [['employee'], 'is E12', 'E12'],
    [['employee'], 'is an', ''],
    [['birds'], 'a red', 'red'],
    [['birds'], 'a rod', ''],
    [['personal', 'secrets', 'ip-address'], '[ana@db-1 ~]$ ', ''],
    [['personal', 'secrets', 'ip-address'], 'done.\r\n', ''],
  ];
  for (const [detect, text, undecided] of cases) {
    const bytes = Buffer.from(`${text}`);
    const live = masking(...detect).live();
    live.push(bytes, 0, 0, bytes.length, false);
    assert.equal(bytes.toString('utf8', live.decided), undecided, `${detect.join()}: ${text}`);
  }
});
