/** Reads of evidence over real HTTP with real sign-ins: only what the reader's own key asked for, once, and it is on record. */
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { EntryOf } from '../../../src/evidence/entry.ts';
import { KeptProofs } from '../../../src/evidence/logins/layout.ts';
import { readEntries } from '../../../src/evidence/read/entries.ts';
import type { LoginKey } from '../../../src/identity/login-key.ts';
import { makeSignedRequest } from '../../../src/identity/signed-request.ts';
import { Policies } from '../../../src/policy/policies.ts';
import { auditRoutes, ReadEntries } from '../../../src/relay/api/audit.ts';
import { evidenceReaders } from '../../../src/relay/api/evidence-readers.ts';
import { logRoutes } from '../../../src/relay/api/log.ts';
import { authenticate } from '../../../src/relay/api/login.ts';
import { signedReadHeader, type EvidenceReadClaims } from '../../../src/wire/audit.ts';
import { anaSession, benSession, History, twoSessions } from '../../evidence/read/history.ts';
import { call, codeOf, logIn, newKey, startRelay, type TestRelay } from '../idp/relay.ts';

const policy = `permit (principal, action in [Action::"readEvidence", Action::"unseal"], resource);`;
const person: [string, string] = ['lea@example.com', 'correct horse battery'];
const history = await new History().open();
let relay: TestRelay;
/** Two sign-ins of one person. */
const keys: LoginKey[] = [];
const tokens: string[] = [];
const logins: string[] = [];

before(async () => {
  await (
    await twoSessions(history)
  )();
  await history.publish();
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
      const published = { covered: () => Promise.resolve() };
      const signer = NoteSigner.generate('relay.example/log');
      auditRoutes(app, { directory: history.directory, authorizeRead, reads, signer });
      logRoutes(app, {
        directory: path.join(history.directory, 'log'),
        authorizeRead,
        reads,
        log: published,
      });
    },
  });
  await relay.provider.accounts.add(person[0], ['leads'], person[1]);
  for (let i = 0; i < 2; i++) {
    const key = await newKey();
    const { answer } = await logIn(relay, key, person);
    keys.push(key);
    tokens.push(answer.accessToken);
    logins.push(answer.login);
  }
});
after(async () => {
  await relay.close();
  await history[Symbol.asyncDispose]();
});

type Asked = Partial<EvidenceReadClaims>;
const sign = (asked: Asked, key = keys[0]!): Promise<string> =>
  makeSignedRequest<EvidenceReadClaims>(
    key,
    { v: 1, action: 'evidence.export', relay: relay.relay, ...asked },
    relay.clock,
  );

/** Asks with the first sign-in. @param request null: without a signature */
const ask = (url: string, request: string | null) =>
  call(relay, keys[0]!, url, {
    accessToken: tokens[0]!,
    ...(request !== null && { headers: { [signedReadHeader]: request } }),
  });

async function reads(): Promise<EntryOf<'evidence.read'>[]> {
  const found: EntryOf<'evidence.read'>[] = [];
  for await (const { entry } of readEntries(history.directory))
    if (entry.kind === 'evidence.read') found.push(entry);
  return found;
}

const originals = `/v1/audit/sessions/${anaSession}/originals`;

test('what is signed is answered, and the entry holds the request and its login', async () => {
  const before = (await reads()).length;
  const asked: [string, Asked][] = [
    ['/v1/audit/events', {}],
    ['/v1/audit/events?person=ben&target=db-prod', { filters: { person: 'ben', target: 'db-prod' } }],
    ['/v1/audit/events?from=2026-11-21T09:00:00%2B01:00', { from: '2026-11-21T08:00:00.000Z' }],
    [`/v1/audit/events?session=${benSession}`, { session: benSession }],
    ['/v1/audit/sessions', { action: 'evidence.sessions' }],
    [`/v1/audit/sessions/${anaSession}`, { action: 'evidence.show', session: anaSession }],
    [`/v1/audit/sessions/${anaSession}/transcript`, { action: 'evidence.replay', session: anaSession }],
    [`${originals}?segment=0`, { action: 'evidence.unseal', session: anaSession, filters: { segment: '0' } }],
    ['/v1/audit/files', { action: 'evidence.files' }],
  ];
  const requests: string[] = [];
  for (const [url, claims] of asked) {
    requests.push(await sign(claims));
    const answer = await ask(url, requests.at(-1)!);
    assert.equal(answer.status, 200, `${url} ${await answer.text()}`);
  }
  const entries = (await reads()).slice(before);
  assert.deepEqual(
    entries.map(({ login, request }) => [login, request]),
    requests.map((request) => [logins[0], request]),
  );
});

test('every way to read without having asked for exactly that by one’s own key is refused, and leaves no entry', async () => {
  const used = await sign({});
  assert.equal((await ask('/v1/audit/events', used)).status, 200);
  const before = (await reads()).length;
  const tampered = (await sign({})).split('.');
  tampered[1] = Buffer.from(JSON.stringify({ action: 'evidence.export' })).toString('base64url');
  const old = async () => {
    relay.clock.offsetMs = -600_000;
    try {
      return await sign({});
    } finally {
      relay.clock.offsetMs = 0;
    }
  };
  const refusals: [name: string, url: string, request: string | null, status: number, code: string][] = [
    ['no signature', '/v1/audit/events', null, 400, 'signed-request-missing'],
    ['no signature, unsealing', originals, null, 400, 'signed-request-missing'],
    ['an empty one', '/v1/audit/events', '', 400, 'signed-request-missing'],
    ['replayed', '/v1/audit/events', used, 409, 'signed-request-replayed'],
    [
      'by another login of the same person',
      '/v1/audit/events',
      await sign({}, keys[1]),
      400,
      'signed-request-invalid',
    ],
    ['by a stranger', '/v1/audit/events', await sign({}, await newKey()), 400, 'signed-request-invalid'],
    ['tampered with', '/v1/audit/events', tampered.join('.'), 400, 'signed-request-invalid'],
    [
      'for another relay',
      '/v1/audit/events',
      await sign({ relay: 'https://other.example' }),
      400,
      'signed-request-invalid',
    ],
    ['of ten minutes ago', '/v1/audit/events', await old(), 400, 'signed-request-invalid'],
    ['for less', '/v1/audit/events', await sign({ filters: { person: 'ben' } }), 400, 'request-invalid'],
    [
      'for another person',
      '/v1/audit/events?person=ana',
      await sign({ filters: { person: 'ben' } }),
      400,
      'request-invalid',
    ],
    [
      'for another range',
      '/v1/audit/events?from=2026-11-21T08:00:00Z',
      await sign({}),
      400,
      'request-invalid',
    ],
    [
      'for another session',
      originals,
      await sign({ action: 'evidence.unseal', session: benSession }),
      400,
      'request-invalid',
    ],
    [
      'to show, for unsealing',
      originals,
      await sign({ action: 'evidence.show', session: anaSession }),
      400,
      'request-invalid',
    ],
    [
      'for one segment, of all',
      originals,
      await sign({ action: 'evidence.unseal', session: anaSession, filters: { segment: '0' } }),
      400,
      'request-invalid',
    ],
    ['entries of the log without one', '/log/tile/entries/000.p/8', null, 400, 'signed-request-missing'],
    [
      'a file by another’s',
      `/v1/audit/file?path=log/checkpoint`,
      await sign({ action: 'evidence.files' }, keys[1]),
      400,
      'signed-request-invalid',
    ],
  ];
  for (const [name, url, request, status, code] of refusals) {
    const answer = await ask(url, request);
    assert.deepEqual([name, answer.status, await codeOf(answer)], [name, status, code]);
  }
  assert.equal((await reads()).length, before);
});

test('a request that was refused for want of a right is not used up by it, and one that many send at once is heard once', async () => {
  const request = await sign({});
  const stolen = await call(relay, keys[1]!, '/v1/audit/events', {
    accessToken: tokens[0]!,
    headers: { [signedReadHeader]: request },
  });
  assert.equal(await codeOf(stolen), 'dpop-proof-invalid');
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask('/v1/audit/events', request)));
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, ...Array(7).fill(409)]);
  await Promise.all(answers.map((answer) => answer.text()));
});

test('what a sign-in was proven by is kept before its entry, word for word, for the relay alone', async () => {
  const key = await newKey();
  const { tokens: issued } = await logIn(relay, key, person);
  const digest = hash('sha256', issued.id_token!, 'hex');
  const file = await new KeptProofs(relay.directory).find(digest);
  assert.ok(file);
  assert.equal(readFileSync(path.join(relay.directory, file), 'utf8'), issued.id_token);
  assert.equal(statSync(path.join(relay.directory, file)).mode & 0o777, 0o600);
  assert.equal(statSync(path.join(relay.directory, 'logins')).mode & 0o777, 0o700);
  const entry = relay.entries.findLast((each) => each.kind === 'login');
  assert.ok(entry?.kind === 'login');
  assert.deepEqual([entry.idTokenDigest, entry.audience], [digest, 'hoop-cli']);
});
