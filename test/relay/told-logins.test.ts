/** Each log tells a login before it names it, whoever took the sign-in. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { NewEntry } from '../../src/evidence/entry.ts';
import { tellingLogins } from '../../src/relay/told-logins.ts';
import type { LoginEntry } from '../../src/relay/state/logins.ts';

const login = '01ARYZ6S41TSV4RRFFQ69G5FAV';
const actor = { kind: 'person', issuer: 'https://idp.example', subject: 'ana', email: null } as const;
const telling: LoginEntry = {
  kind: 'login',
  actor,
  login,
  renews: null,
  groups: [],
  method: 'device-code',
  key: { kty: 'EC', crv: 'P-256', x: 'x'.repeat(43), y: 'y'.repeat(43) },
  thumbprint: 't'.repeat(43),
  binding: 'bound-by-relay',
  idTokenDigest: '0'.repeat(64),
};
const ended: NewEntry = { kind: 'login.ended', actor, login, reason: 'logout' };
const killed: NewEntry = {
  kind: 'session.killed',
  actor,
  session: login,
  login,
  reason: null,
  request: 'a.b.c',
};
const started: NewEntry = {
  kind: 'relay.started',
  actor: { kind: 'relay' },
  version: '1',
  configDigest: '0'.repeat(64),
};

const here = 'one.example/log';

function log(known: LoginEntry | null) {
  const entries: NewEntry[] = [];
  const append = tellingLogins(
    async (entry) => ({ index: entries.push(entry) - 1, time: '' }),
    {
      entryOf: async () => known,
    },
    here,
  );
  return { entries, append, kinds: () => entries.map(({ kind }) => kind) };
}

test('a sign-in at another relay is told here before it is named, once', async () => {
  const { append, entries, kinds } = log(telling);
  await append(started);
  await append(killed);
  await append(ended);
  assert.deepEqual(kinds(), ['relay.started', 'login', 'session.killed', 'login.ended']);
  assert.deepEqual(entries[1], { ...telling, renews: login });
});

test('told again, it says where its proof is kept, unless that is here: after a restart', async () => {
  const elsewhere = log({ ...telling, keptBy: 'two.example/log' });
  await elsewhere.append(killed);
  assert.deepEqual(elsewhere.entries[0], { ...telling, renews: login, keptBy: 'two.example/log' });
  const restarted = log({ ...telling, keptBy: here });
  await restarted.append(killed);
  assert.deepEqual(restarted.entries[0], { ...telling, renews: login });
});

test('who resealed by a sign-in at another relay is told here too', async () => {
  const { append, kinds } = log(telling);
  await append({
    kind: 'originals.resealed',
    actor,
    session: login,
    segment: 0,
    from: '0'.repeat(64),
    to: '1'.repeat(64),
    recipients: ['age1'],
    login,
    request: 'a.b.c',
  });
  assert.deepEqual(kinds(), ['login', 'originals.resealed']);
});

test('a sign-in that this log was told is not told again', async () => {
  const { append, kinds } = log(telling);
  await append(telling);
  await append(killed);
  assert.deepEqual(kinds(), ['login', 'session.killed']);
});

test('a login that nobody knows is named all the same: the entry counts more than its neighbour', async () => {
  const { append, kinds } = log(null);
  await append(killed);
  assert.deepEqual(kinds(), ['session.killed']);
});

test('the login of a person is told before that of an agent who acts for them, also when it is told here late', async () => {
  const agent = '01ARYZ6S41TSV4RRFFQ69G5FAW';
  const acting: LoginEntry = { ...telling, login: agent, delegation: { login, request: 'a.b.c' } };
  const entries: NewEntry[] = [];
  const append = tellingLogins(
    async (entry) => ({ index: entries.push(entry) - 1, time: '' }),
    {
      entryOf: async (id) => (id === agent ? acting : telling),
    },
    here,
  );
  await append({ ...killed, login: agent });
  assert.deepEqual(
    entries.map((entry) => ('login' in entry ? `${entry.kind} ${entry.login}` : entry.kind)),
    [`login ${login}`, `login ${agent}`, `session.killed ${agent}`],
  );
});
