import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { EvidenceEvent } from '../../../src/evidence/read/event.ts';
import { readEvents } from '../../../src/evidence/read/events.ts';
import type { EventFilter } from '../../../src/evidence/read/filter.ts';
import { followEvents } from '../../../src/evidence/read/follow.ts';
import { readSessions, recordingOf } from '../../../src/evidence/read/sessions.ts';
import { anaReview, anaSession, benSession, History, twoSessions } from './history.ts';

async function events(directory: string, filter: EventFilter = {}): Promise<EvidenceEvent[]> {
  const all: EvidenceEvent[] = [];
  for await (const event of readEvents(directory, filter)) all.push(event);
  return all;
}

/** `ben: command 1 succeeded`, for comparing whole histories. */
const brief = ({ principal, kind, command, outcome }: EvidenceEvent): string =>
  [principal?.subject ?? 'relay', kind, command, outcome].filter((part) => part !== null).join(' ');

const whole = [
  'ana login',
  'ben login',
  'ana session.opened',
  'ben session.opened',
  'ana command 1 succeeded',
  'ben command 1 succeeded',
  'ana command 2 blocked',
  'ana command 3 unfinished',
  'relay session.closed ended',
  'relay session.closed ended',
];

test('one history in order of time, whether segments are open or sealed and the log published or not', async () => {
  await using history = await new History().open();
  const close = await twoSessions(history);
  assert.deepEqual((await events(history.directory)).map(brief), whole.slice(0, 8));
  await history.publish();
  assert.deepEqual((await events(history.directory)).map(brief), whole.slice(0, 8));
  await close();
  const all = await events(history.directory);
  assert.deepEqual(all.map(brief), whole);
  assert.deepEqual(
    all.map(({ time }) => time),
    all.map(({ time }) => time).toSorted(),
  );
});

test('a command says who, when, where, what exactly, and how it ended', async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  const all = await events(history.directory);
  const [slow, bound, , odd] = all.filter(({ kind }) => kind === 'command');
  assert.deepEqual(slow, {
    time: '2026-11-21T12:00:00.020Z',
    kind: 'command',
    logIndex: null,
    principal: {
      kind: 'person',
      issuer: 'https://id.example',
      subject: 'ana',
      email: 'ana@example.com',
      groups: ['engineering'],
      actsFor: null,
    },
    session: anaSession,
    target: 'db-prod',
    task: 'migration',
    reason: 'because',
    connection: 1,
    command: 1,
    endedAt: '2026-11-21T12:00:00.050Z',
    durationMs: 30,
    text: 'select pg_sleep(1) -- café',
    textBytes: null,
    parameters: null,
    outcome: 'succeeded',
    tag: 'SELECT 1',
    rows: 1,
    errorCode: null,
    effects: ['read'],
    relations: [],
    functions: ['pg_sleep'],
    review: anaReview,
    redactions: 0,
    details: null,
    programs: [],
    paths: [],
    destinations: [],
    parent: null,
    how: null,
    protocol: 'postgres',
  });
  assert.equal(bound!.text, 'select $1::int, $2');
  assert.deepEqual(bound!.parameters, ['42', 'a', null]);
  // Bytes that are not the encoding's are kept beside what can be shown of them.
  assert.equal(odd!.text, 's\ufffd');
  assert.equal(odd!.textBytes, Buffer.from([0x73, 0xff]).toString('base64'));
  assert.equal(odd!.endedAt, null);
});

test('filters: person, task, session, outcome, and time', async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  const found = async (filter: EventFilter): Promise<string[]> =>
    (await events(history.directory, filter)).map(brief);
  const ofAna = whole.filter((line) => line.startsWith('ana') && !line.includes('login'));
  assert.deepEqual(await found({ task: 'migration' }), [...ofAna, 'relay session.closed ended']);
  assert.deepEqual(await found({ session: anaSession }), [...ofAna, 'relay session.closed ended']);
  assert.deepEqual(await found({ person: 'ana@example.com' }), [
    'ana login',
    ...ofAna,
    'relay session.closed ended',
  ]);
  assert.deepEqual(await found({ person: 'nobody' }), []);
  assert.deepEqual(await found({ outcome: 'blocked' }), ['ana command 2 blocked']);
  const [from, to] = ['2026-11-21T12:00:00.030Z', '2026-11-21T12:00:00.041Z'];
  assert.deepEqual(await found({ from, to }), ['ben command 1 succeeded', 'ana command 2 blocked']);
  assert.deepEqual(await found({ to: from }), whole.slice(0, 5));
  const sessions = async (filter: EventFilter) =>
    (await readSessions(history.directory, filter)).map(({ session }) => session);
  assert.deepEqual(await sessions({}), [anaSession, benSession]);
  assert.deepEqual(await sessions({ person: 'ben', target: 'db-prod', outcome: 'ended' }), [benSession]);
  assert.deepEqual(await sessions({ from: '2026-11-22T00:00:00.000Z' }), []);
  assert.deepEqual(await sessions({ outcome: 'killed' }), []);
});

test('a damaged recording is told in its place, and the rest of the history is read', async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  const [session] = await readSessions(history.directory, { session: benSession });
  const recording = recordingOf(history.directory, session!);
  writeFileSync(path.join(recording, '0.cbor.zst'), 'no segment');
  const damaged = (await events(history.directory)).map(brief);
  assert.deepEqual(
    damaged.toSorted(),
    [...whole.filter((line) => line !== whole[5]), 'ben unreadable'].toSorted(),
  );
  for (const file of readdirSync(recording)) rmSync(path.join(recording, file));
  assert.deepEqual(
    (await events(history.directory)).map(brief),
    whole.filter((line) => line !== whole[5]),
  );
});

test('followed live: what was there is not told, then each entry and each ended command once', async () => {
  await using history = await new History().open();
  const seen: string[] = [];
  const looks: (() => Promise<unknown>)[] = [];
  let close: (() => Promise<void>) | null = null;
  await history.login('01JD0000000000000000000009', 'early');
  looks.push(
    async () => (close = await twoSessions(history)),
    async () => {},
    async () => close?.(),
    async () => {},
  );
  const wait = async (): Promise<boolean> => {
    const look = looks.shift();
    await look?.();
    return look !== undefined;
  };
  for await (const event of followEvents(history.directory, {}, wait))
    if (event !== null) seen.push(brief(event));
  assert.deepEqual(seen.toSorted(), whole.filter((line) => !line.includes('unfinished')).toSorted());
});
