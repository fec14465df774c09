/** CBOR and records: encode∘decode, a foreign decoder, hostile bytes, and the worked example of FORMAT.md. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { Decoder } from 'cbor-x';
import fc from 'fast-check';
import { decodeItem, type Cbor } from '../../../src/evidence/recording/decode.ts';
import { Batch, copyWords, viewOf } from '../../../src/evidence/recording/encode.ts';
import { EvidenceError } from '../../../src/evidence/error.ts';
import { measureSegment, readRecords } from '../../../src/evidence/recording/records.ts';
import { parseRecipient } from '../../../src/evidence/recording/age.ts';
import type { OriginalsPolicy } from '../../../src/evidence/recording/originals.ts';
import type { CommandFacts } from '../../../src/model/command-facts.ts';
import { openFixture, session } from './fixture.ts';

type Value = number | string | null | Uint8Array | Value[] | Map<string, Value>;

function encode(batch: Batch, value: Value): void {
  if (value === null) batch.null();
  else if (typeof value === 'number') batch.uint(value);
  else if (typeof value === 'string') batch.text(value);
  else if (value instanceof Uint8Array) batch.byteString(value);
  else if (Array.isArray(value)) {
    batch.array(value.length);
    for (const item of value) encode(batch, item);
  } else {
    batch.map(value.size);
    for (const [key, item] of value) {
      batch.text(key);
      encode(batch, item);
    }
  }
}

const { value: anyValue } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.maxSafeNat(),
    fc.constantFrom(0, 23, 24, 255, 256, 65_535, 65_536, 0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER),
    fc.string({ unit: 'grapheme', maxLength: 300 }),
    fc.uint8Array({ maxLength: 70_000 }),
    fc.array(tie('value'), { maxLength: 30 }),
    fc
      .array(fc.tuple(fc.string({ maxLength: 30 }), tie('value')), { maxLength: 30 })
      .map((pairs) => new Map(pairs)),
  ),
}));

const plain = (value: Value | Cbor): unknown => {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return (value as Value[]).map(plain);
  if (value instanceof Map)
    return [...(value as Map<string, Value>)].map(([key, item]) => [key, plain(item)]);
  return value;
};

const foreign = new Decoder({ mapsAsObjects: false });

test('bytes copied in words are those that were there, up to the end of their memory and not beyond', () => {
  const from = Buffer.from(Array.from({ length: 80 }, (_, index) => index + 1)).subarray(3);
  for (let start = 0; start <= from.length; start++)
    for (let size = 0; size <= from.length - start; size++) {
      const into = Buffer.alloc(100, 0xee);
      copyWords(viewOf(from), start, viewOf(into), 7, size);
      assert.deepEqual(into.subarray(7, 7 + size), from.subarray(start, start + size));
      assert.ok(into.subarray(0, 7).every((byte) => byte === 0xee));
      assert.ok(into.subarray(7 + size + 3).every((byte) => byte === 0xee));
    }
});

test('what is encoded is decoded, by this decoder and by a foreign one', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const batch = new Batch();
      encode(batch, value);
      const bytes = Buffer.from(batch.bytes());
      const own = decodeItem(bytes, 0);
      assert.equal(own?.end, bytes.length);
      assert.deepEqual(plain(own.value), plain(value));
      assert.deepEqual(plain(foreign.decode(bytes) as Cbor), plain(value));
    }),
    { numRuns: 300 },
  );
});

test('an item cut at any byte is no item, and no error', () => {
  fc.assert(
    fc.property(anyValue, fc.nat(), (value, at) => {
      const batch = new Batch();
      encode(batch, value);
      const bytes = Buffer.from(batch.bytes());
      assert.equal(decodeItem(bytes.subarray(0, at % bytes.length), 0), null);
    }),
    { numRuns: 300 },
  );
});

test('hostile bytes give items, nothing, or an error of the format: no crash, no memory for announced lengths', () => {
  const announced = [
    '9b00000fffffffffff',
    'bb00000fffffffffff',
    '5b7fffffffffffffff',
    '5bffffffffffffffff',
    '5f4161ff',
    '62c328',
  ];
  const nested = Buffer.alloc(100_000, 0x81);
  for (const bytes of [...announced.map((hex) => Buffer.from(hex, 'hex')), nested]) tolerated(bytes);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => tolerated(Buffer.from(bytes))),
    { numRuns: 2000 },
  );
});

function tolerated(bytes: Buffer): void {
  try {
    const item = decodeItem(bytes, 0);
    assert.ok(item === null || (item.end > 0 && item.end <= bytes.length));
    for (const record of readRecords(bytes)) assert.ok(record.t >= 0);
  } catch (error) {
    assert.ok(error instanceof EvidenceError && error.code === 'recording-damaged', String(error));
  }
  const measured = measureSegment(bytes);
  assert.ok(measured.length <= bytes.length);
}

/** The session of FORMAT.md: a clock that moves only when told. What was masked is sealed apart. */
async function workedExample(originals: OriginalsPolicy): Promise<Buffer> {
  let micros = 0;
  const clock = { wallMs: () => 0, monotonicMs: () => micros / 1000 };
  await using fixture = openFixture({ clock, originals });
  const { recorder, recordingDirectory } = fixture;
  const facts: CommandFacts = { effects: ['read'], relations: [], functions: [], programs: [] };
  micros = 1500;
  recorder.connectionOpened(1, { parameters: { user: 'ana' }, serverVersion: '15.18' });
  recorder.statement(1, 1, Buffer.from('select $1'), [25], facts);
  recorder.command(1, 1, 1, Buffer.from('00000001000000026f6b0000', 'hex'), 'allow', null, null);
  recorder.flush();
  micros = 2100;
  recorder.redaction(1, 1, 'words', { row: 0, column: 0, offset: 0, length: 2 }, Buffer.from('ok'));
  recorder.output(1, 1, Buffer.from('440000000c0001000000022a2a', 'hex'));
  recorder.outcome(1, 1, { kind: 'succeeded', tag: 'SELECT 1', rows: 1, errorCode: null });
  recorder.connectionClosed(1, 'terminated');
  await recorder.close();
  return zstdDecompressSync(readFileSync(path.join(recordingDirectory, '0.cbor.zst')));
}

/** The session at a server of FORMAT.md. */
async function serverExample(): Promise<Buffer> {
  let micros = 0;
  const clock = { wallMs: () => 0, monotonicMs: () => micros / 1000 };
  await using fixture = openFixture({ clock, protocol: 'ssh' });
  const { recorder, recordingDirectory } = fixture;
  const shell: CommandFacts = { effects: ['shell'], relations: [], functions: [], programs: [] };
  const paths = ['/', '/tmp/', '/tmp/x'];
  const line: CommandFacts = { effects: ['delete'], relations: [], functions: [], programs: ['rm'], paths };
  micros = 900;
  recorder.connectionOpened(1, { parameters: { channel: 'shell', term: 'xterm' }, serverVersion: null });
  recorder.command(1, 1, Buffer.from('shell'), Buffer.from('LANG=C\0TZ=UTC'), 'allow', shell, null);
  recorder.resize(1, 1, 80, 24);
  recorder.flush();
  micros = 1800;
  recorder.output(1, 1, Buffer.from('$ rm /tmp/x'));
  recorder.origin(1, 2, { parent: 1, how: 'reconstructed' });
  recorder.command(1, 2, Buffer.from('rm /tmp/x'), null, 'allow', line, null);
  recorder.input(1, 1, Buffer.from('*********\r'));
  recorder.flush();
  micros = 2700;
  recorder.outcome(1, 2, { kind: 'unknown', tag: null, rows: 0, errorCode: null });
  recorder.outcome(1, 1, { kind: 'failed', tag: 'exit 1', rows: 0, errorCode: 'exit 1' });
  recorder.connectionClosed(1, 'ended');
  await recorder.close();
  return zstdDecompressSync(readFileSync(path.join(recordingDirectory, '0.cbor.zst')));
}

test('the worked examples of FORMAT.md have exactly these bytes', async () => {
  const page = readFileSync(
    path.resolve(import.meta.dirname, '../../../src/evidence/recording/FORMAT.md'),
    'utf8',
  );
  const examples = [...page.matchAll(/```hex\n([^`]*)```/g)].map(([, block]) =>
    block!.replaceAll(/;.*$/gm, '').replaceAll(/\s/g, ''),
  );
  const recipient = parseRecipient(await identityToRecipient(await generateIdentity()))!;
  const recorded = [await workedExample([recipient]), await serverExample()];
  assert.deepEqual(
    recorded.map((bytes) => bytes.toString('hex')),
    examples,
  );
  assert.match(page, new RegExp(session));
});

test('a segment torn at any byte is measured to its last whole record, and what is whole is read', async () => {
  const whole = await workedExample('discard');
  const ends = [0];
  for (let item = decodeItem(whole, 0); item !== null; item = decodeItem(whole, item.end))
    ends.push(item.end);
  assert.equal(ends.at(-1), whole.length);
  for (let length = 0; length <= whole.length; length++) {
    const torn = whole.subarray(0, length);
    const records = ends.filter((end) => end <= length);
    const { length: measured, header, commands, redactions } = measureSegment(torn);
    assert.equal(measured, records.at(-1));
    assert.equal(header === null, records.length === 1);
    assert.equal(commands, records.length > 5 ? 1 : 0);
    assert.equal(redactions, records.length > 7 ? 1 : 0);
    assert.equal([...readRecords(torn.subarray(0, measured))].length, records.length - 1);
    // Garbage behind the torn record instead of its end changes nothing that was whole.
    const zeros = measureSegment(Buffer.concat([torn.subarray(0, measured), Buffer.alloc(40)]));
    assert.equal(zeros.length, measured);
  }
});
