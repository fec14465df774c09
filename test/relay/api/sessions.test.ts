/** Killing a session by the API, where its parts fail. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import fastify from 'fastify';
import { unknownAuthentication } from '../../../src/model/authentication.ts';
import { EvidenceError } from '../../../src/evidence/error.ts';
import { generateLoginKey, importLoginKey } from '../../../src/identity/login-key.ts';
import { makeSignedRequest } from '../../../src/identity/signed-request.ts';
import { mintPrincipal } from '../../../src/identity/verified-principal.ts';
import type { LoginId, SessionId, TargetName } from '../../../src/model/ids.ts';
import { Policies } from '../../../src/policy/policies.ts';
import { sendProblem } from '../../../src/relay/api/problem.ts';
import { sessionRoutes } from '../../../src/relay/api/sessions.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { ulid } from '../../../src/system/ulid.ts';
import type { SessionKillClaims } from '../../../src/wire/api.ts';

const relay = 'https://relay.example';
const issuer = 'https://idp.example';
const policy = '@id("kill") permit (principal, action == Action::"kill", resource);';

test('a kill that cannot be recorded is refused, counts all the same, and harms nobody else', async () => {
  const key = await importLoginKey(await generateLoginKey());
  const principal = mintPrincipal({ kind: 'person', issuer, subject: 'ana', email: null, groups: [] });
  const login = ulid(Date.now()) as LoginId;
  const session = ulid(Date.now()) as SessionId;
  const facts = { target: 'db' as TargetName, processId: 'p', reason: null, task: null };
  const times = { openedAtMs: Date.now(), deadlineMs: Date.now() + 60_000 };
  const open = { closedAtMs: null, outcome: null };
  const policies = Policies.parse([{ name: 'policy', text: policy }]);
  let killed = false;
  const app = fastify();
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error));
  sessionRoutes(app, {
    config: {
      publicUrl: relay,
      targets: new Map(),
      sessions: { defaultDurationMs: 1, maxDurationMs: 1, detachedMs: 1, drainMs: 1 },
    },
    policies: () => policies,
    registry: {
      open: () => Promise.reject(new Error('nobody opens one')),
      find: () => null,
    },
    state: {
      live: async () => [],
      find: async (id) => ({ id, login, principal, ...facts, ...times, ...open }),
      // The log has refused by the time that the store answers.
      requestKill: async () => {
        await pause(20);
        return (killed = true);
      },
    },
    replay: { firstUse: async () => true },
    clock: systemClock,
    append: async () => {
      throw new EvidenceError('log-write-failed', 'no space left');
    },
    authenticate: async () => ({
      principal,
      login,
      jkt: key.jkt,
      publicJwk: key.publicJwk,
      scope: null,
      authentication: unknownAuthentication,
    }),
  });
  const claims = { v: 1, action: 'session.kill', relay, session } as const;
  const request = await makeSignedRequest<SessionKillClaims>(key, claims, systemClock);
  const url = `/v1/sessions/${session}/kill`;
  const answer = await app.inject({ method: 'POST', url, payload: { request } });
  assert.equal(answer.statusCode, 503);
  await pause(40);
  assert.equal(killed, true);
  await app.close();
});
