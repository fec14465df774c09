/** `durability: disk`: the open file is longer than what was written; the marks say what of it is whole. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { measureSegment, readRecords } from '../../../src/evidence/recording/records.ts';
import { openFixture } from './fixture.ts';

const row = (fill: number): Buffer => Buffer.alloc(300, fill);

test('a write that the machine tore at any byte is no flush: what was synced before it is, whole', async () => {
  await using fixture = openFixture({ durability: 'disk', segmentAgeMs: 60_000 });
  const { recorder, recordingDirectory } = fixture;
  const open = path.join(recordingDirectory, '0.cbor');
  const ends: number[] = [];
  for (let command = 1; command <= 4; command++) {
    recorder.command(1, command, Buffer.from('select 1'), null, 'allow', null, null);
    recorder.output(1, command, row(command));
    recorder.flush();
    await recorder.sync();
    ends.push(measureSegment(readFileSync(open)).length);
  }
  const file = readFileSync(open);
  assert.ok(file.length > ends[3]! + 64 * 1024, 'the file is allocated ahead');
  assert.equal(measureSegment(file).commands, 4);
  for (let flush = 0; flush < 4; flush++) {
    const start = flush === 0 ? 0 : ends[flush - 1]!;
    // The last byte of a mark may be a zero already: a flush of which nothing is missing is whole.
    for (let torn = start; torn < ends[flush]!; torn++) {
      const found = Buffer.from(file);
      found.fill(0, torn, ends[3]!);
      if (found.subarray(0, ends[flush]!).equals(file.subarray(0, ends[flush]!))) continue;
      const { length, commands } = measureSegment(found);
      assert.deepEqual([length, commands], [start, flush], `torn at ${torn}`);
    }
    // A block in the middle that did not come to disk while later ones did.
    const found = Buffer.from(file);
    found.fill(0, start + 40, start + 200);
    assert.equal(measureSegment(found).length, start);
  }
});

test('the sealed segment holds what was written, without the zeros', async () => {
  await using fixture = openFixture({ durability: 'disk' });
  const { recorder, recordingDirectory, entries } = fixture;
  for (let command = 1; command <= 1000; command++) {
    recorder.output(1, command, row(7));
    recorder.flush();
  }
  await recorder.sync();
  await recorder.close();
  const raw = zstdDecompressSync(readFileSync(path.join(recordingDirectory, '0.cbor.zst')));
  const records = [...readRecords(raw)];
  assert.equal(records.filter(({ kind }) => kind === 'output').length, 1000);
  assert.equal(records.filter(({ kind }) => kind === 'flushed').length, 1000);
  const [entry] = entries;
  assert.ok(entry?.kind === 'segment');
  assert.equal(entry.rawBytes, raw.length);
});

test('flushes larger than the allocation go without it and are marked all the same', async () => {
  await using fixture = openFixture({ durability: 'disk', segmentAgeMs: 60_000 });
  const { recorder, recordingDirectory } = fixture;
  recorder.output(1, 1, Buffer.alloc(200_000, 1));
  recorder.flush();
  recorder.output(1, 1, row(2));
  recorder.flush();
  const found = readFileSync(path.join(recordingDirectory, '0.cbor'));
  const { length } = measureSegment(found);
  const records = [...readRecords(found.subarray(0, length))];
  assert.equal(records.filter(({ kind }) => kind === 'output').length, 2);
});
