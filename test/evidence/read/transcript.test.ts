import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readTranscript, type TranscriptItem } from '../../../src/evidence/read/transcript.ts';
import { cstring, encodeMessage, int32 } from '../../../src/protocols/postgres/messages/frame.ts';
import { openFixture } from '../recording/fixture.ts';
import { unknownFacts } from '../../../src/model/command-facts.ts';
import { bind } from './history.ts';

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);

/** A RowDescription of int4 columns, in text format as Describe of a statement says it. */
const described = (...names: string[]): Buffer =>
  encodeMessage(
    'T',
    int16(names.length),
    ...names.flatMap((name) => [cstring(name), int32(0), int16(0), int32(23), int16(4), int32(-1), int16(0)]),
  );
const row = (...values: (Buffer | null)[]): Buffer =>
  encodeMessage(
    'D',
    int16(values.length),
    ...values.flatMap((value) => (value === null ? [int32(-1)] : [int32(value.length), value])),
  );
const complete = (tag: string): Buffer => encodeMessage('C', cstring(tag));
const succeeded = { kind: 'succeeded', tag: null, rows: 0, errorCode: null } as const;

/** Without time and place, as JSON arrays of what is said. */
const brief = ({
  micros: _micros,
  connection: _connection,
  command: _command,
  kind,
  ...rest
}: TranscriptItem) => [kind, ...Object.values(rest)] as unknown[];

test('what came back is decoded whatever way it was cut, and a described statement is read as it was asked for', async () => {
  for (const cut of [1, 3, 7, 100_000]) {
    await using fixture = openFixture();
    const { recorder, recordingDirectory } = fixture;
    const output = (command: number, ...messages: Buffer[]): void => {
      const bytes = Buffer.concat(messages);
      for (let at = 0; at < bytes.length; at += cut)
        recorder.output(1, command, bytes.subarray(at, at + cut));
    };
    recorder.connectionOpened(1, { parameters: { user: 'ana' }, serverVersion: '15.18' });
    recorder.command(1, 1, Buffer.from('select 1 as a, null as b'), null, 'allow', null, null);
    output(1, described('a', 'b'), row(Buffer.from('1'), null), complete('SELECT 1'));
    recorder.outcome(1, 1, succeeded);
    // Described once, then run twice with binary results.
    recorder.statement(1, 1, Buffer.from('select $1::int as n'), [23], unknownFacts);
    output(0, described('n'));
    const asked = Buffer.concat([bind([['00000007', 1]]).subarray(0, -2), int16(1), int16(1)]);
    for (const command of [2, 3]) {
      recorder.command(1, command, 1, asked, 'allow', null, null);
      output(command, row(Buffer.from([0, 0, 0, 7])), complete('SELECT 1'));
      recorder.outcome(1, command, succeeded);
    }
    recorder.command(1, 4, Buffer.from('nonsense'), null, 'allow', null, null);
    output(
      4,
      encodeMessage('E', cstring('SERROR'), cstring('C42601'), cstring('Msyntax error'), Buffer.alloc(1)),
      encodeMessage('A', int32(1), cstring('jobs'), cstring('go')),
    );
    recorder.outcome(1, 4, { ...succeeded, kind: 'failed', errorCode: '42601' });
    recorder.connectionClosed(1, 'terminated');
    await recorder.close();
    const items: unknown[] = [];
    for await (const item of readTranscript(recordingDirectory)) items.push(brief(item));
    const run = [
      ['command', 'select $1::int as n', ['7'], null],
      ['columns', ['n']],
      ['row', ['7']],
      ['complete', 'SELECT 1'],
      ['outcome', 'succeeded', null],
    ];
    assert.deepEqual(items, [
      ['connected', { user: 'ana' }],
      ['command', 'select 1 as a, null as b', null, null],
      ['columns', ['a', 'b']],
      ['row', ['1', null]],
      ['complete', 'SELECT 1'],
      ['outcome', 'succeeded', null],
      ...run,
      ...run,
      ['command', 'nonsense', null, null],
      ['error', 'ERROR', '42601', 'syntax error', null, null],
      ['notification', 'jobs', 'go'],
      ['outcome', 'failed', '42601'],
      ['disconnected', 'terminated'],
    ]);
  }
});

test('bytes that are no messages end what is shown of their connection, and of no other', async () => {
  await using fixture = openFixture();
  const { recorder, recordingDirectory } = fixture;
  recorder.output(1, 0, Buffer.from('44000000000000', 'hex'));
  recorder.output(1, 0, complete('HIDDEN'));
  recorder.output(2, 0, complete('SHOWN'));
  await recorder.close();
  const items: unknown[] = [];
  for await (const item of readTranscript(recordingDirectory)) items.push(brief(item));
  assert.deepEqual(items, [['unreadable'], ['complete', 'SHOWN']]);
});
