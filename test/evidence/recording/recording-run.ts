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
import { parseRecipient } from '../../../src/evidence/recording/age.ts';
import { openOriginals, readSealed } from '../../../src/evidence/read/originals.ts';
import { openedAtMs, openFixture, session } from './fixture.ts';

/** An auditor of these tests alone; the killed child seals to it, its parent opens. */
const identity = 'AGE-SECRET-KEY-1LQXAYCXVX6TG2HGRQKKQNXVKTEL5ELTZPHENAQ38E2URTNQUHXSSSK0DU4';
const auditors = [parseRecipient('age1r7z284p637v2y3vvd0p5ugpwfqlvdtauzunqkjut42wc7umv9s8sxw23uv')!];

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
  const { recorder, sealer } = openFixture({ directory, originals: auditors }, { append });
  for (let command = 1; command <= 6; command++) {
    recorder.command(1, command, Buffer.from(`select ${command}`), null, 'allow', null, null);
    // Fills a segment: the next command begins another.
    if (command % 2 === 0) recorder.output(1, command, Buffer.alloc(1_100_000, 'z'));
    const original = Buffer.from(`original ${command}`);
    const place = { row: 0, column: 0, offset: 0, length: original.length };
    recorder.redaction(1, command, 'rule', place, original);
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
export async function checkRecord(directory: string, delivered: readonly number[]): Promise<void> {
  const recording = sessionDirectory(directory, openedAtMs, session);
  const segments = segmentsIn(directory);
  assert.deepEqual(
    segments.map(({ index }) => index),
    segments.map((_, index) => index),
  );
  const files = existsSync(recording) ? readdirSync(recording).toSorted() : [];
  const expected = segments.flatMap(({ index, sealed }) => [
    `${index}.cbor.zst`,
    ...(sealed === null ? [] : [`${index}.age`]),
  ]);
  assert.deepEqual(files, expected.toSorted());
  const rows = new Set<string>();
  for (const { index, sha256, bytes, rawBytes, commands, redactions, sealed } of segments) {
    const stored = readFileSync(path.join(recording, `${index}.cbor.zst`));
    assert.equal(createHash('sha256').update(stored).digest('hex'), sha256);
    assert.equal(stored.length, bytes);
    const raw = zstdDecompressSync(stored);
    assert.equal(raw.length, rawBytes);
    const records = [...readRecords(raw)];
    assert.deepEqual(
      { ...records[0], t: 0 },
      { kind: 'segment', t: 0, session, index, protocol: 'postgres', allocated: false },
    );
    assert.equal(records.filter(({ kind }) => kind === 'command').length, commands);
    assert.equal(
      records.reduce((sum, record) => sum + (record.kind === 'redactions' ? record.count : 0), 0),
      redactions,
    );
    assert.equal(
      records.some(({ kind }) => kind === 'originals'),
      sealed === null && redactions > 0,
    );
    if (sealed !== null) {
      const age = readFileSync(path.join(recording, `${index}.age`));
      assert.equal(createHash('sha256').update(age).digest('hex'), sealed);
    }
    for (const record of records)
      if (record.kind === 'output' && record.bytes.length < 100) rows.add(String(record.bytes));
  }
  for (const command of delivered) assert.ok(rows.has(`row ${command}`), `row ${command} was delivered`);
  const originals = new Set<string>();
  for await (const segment of readSealed(recording))
    for (const original of (await openOriginals(segment, [identity])).originals.values())
      originals.add(String(original));
  for (const command of delivered)
    assert.ok(originals.has(`original ${command}`), `what row ${command} masked can be opened`);
}
