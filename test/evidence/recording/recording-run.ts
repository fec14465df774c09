/** A short session of several segments, its log (JSON lines), its recovery, and what must hold afterwards. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import type { EntryOf, NewEntry } from '../../../src/evidence/entry.ts';
import { addSegment, type UnfinishedSession } from '../../../src/evidence/log/read.ts';
import { sessionDirectory } from '../../../src/evidence/recording/layout.ts';
import { readRecords } from '../../../src/evidence/recording/records.ts';
import { recover } from '../../../src/evidence/recording/recover.ts';
import { openedAtMs, openFixture, session } from './fixture.ts';

const logOf = (directory: string): string => path.join(directory, 'log.jsonl');

export function appendTo(directory: string, entry: NewEntry): void {
  appendFileSync(logOf(directory), `${JSON.stringify(entry)}\n`);
}

/** Six commands; `delivered` hears of each when the relay would have delivered its row. */
export async function recordSession(
  directory: string,
  append: (entry: NewEntry) => Promise<void>,
  delivered: (command: number) => void,
): Promise<void> {
  const { recorder, sealer } = openFixture({ directory }, { append });
  for (let command = 1; command <= 6; command++) {
    recorder.command(1, command, Buffer.from(`select ${command}`), null, 'allow', null, null);
    // Fills a segment: the next command begins another.
    if (command % 2 === 0) recorder.output(1, command, Buffer.alloc(1_100_000, 'z'));
    recorder.output(1, command, Buffer.from(`row ${command}`));
    recorder.flush();
    delivered(command);
    if (command === 4) await sealer.drain();
  }
  const closing = recorder.close();
  await sealer.drain();
  await closing;
  await sealer.close();
}

const segmentsIn = (directory: string): EntryOf<'segment'>[] =>
  (existsSync(logOf(directory)) ? readFileSync(logOf(directory), 'utf8') : '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as EntryOf<'segment'>);

export async function recoverSession(
  directory: string,
  append: (entry: NewEntry) => Promise<void> = async (entry) => appendTo(directory, entry),
): Promise<void> {
  const segments = segmentsIn(directory);
  const unfinished: UnfinishedSession = {
    session,
    target: 'db',
    protocol: 'postgres',
    openedAt: new Date(openedAtMs).toISOString(),
    lastSegment: segments.at(-1)?.index ?? null,
    totals: segments.reduce((totals, segment) => addSegment(totals, segment), {
      segments: 0,
      commands: 0,
      bytes: 0,
      rawBytes: 0,
      redactions: 0,
    }),
  };
  const { sessions } = await recover({ directory, unfinished: [unfinished], append });
  const after = segmentsIn(directory);
  assert.equal(sessions[0]!.lastSegment, after.at(-1)?.index ?? null);
  assert.equal(sessions[0]!.totals.segments, after.length);
  assert.equal(
    sessions[0]!.totals.rawBytes,
    after.reduce((sum, { rawBytes }) => sum + rawBytes, 0),
  );
}

/** The log and the files agree, nothing else is there, and all that was delivered is in the record. */
export function checkRecord(directory: string, delivered: readonly number[]): void {
  const recording = sessionDirectory(directory, openedAtMs, session);
  const segments = segmentsIn(directory);
  assert.deepEqual(
    segments.map(({ index }) => index),
    segments.map((_, index) => index),
  );
  const files = existsSync(recording) ? readdirSync(recording).toSorted() : [];
  assert.deepEqual(files, segments.map(({ index }) => `${index}.cbor.zst`).toSorted());
  const rows = new Set<string>();
  for (const { index, sha256, bytes, rawBytes, commands } of segments) {
    const stored = readFileSync(path.join(recording, `${index}.cbor.zst`));
    assert.equal(createHash('sha256').update(stored).digest('hex'), sha256);
    assert.equal(stored.length, bytes);
    const raw = zstdDecompressSync(stored);
    assert.equal(raw.length, rawBytes);
    const records = [...readRecords(raw)];
    assert.deepEqual(
      { ...records[0], t: 0 },
      { kind: 'segment', t: 0, session, index, protocol: 'postgres' },
    );
    assert.equal(records.filter(({ kind }) => kind === 'command').length, commands);
    for (const record of records)
      if (record.kind === 'output' && record.bytes.length < 100) rows.add(String(record.bytes));
  }
  for (const command of delivered) assert.ok(rows.has(`row ${command}`), `row ${command} was delivered`);
}
