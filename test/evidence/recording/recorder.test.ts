import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { readRecords, type SegmentRecord } from '../../../src/evidence/recording/records.ts';
import { openFixture, session } from './fixture.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const sealedRecords = (directory: string, index: number): SegmentRecord[] => [
  ...readRecords(zstdDecompressSync(readFileSync(path.join(directory, `${index}.cbor.zst`)))),
];

test('what was flushed is in the open file before flush returns; closing seals it and commits it to the log', async () => {
  await using fixture = openFixture();
  const { recorder, recordingDirectory } = fixture;
  recorder.connectionOpened(1, { parameters: { user: 'ana', database: 'app' }, serverVersion: '15.18' });
  recorder.command(1, 1, bytes('select 1'), null, 'allow');
  assert.equal(existsSync(recordingDirectory), false);
  recorder.flush();
  const open = path.join(recordingDirectory, '0.cbor');
  assert.deepEqual(
    [...readRecords(readFileSync(open))].map(({ kind }) => kind),
    ['segment', 'connection', 'command'],
  );
  assert.equal(statSync(open).mode & 0o777, 0o600);
  assert.equal(statSync(recordingDirectory).mode & 0o777, 0o700);

  recorder.output(1, 1, bytes('DATA'));
  recorder.outcome(1, 1, { kind: 'succeeded', tag: 'SELECT 1', rows: 1, errorCode: null });
  recorder.connectionClosed(1, 'terminated');
  const closed = await recorder.close();
  assert.deepEqual(readdirSync(recordingDirectory), ['0.cbor.zst']);
  const stored = readFileSync(path.join(recordingDirectory, '0.cbor.zst'));
  const records = sealedRecords(recordingDirectory, 0);
  assert.deepEqual(
    records.map((record) => Object.fromEntries(Object.entries(record).filter(([key]) => key !== 't'))),
    [
      { kind: 'segment', session, index: 0, protocol: 'postgres' },
      {
        kind: 'connection',
        connection: 1,
        parameters: new Map([
          ['user', 'ana'],
          ['database', 'app'],
        ]),
        serverVersion: '15.18',
      },
      {
        kind: 'command',
        connection: 1,
        command: 1,
        text: bytes('select 1'),
        parameters: null,
        verdict: 'allow',
      },
      { kind: 'output', connection: 1, command: 1, bytes: bytes('DATA') },
      {
        kind: 'outcome',
        connection: 1,
        command: 1,
        outcome: 'succeeded',
        tag: 'SELECT 1',
        rows: 1,
        errorCode: null,
      },
      { kind: 'connection-closed', connection: 1, reason: 'terminated' },
    ],
  );
  const rawBytes = zstdDecompressSync(stored).length;
  assert.deepEqual(fixture.entries, [
    {
      kind: 'segment',
      actor: { kind: 'relay' },
      session,
      index: 0,
      sha256: createHash('sha256').update(stored).digest('hex'),
      bytes: stored.length,
      rawBytes,
      firstMicros: records[0]!.t,
      lastMicros: records.at(-1)!.t,
      commands: 1,
      redactions: 0,
      sealed: null,
    },
  ]);
  assert.deepEqual(closed, {
    lastSegmentIndex: 0,
    totals: { segments: 1, commands: 1, bytes: stored.length, rawBytes, redactions: 0 },
  });
});

test('a session without a record leaves no file and no segment', async () => {
  await using fixture = openFixture();
  assert.deepEqual(await fixture.recorder.close(), {
    lastSegmentIndex: null,
    totals: { segments: 0, commands: 0, bytes: 0, rawBytes: 0, redactions: 0 },
  });
  assert.equal(existsSync(fixture.recordingDirectory), false);
});
