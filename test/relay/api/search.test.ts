/** Searching over real HTTP with real sign-ins: what was signed, of what the reader may read, on record before the first line. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import type { EntryOf } from '../../../src/evidence/entry.ts';
import { readEntries } from '../../../src/evidence/read/entries.ts';
import type { LoginKey } from '../../../src/identity/login-key.ts';
import { makeSignedRequest } from '../../../src/identity/signed-request.ts';
import { unknownFacts } from '../../../src/model/command-facts.ts';
import type { SessionId } from '../../../src/model/ids.ts';
import { Policies } from '../../../src/policy/policies.ts';
import { ReadEntries } from '../../../src/relay/api/audit.ts';
import { evidenceReaders } from '../../../src/relay/api/evidence-readers.ts';
import { authenticate } from '../../../src/relay/api/login.ts';
import { searchRoutes } from '../../../src/relay/api/search.ts';
import { signedReadHeader, type EvidenceReadClaims } from '../../../src/wire/audit.ts';
import { askedInSearch, searchKinds, SearchView, type SearchQuery } from '../../../src/wire/search.ts';
import { anaLogin, anaSession, benSession, History, twoSessions } from '../../evidence/read/history.ts';
import { call, codeOf, logIn, newKey, startRelay, type TestRelay } from '../idp/relay.ts';

/** Lea reads everything; Tim the sessions at `logs`; Nora nothing. */
const policy = `
permit (principal in Group::"leads", action == Action::"readEvidence", resource);
permit (principal in Group::"team", action == Action::"readEvidence", resource in Target::"logs");`;
const password = 'correct horse battery';
const bulkSession = '01JD0000000000000000000007' as SessionId;

const history = await new History().open();
let relay: TestRelay;
const people = new Map<string, { key: LoginKey; token: string; login: string }>();

before(async () => {
  await (
    await twoSessions(history)
  )();
  const where = { target: 'logs', protocol: 'ssh' };
  const bulk = await history.session(bulkSession, anaLogin, 'ana', null, where);
  bulk.connectionOpened(1, { parameters: { channel: 'exec' }, serverVersion: null });
  bulk.command(1, 1, Buffer.from('select -- of logs'), null, 'allow', unknownFacts, null);
  for (let i = 0; i < 40; i++) {
    bulk.output(1, 1, Buffer.from(`line of many ${i}\n`.repeat(40_000)));
    bulk.flush();
  }
  await history.close(bulkSession, bulk);
  const policies = Policies.parse([{ name: 'policy', text: policy }]);
  relay = await startRelay({
    more: (app, { relay: publicUrl, identity, state, clock }) => {
      const authorizeRead = evidenceReaders({
        isLive: async (login) => (await state.logins.findLive(login)) !== null,
        config: { targets: new Map(), publicUrl },
        policies: () => policies,
        clock,
        replay: state.replay,
        authenticate: (request) => authenticate(identity, request),
      });
      const reads = new ReadEntries(history.append);
      searchRoutes(app, { local: history.directory, directory: history.directory, authorizeRead, reads });
    },
  });
  for (const [name, groups] of [
    ['lea', ['leads']],
    ['tim', ['team']],
    ['nora', []],
  ] as const) {
    await relay.provider.accounts.add(`${name}@example.com`, [...groups], password);
    const key = await newKey();
    const { answer } = await logIn(relay, key, [`${name}@example.com`, password]);
    people.set(name, { key, token: answer.accessToken, login: answer.login });
  }
});
after(async () => {
  await relay.close();
  await history[Symbol.asyncDispose]();
});

const query = (more: Partial<SearchQuery> = {}): SearchQuery => ({
  text: 'select',
  regex: false,
  ignoreCase: false,
  kinds: [...searchKinds],
  context: 0,
  limit: 1000,
  ...more,
});

const sign = (name: string, asked: SearchQuery, more: Partial<EvidenceReadClaims> = {}): Promise<string> =>
  makeSignedRequest<EvidenceReadClaims>(
    people.get(name)!.key,
    { v: 1, action: 'evidence.search', relay: relay.relay, ...askedInSearch(asked), ...more },
    relay.clock,
  );

const post = async (name: string, body: unknown, request: string | null): Promise<Response> =>
  call(relay, people.get(name)!.key, '/v1/audit/search', {
    method: 'POST',
    body,
    accessToken: people.get(name)!.token,
    ...(request !== null && { headers: { [signedReadHeader]: request } }),
  });

const ask = async (name: string, asked: SearchQuery): Promise<Response> =>
  post(name, asked, await sign(name, asked));

const items = async (answer: Response): Promise<SearchView[]> =>
  (await answer.text())
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => SearchView.parse(JSON.parse(line)));

const sessionsIn = (found: readonly SearchView[]): string[] =>
  found.filter((item) => item.kind === 'match').map(({ session }) => session);

async function reads(): Promise<EntryOf<'evidence.read'>[]> {
  const found: EntryOf<'evidence.read'>[] = [];
  for await (const { entry } of readEntries(history.directory))
    if (entry.kind === 'evidence.read') found.push(entry);
  return found;
}

test('what is signed is searched, and stands in the log with its signature', async () => {
  const count = (await reads()).length;
  const asked = query({ person: 'ben', context: 2, from: '2026-11-21T08:00:00.000Z' });
  const request = await sign('lea', asked);
  const found = await items(await post('lea', asked, request));
  assert.deepEqual(sessionsIn(found), [benSession]);
  assert.equal(found.at(-1)?.kind, 'end');
  const [entry, ...others] = (await reads()).slice(count);
  assert.deepEqual(others, []);
  assert.deepEqual(
    [entry?.action, entry?.request, entry?.login, entry?.from, entry?.filters],
    [
      'search',
      request,
      people.get('lea')!.login,
      '2026-11-21T08:00:00.000Z',
      {
        person: 'ben',
        text: 'select',
        regex: 'false',
        ignoreCase: 'false',
        kinds: 'command parameters input output error-output',
        context: '2',
        limit: '1000',
      },
    ],
  );
});

test('each reader finds what they may read, and who may read nothing leaves no entry', async () => {
  assert.deepEqual(sessionsIn(await items(await ask('lea', query()))), [anaSession, benSession, bulkSession]);
  assert.deepEqual(sessionsIn(await items(await ask('tim', query()))), [bulkSession]);
  const count = (await reads()).length;
  const refused = await ask('nora', query());
  assert.deepEqual([refused.status, await codeOf(refused)], [403, 'evidence-denied']);
  const foreign = await ask('tim', query({ session: anaSession }));
  assert.deepEqual([foreign.status, await codeOf(foreign)], [403, 'evidence-denied']);
  assert.equal((await reads()).length, count);
});

test('nothing is searched that was not signed as it is asked, once', async () => {
  const count = (await reads()).length;
  const asked = query();
  const refusals: [unknown, string | null, number][] = [
    [asked, null, 400],
    [query({ text: 'other' }), await sign('lea', asked), 400],
    [query({ limit: 7 }), await sign('lea', asked), 400],
    [query({ kinds: ['output'] }), await sign('lea', asked), 400],
    [asked, await sign('lea', asked, { action: 'evidence.export' }), 400],
    [asked, await sign('tim', asked), 400],
    [query({ text: '(a', regex: true }), await sign('lea', query({ text: '(a', regex: true })), 400],
    [{ ...asked, text: '' }, await sign('lea', asked), 400],
    [{ ...asked, more: 1 }, await sign('lea', asked), 400],
    [null, await sign('lea', asked), 400],
  ];
  for (const [body, request, status] of refusals)
    assert.equal((await post('lea', body, request)).status, status, JSON.stringify(body));
  assert.equal((await reads()).length, count);
  const request = await sign('lea', asked);
  assert.equal((await post('lea', asked, request)).status, 200);
  assert.equal((await post('lea', asked, request)).status, 409);
});

test('two at a time; who hangs up makes room', async () => {
  // Nobody reads these: they wait with what they found.
  const many = query({ text: 'line', session: bulkSession, limit: 100_000 });
  const running = [await ask('lea', many), await ask('lea', many)];
  const third = await ask('tim', query());
  assert.deepEqual([third.status, await codeOf(third)], [503, 'relay-overloaded']);
  await Promise.all(running.map((answer) => answer.body?.cancel()));
  for (;;) {
    const again = await ask('tim', query());
    if (again.status === 200) {
      assert.deepEqual(sessionsIn(await items(again)), [bulkSession]);
      return;
    }
    await again.text();
  }
});
