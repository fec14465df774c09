import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { readRecords, type SegmentRecord } from '../../../src/evidence/recording/records.ts';
import { unknownFacts } from '../../../src/model/command-facts.ts';
import type { NewEntry } from '../../../src/evidence/entry.ts';
import { CommandAssembler } from '../../../src/evidence/read/commands.ts';
import { openFixture, session } from './fixture.ts';

const bytes = (text: string): Buffer => Buffer.from(text);
const sealedRecords = (directory: string, index: number): SegmentRecord[] => [
  ...readRecords(zstdDecompressSync(readFileSync(path.join(directory, `${index}.cbor.zst`)))),
];

const text = (statement: number): string => `${statement} `.padEnd(60_000, '.');

test('statements: memory holds some of their texts, and the reader those of one segment', async () => {
  await using fixture = openFixture();
  const { recorder, recordingDirectory } = fixture;
  const count = 300; // 18 MB
  for (let statement = 1; statement <= count; statement++)
    recorder.statement(1, statement, bytes(text(statement)), [], unknownFacts);
  for (const statement of [1, count, 1, count])
    recorder.command(1, statement, statement, null, 'allow', null, null);
  const { lastSegmentIndex } = await recorder.close();
  const reader = new CommandAssembler();
  const read: string[] = [];
  const told: number[] = [];
  for (let index = 0; index <= lastSegmentIndex!; index++) {
    for (const record of sealedRecords(recordingDirectory, index)) {
      if (record.kind === 'statement' && Buffer.isBuffer(record.text)) told.push(record.text.length);
      const command = reader.take(record);
      if (command !== null) read.push(command.text);
    }
  }
  assert.deepEqual(read, [text(1), text(count), text(1), text(count)]);
  const kept = told.reduce((sum, length) => sum + length, 0);
  assert.ok(kept < 16 * 1024 * 1024 + 2 * 60_000, String(kept));
});

test('what was flushed is in the open file before flush returns; closing seals it and commits it to the log', async () => {
  await using fixture = openFixture();
  const { recorder, recordingDirectory } = fixture;
  recorder.connectionOpened(1, { parameters: { user: 'ana', database: 'app' }, serverVersion: '15.18' });
  recorder.command(1, 1, bytes('select 1'), null, 'allow', null, null);
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
      { kind: 'segment', session, index: 0, protocol: 'postgres', allocated: false },
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
        facts: null,
        review: null,
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
      originals: null,
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

test('a segment closes at its size; a statement is told again in each later segment that uses it', async () => {
  await using fixture = openFixture();
  const { recorder, recordingDirectory } = fixture;
  recorder.statement(1, 7, bytes('select $1'), [23], unknownFacts);
  for (let command = 1; command <= 3; command++) {
    recorder.command(1, command, 7, bytes('bound'), 'allow', null, null);
    recorder.output(1, command, Buffer.alloc(1_048_500, command));
    recorder.flush();
  }
  recorder.forgetStatement(7);
  assert.throws(() => recorder.command(1, 4, 7, null, 'allow', null, null), { code: 'recording-failed' });
  const { lastSegmentIndex, totals } = await recorder.close();
  assert.equal(lastSegmentIndex, 2);
  assert.equal(totals.commands, 3);
  for (const index of [0, 1, 2]) {
    const records = sealedRecords(recordingDirectory, index);
    assert.deepEqual(
      records.slice(0, 4).map(({ kind }) => kind),
      ['segment', 'facts', 'statement', 'command'],
    );
    const outputs = records.flatMap((record) => (record.kind === 'output' ? [record.bytes] : []));
    assert.ok(Buffer.concat(outputs).equals(Buffer.alloc(1_048_500, index + 1)));
    assert.ok(outputs.every((piece) => piece.length <= 262_144));
  }
});

test('content over 64 KiB stands apart, across segments, and nothing of it is trimmed', async () => {
  await using fixture = openFixture();
  const { recorder, recordingDirectory } = fixture;
  const text = Buffer.from(randomBytes(65_000).toString('hex').repeat(25));
  const parameters = Buffer.alloc(70_000, 'p');
  recorder.command(1, 1, text, parameters, 'allow', null, null);
  recorder.statement(1, 1, text, [], unknownFacts);
  recorder.command(1, 2, 1, null, 'deny', null, null);
  recorder.flush();
  const { lastSegmentIndex } = await recorder.close();
  assert.ok(lastSegmentIndex! >= 2);
  const assembler = new CommandAssembler();
  const commands = [];
  for (let index = 0; index <= lastSegmentIndex!; index++)
    for (const record of sealedRecords(recordingDirectory, index)) {
      const command = assembler.take(record);
      if (command !== null) commands.push(command);
    }
  assert.deepEqual(
    commands.map(({ command, verdict }) => ({ command, verdict })),
    [
      { command: 1, verdict: 'allow' },
      { command: 2, verdict: 'deny' },
    ],
  );
  assert.ok(commands.every((command) => command.text === text.toString()));
  assert.deepEqual(commands[0]!.parameters, [`\\x${parameters.toString('hex')}`]);
});

test('a session that rests gives its segment away, with what nobody flushed', async () => {
  const appended = Promise.withResolvers<NewEntry>();
  await using fixture = openFixture(
    { segmentAgeMs: 10 },
    { append: async (entry) => appended.resolve(entry) },
  );
  fixture.recorder.outcome(1, 1, { kind: 'cancelled', tag: null, rows: 0, errorCode: '57014' });
  assert.equal((await appended.promise).kind, 'segment');
  assert.equal(sealedRecords(fixture.recordingDirectory, 0).at(-1)?.kind, 'outcome');
  await fixture.recorder.close();
});

test('times never decrease, whatever the clock says', async () => {
  const readings = [1000, 1005, 1003, 1008];
  let at = 0;
  const clock = { wallMs: () => 0, monotonicMs: () => readings[Math.min(at++, 3)]! };
  await using fixture = openFixture({ clock });
  for (let command = 1; command <= 4; command++) {
    fixture.recorder.command(1, command, bytes('x'), null, 'allow', null, null);
    fixture.recorder.flush();
  }
  await fixture.recorder.close();
  const times = sealedRecords(fixture.recordingDirectory, 0).map(({ t }) => t);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  assert.equal(times.at(-1), 8000);
});
