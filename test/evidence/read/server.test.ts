/** The record of a server's session (SSH), as it is read: events, transcript, channels, streams, and while it goes on. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readChannels } from '../../../src/evidence/read/channels.ts';
import type { EvidenceEvent } from '../../../src/evidence/read/event.ts';
import { readEvents } from '../../../src/evidence/read/events.ts';
import { readSessions, recordingOf } from '../../../src/evidence/read/sessions.ts';
import {
  followStreams,
  readStreams,
  type StreamChoice,
  type StreamItem,
} from '../../../src/evidence/read/streams.ts';
import {
  followTranscript,
  readTranscript,
  type TranscriptItem,
} from '../../../src/evidence/read/transcript.ts';
import { format } from '../../../src/evidence/export/formats.ts';
import { unknownFacts } from '../../../src/model/command-facts.ts';
import { anaSession, History, serverSession, typed } from './history.ts';

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const commands = async (directory: string): Promise<EvidenceEvent[]> =>
  (await all(readEvents(directory, {}))).filter(({ kind }) => kind === 'command');

async function recording(history: History): Promise<string> {
  const [session] = await readSessions(history.directory, { session: anaSession });
  return recordingOf(history.directory, session!);
}

const bytesOf = (items: readonly StreamItem[], kind: StreamItem['kind']): string =>
  Buffer.concat(
    items.flatMap((item) =>
      'bytes' in item && item.kind === kind ? [Buffer.from(item.bytes, 'base64')] : [],
    ),
  ).toString();

test('an event says the environment, what it was typed into, how it became known, programs, files and destinations', async () => {
  await using history = await new History().open();
  await (await serverSession(history)).end();
  const events = await commands(history.directory);
  assert.deepEqual(
    events.map(({ command, text, parent, how }) => [command, text, parent, how]),
    [
      [1, 'shell', null, null],
      [2, 'cat /etc/shadow', 1, 'reconstructed'],
      [3, 'build --all', null, null],
      [4, 'subsystem sftp', null, null],
      [5, 'get /srv/data', null, null],
      [6, 'forward local db.internal:5432', null, null],
      [7, 'exit 0', 1, 'marked'],
    ],
  );
  const [shell, line, program, , file, forward] = events;
  assert.deepEqual(shell!.parameters, ['LANG=C.UTF-8', 'TZ=UTC']);
  assert.deepEqual([line!.programs, line!.paths], [['cat'], ['/', '/etc/', '/etc/shadow']]);
  assert.equal(line!.outcome, 'unknown');
  assert.deepEqual([program!.outcome, program!.tag, program!.errorCode], ['failed', 'exit 3', 'exit 3']);
  assert.match(file!.tag!, /^3 bytes sha256:0{64}$/);
  assert.deepEqual(forward!.destinations, ['db.internal:5432']);
  const csv = (await all(format(events, 'csv'))).join('').split('\r\n');
  assert.match(
    csv[0]!,
    /,programs,paths,destinations,parent,how,acts_for_issuer,acts_for_subject,acts_for_email,protocol$/,
  );
  assert.ok(
    csv[2]!.endsWith(',"[""cat""]","[""/"",""/etc/"",""/etc/shadow""]",[],1,reconstructed,,,,ssh'),
    csv[2],
  );
});

test('environments are never read as PostgreSQL’s Bind, whatever their bytes', async () => {
  await using history = await new History().open();
  const { recorder, end } = await serverSession(history);
  const bind = Buffer.from('0000000100000002414200 00'.replaceAll(' ', ''), 'hex');
  recorder.command(1, 8, Buffer.from('fastpath 1'), bind, 'allow', unknownFacts, null);
  await end();
  const last = (await commands(history.directory)).at(-1)!;
  assert.equal(last.parameters!.join('\0'), bind.toString());
});

/** `1 text output …`, without time. */
const said = ({ micros: _micros, connection, command: _command, kind, ...rest }: TranscriptItem): string =>
  JSON.stringify([connection, kind, ...Object.values(rest)]);

test('the transcript tells commands, lines under their shell, streams as text, files and exit codes', async () => {
  await using history = await new History().open();
  await (await serverSession(history)).end();
  const items = await all(readTranscript(await recording(history)));
  assert.deepEqual(
    items.map(said),
    [
      [1, 'connected', { channel: 'shell', term: 'xterm' }],
      [1, 'command', 'shell', ['LANG=C.UTF-8', 'TZ=UTC'], null],
      [1, 'window', 100, 30],
      [1, 'text', 'output', 'ls; echo '],
      [1, 'text', 'output', 'é\r\n'],
      [1, 'text', 'input', '**\r'],
      [1, 'command', 'cat /etc/shadow', null, { parent: 1, how: 'reconstructed' }],
      [1, 'outcome', 'unknown', null],
      [2, 'connected', { channel: 'exec' }],
      [2, 'command', 'build --all', null, null],
      [2, 'text', 'output', 'one\ntw'],
      [2, 'text', 'error-output', 'warning: é\n'],
      [2, 'text', 'output', 'o\n'],
      [2, 'complete', 'exit 3'],
      [2, 'outcome', 'failed', 'exit 3'],
      [2, 'disconnected', 'ended'],
      [3, 'connected', { channel: 'subsystem' }],
      [3, 'command', 'subsystem sftp', null, null],
      [3, 'command', 'get /srv/data', null, null],
      [3, 'complete', `3 bytes sha256:${'0'.repeat(64)}`],
      [3, 'outcome', 'succeeded', null],
      [3, 'complete', 'exit 0'],
      [3, 'outcome', 'succeeded', null],
      [3, 'disconnected', 'ended'],
      [4, 'connected', { channel: 'forward' }],
      [4, 'command', 'forward local db.internal:5432', null, null],
      [4, 'text', 'input', '\\xff00'],
      [4, 'outcome', 'succeeded', null],
      [4, 'disconnected', 'ended'],
      [1, 'window', 120, 40],
      [1, 'command', 'exit 0', null, { parent: 1, how: 'marked' }],
      [1, 'text', 'output', 'end\r\n'],
      [1, 'complete', 'exit 0'],
      [1, 'outcome', 'succeeded', null],
      [1, 'complete', 'exit 0'],
      [1, 'outcome', 'succeeded', null],
      [1, 'disconnected', 'ended'],
    ].map((item) => JSON.stringify(item)),
  );
});

test('channels: what each is, its terminal, its program and how that ended', async () => {
  await using history = await new History().open();
  const { end } = await serverSession(history);
  const before = await readChannels(await recording(history));
  assert.deepEqual(
    before.map(({ channel, closedMicros }) => [channel, closedMicros === null]),
    [
      [1, true],
      [2, false],
      [3, false],
      [4, false],
    ],
  );
  await end();
  const after = await readChannels(await recording(history));
  assert.deepEqual(
    after.map(({ kind, term, text, columns, rows, outcome, tag }) => [
      kind,
      term,
      text,
      columns,
      rows,
      outcome,
      tag,
    ]),
    [
      ['shell', 'xterm', 'shell', 100, 30, 'succeeded', 'exit 0'],
      ['exec', null, 'build --all', null, null, 'failed', 'exit 3'],
      ['subsystem', null, 'subsystem sftp', null, null, 'succeeded', 'exit 0'],
      ['forward', null, 'forward local db.internal:5432', null, null, 'succeeded', null],
    ],
  );
});

test('the streams of a channel are its bytes, and of no other', async () => {
  await using history = await new History().open();
  await (await serverSession(history)).end();
  const directory = await recording(history);
  const read = (choice: StreamChoice) => all(readStreams(directory, choice));
  const shell = await read({ channel: 1, input: true });
  assert.equal(bytesOf(shell, 'output'), typed.shell + typed.resized);
  assert.equal(bytesOf(shell, 'input'), '**\r');
  assert.ok(shell.every(({ channel }) => channel === 1));
  const program = await read({ channel: 2, input: false });
  assert.deepEqual(
    program.map(({ kind }) => kind),
    ['opened', 'command', 'output', 'error-output', 'output', 'outcome', 'closed'],
  );
  assert.equal(bytesOf(await read({ channel: 1, input: false }), 'input'), '');
  assert.equal(
    (await read({ channel: null, input: true })).filter(({ kind }) => kind === 'opened').length,
    4,
  );
  assert.deepEqual(await read({ channel: 9, input: true }), []);
});

test('watched while it goes on: the terminal from its beginning, then what follows, and the end of the session', async () => {
  await using history = await new History().open();
  const { end, recorder } = await serverSession(history);
  const [session] = await readSessions(history.directory, {});
  const looks: (() => unknown)[] = [
    () => {
      recorder.output(1, 1, Buffer.from('more'));
      recorder.flush();
    },
    () => undefined,
    end,
    () => assert.fail('the session has ended'),
  ];
  const wait = async (): Promise<boolean> => {
    await looks.shift()!();
    return true;
  };
  const followed = { evidence: history.directory, session: session!, channel: null, input: false };
  const seen = await all(followStreams(followed, wait));
  const items = seen.filter((item) => item !== null);
  assert.equal(bytesOf(items, 'output'), `${typed.shell}more${typed.resized}`);
  assert.ok(items.every(({ channel, kind }) => channel === 1 || kind === 'ended'));
  assert.deepEqual(items.at(-1), { micros: 0, channel: 0, kind: 'ended', outcome: 'ended' });
  assert.equal(seen.filter((item) => item === null).length, 3);
});

test('watched: one channel after another, those that come later too; the transcript as well', async () => {
  await using history = await new History().open();
  const { end, recorder } = await serverSession(history);
  const [session] = await readSessions(history.directory, {});
  const exec = (connection: number, text: string): void => {
    recorder.connectionOpened(connection, { parameters: { channel: 'exec' }, serverVersion: null });
    recorder.output(connection, connection, Buffer.from(text));
    recorder.connectionClosed(connection, 'ended');
    recorder.flush();
  };
  const looks = (): (() => Promise<boolean>) => {
    const left = [() => exec(5, 'five '), () => exec(6, 'six'), end];
    return async () => {
      await left.shift()?.();
      return true;
    };
  };
  const followed = { evidence: history.directory, session: session!, channel: null, input: false };
  const seen = (await all(followStreams(followed, looks()))).filter((item) => item !== null);
  // The shell was open all the time; the programs that ended meanwhile come after it.
  assert.equal(bytesOf(seen, 'output'), `${typed.shell}${typed.resized}five six`);
  assert.deepEqual(
    seen.flatMap((item) => (item.kind === 'opened' ? [item.channel] : [])),
    [1, 5, 6],
  );
  const told = (await all(followTranscript(history.directory, session!, async () => true))).filter(
    (item) => item !== null,
  );
  assert.deepEqual(told, await all(readTranscript(await recording(history))));
});
