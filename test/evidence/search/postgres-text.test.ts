/** Messages as text: the same lines wherever the bytes are cut, and nothing that breaks on hostile ones. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compileMatcher } from '../../../src/evidence/search/matcher.ts';
import { PostgresText } from '../../../src/evidence/search/postgres-text.ts';
import { SearchText } from '../../../src/evidence/search/text.ts';

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const message = (type: string, ...body: Buffer[]): Buffer => {
  const whole = Buffer.concat(body);
  return Buffer.concat([Buffer.from(type), int32(whole.length + 4), whole]);
};
const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const row = (values: readonly (string | null)[]): Buffer =>
  message(
    'D',
    Buffer.from([0, values.length]),
    ...values.flatMap((value) =>
      value === null ? [int32(-1)] : [int32(Buffer.byteLength(value)), Buffer.from(value)],
    ),
  );

/** Lines that hold anything at all. */
function linesOf(pieces: readonly Buffer[], encoding: string | null = null): string[] {
  const into = new SearchText(false);
  const messages = new PostgresText(into, encoding);
  for (const piece of pieces) messages.take(Buffer.concat([Buffer.from('xx'), piece]), 2, piece.length + 2);
  const lines: string[] = [];
  const all = compileMatcher({ text: '.', regex: true, ignoreCase: false });
  into.search(all, 0, true, ({ line }) => lines.push(line.join('')));
  return lines;
}

function cut(whole: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (whole.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...sorted].map((from, i) => whole.subarray(from, sorted[i] ?? whole.length));
}

/** Without the tabs behind the last text of a message. */
const trimmed = (pieces: readonly Buffer[]): string[] =>
  linesOf(pieces).map((line, index) => (index === 2 ? line : line.replace(/\t+$/, '')));

const everything = Buffer.concat([
  message('S', text('TimeZone'), text('UTC')),
  message('T', Buffer.from([0, 2]), text('name'), Buffer.alloc(18, 1), text('city'), Buffer.alloc(18, 2)),
  row(['Ana', 'Paris']),
  row([null, '', 'x'.repeat(100)]),
  row([]),
  message('C', text('SELECT 3')),
  message('Z', Buffer.from('I')),
  message('E', text('SERROR'), text('C42P01'), text('Mrelation "x" does not exist'), Buffer.from([0])),
  message('A', int32(7), text('channel'), text('payload')),
  message('H', Buffer.from([0, 0, 1, 0, 0])),
  message('d', Buffer.from('1\tone\n2\tt')),
  message('d', Buffer.from('wo\n')),
  message('c'),
  message('V', int32(3), Buffer.from('abc')),
]);

test('each message is what it says, and framing is nothing, wherever it is cut', () => {
  const expected = [
    'name\tcity',
    'Ana\tParis',
    `\t\t${'x'.repeat(100)}`,
    'SELECT 3',
    'ERROR\t42P01\trelation "x" does not exist',
    'channel\tpayload',
    '1\tone',
    '2\ttwo',
    'abc',
  ];
  assert.deepEqual(trimmed([everything]), expected);
  assert.deepEqual(trimmed(cut(everything, [...everything.keys()])), expected);
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 20 }), (places) =>
      assert.deepEqual(trimmed(cut(everything, places)), expected),
    ),
  );
});

test('rows are their values, of any number and length', () => {
  const value = fc.oneof(fc.constant(null), fc.stringMatching(/^[a-zé ]{0,80}$/));
  const rows = fc.array(fc.array(value, { maxLength: 5 }), { maxLength: 5 });
  fc.assert(
    fc.property(rows, fc.array(fc.nat(), { maxLength: 10 }), (all, places) => {
      const expected = all
        .map((values) => values.map((each) => each ?? '').join('\t'))
        .filter((line) => line !== '');
      assert.deepEqual(linesOf(cut(Buffer.concat(all.map(row)), places)), expected);
    }),
  );
});

test('other encodings become UTF-8', () => {
  const latin = message('D', Buffer.from([0, 1]), int32(4), Buffer.from('caf\xe9', 'latin1'));
  assert.deepEqual(linesOf(cut(latin, [9, 10]), 'windows-1252'), ['café']);
});

test('hostile bytes take no memory and end in no error', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (pieces) => {
      linesOf(pieces.map((piece) => Buffer.from(piece)));
    }),
  );
  const lies = [0x7fff_ffff, -1, 0, 4, 6].flatMap((length) =>
    [...'DTEdVAC'].map((type) =>
      Buffer.concat([Buffer.from(type), int32(length), Buffer.from([255, 255, 127, 255, 255, 255, 65])]),
    ),
  );
  for (const lie of lies) assert.ok(linesOf([lie]).length <= 2);
});
