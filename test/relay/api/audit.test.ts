import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import fastify, { type FastifyInstance } from 'fastify';
import type { EntryOf } from '../../../src/evidence/entry.ts';
import { readEntries } from '../../../src/evidence/read/entries.ts';
import { auditRoutes, ReadEntries, type AuditRoutesOptions } from '../../../src/relay/api/audit.ts';
import { logRoutes } from '../../../src/relay/api/log.ts';
import { sendProblem } from '../../../src/relay/api/problem.ts';
import {
  ChannelList,
  EventView,
  SessionList,
  SessionSummaryView,
  StreamView,
  TranscriptView,
} from '../../../src/wire/audit.ts';
import type { LoginId } from '../../../src/model/ids.ts';
import {
  anaLogin,
  anaSession,
  benSession,
  History,
  serverSession,
  twoSessions,
} from '../../evidence/read/history.ts';

/** Who lost the sign-in, or the right, while an answer went on. */
const signedOut = new Set<string>();
const notAllowed = new Set<string>();

/** Signatures are `readers.test.ts`'s matter. `x-reader: lea` may read everything, `ana` her own session, anybody else nothing. */
const authorizeRead: AuditRoutesOptions['authorizeRead'] = async (request) => {
  const subject = String(request.headers['x-reader']);
  const principal = {
    kind: 'person' as const,
    issuer: 'https://id.example',
    subject,
    email: null,
    groups: [],
    actsFor: null,
  };
  return {
    principal,
    login: anaLogin as LoginId,
    signed: async () => 'a.b.c',
    stepUp: null,
    isSignedIn: async () => !signedOut.has(subject),
    mayUnseal: () => subject === 'uma',
    mayRead: (session) =>
      !notAllowed.has(subject) &&
      (subject === 'uma' || subject === 'lea' || (session !== null && session.principal.subject === subject)),
  };
};

const published = { covered: () => Promise.resolve() };
const signer = NoteSigner.generate('relay.example/log');

/** @param told hears why an answer that was under way was ended */
function openApi(history: History, told: (line: string) => void = () => undefined): FastifyInstance {
  const app = fastify({ logger: { level: 'info', stream: { write: told } } });
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error));
  const entries = new ReadEntries((entry) => history.append(entry));
  auditRoutes(app, {
    directory: history.directory,
    reads: entries,
    tailIntervalMs: 5,
    askAgainMs: 20,
    authorizeRead,
    signer,
  });
  logRoutes(app, {
    directory: path.join(history.directory, 'log'),
    reads: entries,
    authorizeRead,
    log: published,
  });
  return app;
}

async function reads(history: History): Promise<string[]> {
  const found: string[] = [];
  for await (const { entry } of readEntries(history.directory))
    if (entry.kind === 'evidence.read') found.push(said(entry));
  return found;
}

const said = ({ actor, action, session, filters }: EntryOf<'evidence.read'>): string =>
  JSON.stringify([actor.kind === 'relay' ? null : actor.subject, action, session, filters]);

test('each answer is preceded by an entry that says who read what; who may not read gets nothing and leaves none', async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  await using app = openApi(history);
  const ask = async (reader: string, url: string) => app.inject({ url, headers: { 'x-reader': reader } });

  const list = SessionList.parse((await ask('lea', '/v1/audit/sessions?target=db-prod')).json());
  assert.deepEqual(
    list.sessions.map(({ session }) => session),
    [anaSession, benSession],
  );
  const own = SessionList.parse((await ask('ana', '/v1/audit/sessions')).json());
  assert.deepEqual(
    own.sessions.map(({ session }) => session),
    [anaSession],
  );
  const shown = SessionSummaryView.parse((await ask('ana', `/v1/audit/sessions/${anaSession}`)).json());
  assert.equal(shown.totals.commands, 3);
  const replayed = (await ask('lea', `/v1/audit/sessions/${benSession}/transcript`)).body.trim().split('\n');
  assert.deepEqual(
    replayed.map((line) => TranscriptView.parse(JSON.parse(line)).kind),
    ['connected', 'command', 'outcome'],
  );
  const exported = (await ask('lea', '/v1/audit/events?person=ben')).body.trim().split('\n');
  assert.deepEqual(
    exported.map((line) => EventView.parse(JSON.parse(line)).kind),
    ['login', 'session.opened', 'command', 'session.closed'],
  );
  assert.equal((await ask('ana', `/v1/audit/events?session=${anaSession}`)).statusCode, 200);
  const expected = [
    ['lea', 'sessions', null, { target: 'db-prod' }],
    ['ana', 'sessions', null, {}],
    ['ana', 'show', anaSession, {}],
    ['lea', 'replay', benSession, {}],
    ['lea', 'export', null, { person: 'ben' }],
    ['ana', 'export', anaSession, {}],
  ].map((entry) => JSON.stringify(entry));
  assert.deepEqual(await reads(history), expected);

  const refusals: [string, string, number, string][] = [
    ['eve', '/v1/audit/sessions', 403, 'evidence-denied'],
    ['ana', '/v1/audit/events', 403, 'evidence-denied'],
    ['ana', `/v1/audit/events?session=${benSession}`, 403, 'evidence-denied'],
    ['ana', `/v1/audit/sessions/${benSession}`, 404, 'evidence-not-found'],
    ['ana', `/v1/audit/sessions/${benSession}/transcript`, 404, 'evidence-not-found'],
    ['ana', '/v1/audit/files', 403, 'evidence-denied'],
    ['ana', '/v1/audit/tail', 403, 'evidence-denied'],
    ['lea', '/v1/audit/events?persn=ben', 400, 'request-invalid'],
    ['lea', '/v1/audit/events?from=yesterday', 400, 'request-invalid'],
    ['lea', '/v1/audit/sessions/..%2f..', 404, 'evidence-not-found'],
  ];
  for (const [reader, url, status, code] of refusals) {
    const answer = await ask(reader, url);
    assert.deepEqual([url, answer.statusCode, answer.json<{ code: string }>().code], [url, status, code]);
  }
  assert.deepEqual(await reads(history), expected);
});

const items = (body: string): StreamView[] =>
  body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => StreamView.parse(JSON.parse(line)));

test('a server’s session: channels, streams of one of them, and as it goes on until it ends; each leaves its entry first', async () => {
  await using history = await new History().open();
  const { end } = await serverSession(history);
  await using app = openApi(history);
  const base = `/v1/audit/sessions/${anaSession}`;
  const ask = async (reader: string, url: string) =>
    app.inject({ url: `${base}${url}`, headers: { 'x-reader': reader } });

  const { channels } = ChannelList.parse((await ask('lea', '/channels')).json());
  assert.deepEqual(
    channels.map(({ channel, kind }) => `${channel} ${kind}`),
    ['1 shell', '2 exec', '3 subsystem', '4 forward'],
  );
  const read = items((await ask('lea', '/streams?channel=2&input=true')).body);
  assert.deepEqual([...new Set(read.map(({ channel }) => channel))], [2]);
  const watching = ask('lea', '/streams?follow=true');
  const alsoWatching = ask('ana', '/transcript?follow=true');
  while ((await reads(history)).length < 4) await new Promise((resolve) => setImmediate(resolve));
  await end();
  assert.deepEqual(items((await watching).body).at(-1)!.kind, 'ended');
  const told = (await alsoWatching).body.split('\n').filter((line) => line !== '');
  assert.equal(TranscriptView.parse(JSON.parse(told.at(-1)!)).kind, 'disconnected');
  assert.deepEqual((await reads(history)).slice(0, 2), [
    JSON.stringify(['lea', 'show', anaSession, {}]),
    JSON.stringify(['lea', 'replay', anaSession, { channel: '2', input: 'true' }]),
  ]);
  assert.deepEqual((await reads(history)).slice(2).toSorted(), [
    JSON.stringify(['ana', 'replay', anaSession, { follow: 'true' }]),
    JSON.stringify(['lea', 'replay', anaSession, { follow: 'true' }]),
  ]);

  assert.equal((await ask('ben', '/channels')).statusCode, 404);
  assert.equal((await ask('ben', '/streams')).statusCode, 404);
  for (const url of ['/streams?channel=0', '/streams?channel=x', '/streams?follow=maybe', '/transcript?x=1'])
    assert.equal((await ask('lea', url)).statusCode, 400, url);
  assert.equal((await reads(history)).length, 4);
});

test('the manifest names every file of the log and of the recordings, and only those can be fetched', async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  await history.publish();
  writeFileSync(path.join(history.directory, 'secret'), 'not evidence');
  // Both sign-ins of this history name the same token.
  const proof = `logins/2026/11/21/${'0'.repeat(64)}.jwt`;
  mkdirSync(path.join(history.directory, path.dirname(proof)), { recursive: true });
  writeFileSync(path.join(history.directory, proof), 'a.b.c');
  await using app = openApi(history);
  const ask = async (reader: string, url: string) => app.inject({ url, headers: { 'x-reader': reader } });
  const manifest = (await ask('lea', '/v1/audit/files')).body
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { path: string; bytes: number });
  const day = 'recordings/2026/11/21';
  assert.deepEqual(
    manifest.map((file) => file.path),
    [
      'log/checkpoint',
      'log/tile/entries/000.p/8',
      'log/tile/0/000.p/8',
      proof,
      `${day}/${anaSession}/0.cbor.zst`,
      `${day}/${benSession}/0.cbor.zst`,
    ],
  );
  for (const file of manifest) {
    const answer = await ask('lea', `/v1/audit/file?path=${encodeURIComponent(file.path)}`);
    assert.equal(answer.rawPayload.length, file.bytes);
  }
  // Each session's files, and the log's, are one act of reading.
  assert.equal((await reads(history)).length, 1 + 3);
  const hostile = ['secret', 'log/journal', 'log/lock', 'log/../secret', `${day}/${anaSession}/../../secret`];
  hostile.push(
    `${day}/${anaSession}/0.cbor`,
    `${day}/../../../../../etc/passwd`,
    '/etc/passwd',
    `logins/2026/11/21/../${'0'.repeat(64)}.jwt`,
    `logins/2026/11/21/${'0'.repeat(64)}.txt`,
    `logins/2026/11/21/${'1'.repeat(64)}.jwt`,
    'issuers/../secret',
    'log//checkpoint',
    '',
  );
  for (const file of hostile) {
    const answer = await ask('lea', `/v1/audit/file?path=${encodeURIComponent(file)}`);
    assert.equal(answer.statusCode, 404, file);
  }
  assert.equal((await ask('ana', `/v1/audit/file?path=${day}/${anaSession}/0.cbor.zst`)).statusCode, 200);
  assert.equal((await ask('ana', `/v1/audit/file?path=${day}/${benSession}/0.cbor.zst`)).statusCode, 403);
  assert.equal((await ask('ana', `/v1/audit/file?path=${proof}`)).statusCode, 403);
});

test('the log as C2SP says: types, caching, nothing but its own files; entries are for readers of evidence', async () => {
  await using history = await new History().open();
  await history.login('01JD0000000000000000000009', 'ana');
  await history.publish();
  await using app = openApi(history);
  const checkpoint = await app.inject({ url: '/log/checkpoint' });
  assert.match(checkpoint.body, /^relay\.example\/log\n1\n/);
  assert.equal(checkpoint.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(checkpoint.headers['cache-control'], 'no-cache');
  const tile = await app.inject({ url: '/log/tile/0/000.p/1' });
  assert.equal(tile.rawPayload.length, 32);
  assert.equal(tile.headers['content-type'], 'application/octet-stream');
  assert.match(String(tile.headers['cache-control']), /immutable/);
  const entries = '/log/tile/entries/000.p/1';
  assert.equal((await app.inject({ url: entries, headers: { 'x-reader': 'lea' } })).statusCode, 200);
  assert.equal((await app.inject({ url: entries, headers: { 'x-reader': 'ana' } })).statusCode, 403);
  assert.deepEqual(await reads(history), [JSON.stringify(['lea', 'files', null, {}])]);
  for (const url of [
    '/log/tile/0/000',
    '/log/journal',
    '/log/lock',
    '/log/tile/0/..%2f..%2fjournal',
    '/log/tile/%2e%2e/journal',
    '/log/tile/0/0',
  ])
    assert.equal((await app.inject({ url })).statusCode, 404, url);
});

test('tail begins with an empty line, then tells what happens, and ends when the caller hangs up', async () => {
  await using history = await new History().open();
  const app = openApi(history);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const headers = { 'x-reader': 'lea' };
  const request = get({ host: '127.0.0.1', port, path: '/v1/audit/tail', headers });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  const lines = createInterface({ input: answer })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, '');
  const close = await twoSessions(history);
  const kinds: string[] = [];
  while (kinds.filter((kind) => kind === 'command').length < 3) {
    const line = String((await lines.next()).value);
    // An empty one says that all there was has been told.
    if (line !== '') kinds.push(EventView.parse(JSON.parse(line)).kind);
  }
  assert.deepEqual(kinds.slice(0, 4), ['login', 'login', 'session.opened', 'session.opened']);
  await close();
  request.destroy();
  // Resolves only when no answer is under way any more.
  await app.close();
});

const live = ['/v1/audit/tail', '/v1/audit/stream?next=0', `/v1/audit/sessions/${anaSession}/streams?follow=true`, `/v1/audit/sessions/${anaSession}/transcript?follow=true`]; // prettier-ignore

for (const [what, gone] of [
  ['sign-in', signedOut],
  ['right', notAllowed],
] as const)
  test(
    `a live read ends with the reader’s ${what}: cut off, so that it passes for no whole answer`,
    { timeout: 30_000 },
    async () => {
      await using history = await new History().open();
      await serverSession(history);
      await history.publish();
      const log: string[] = [];
      const app = openApi(history, (line) => log.push(line));
      try {
        const url = new URL(await app.listen({ port: 0, host: '127.0.0.1' }));
        const answers = await Promise.all(
          live.map(async (at) => {
            const answer = await fetch(new URL(at, url), { headers: { 'x-reader': 'lea' } });
            assert.equal(answer.status, 200, at);
            const reader = answer.body!.getReader();
            await reader.read();
            return reader;
          }),
        );
        gone.add('lea');
        for (const [at, reader] of answers.entries())
          await assert.rejects(
            async () => {
              while (!(await reader.read()).done);
            },
            TypeError,
            live[at],
          );
        const why = log.flatMap((line) => {
          const { err } = JSON.parse(line) as { err?: { code: string } };
          return err === undefined ? [] : [err.code];
        });
        assert.deepEqual(
          why,
          live.map(() => 'evidence-denied'),
        );
      } finally {
        gone.clear();
        await app.close();
      }
    },
  );

test('a cursor ahead of the log is refused', async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  await history.publish();
  await using app = openApi(history);
  const answer = await app.inject({ url: '/v1/audit/stream?next=1000', headers: { 'x-reader': 'lea' } });
  assert.deepEqual([answer.statusCode, answer.json<{ code: string }>().code], [409, 'log-shorter']);
  assert.deepEqual(await reads(history), [], 'nothing was read');
});
