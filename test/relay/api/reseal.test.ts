/** Resealing over HTTP: who may, what was signed against what came, and that nobody's megabytes are read. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import fastify from 'fastify';
import { IdentityError } from '../../../src/identity/error.ts';
import type { LoginId } from '../../../src/model/ids.ts';
import type { Auditor } from '../../../src/relay/api/evidence-readers.ts';
import { sendProblem } from '../../../src/relay/api/problem.ts';
import { resealRoutes } from '../../../src/relay/api/reseal.ts';
import type { Resealed } from '../../../src/relay/retention/resealing.ts';
import { resealBodyBytes, type ResealClaims } from '../../../src/wire/reseal.ts';
import { anaLogin, anaSession, benSession, History, twoSessions } from '../../evidence/read/history.ts';

const age = Buffer.from('an age file');
const claims: ResealClaims = {
  v: 1,
  action: 'originals.reseal',
  relay: 'https://relay.example',
  session: anaSession,
  segment: 3,
  from: '0'.repeat(64),
  to: hash('sha256', age, 'hex'),
  recipients: [`age1${'q'.repeat(58)}`],
  iat: 0,
  jti: 'j'.repeat(16),
};

test('exactly what was signed, by whom policy lets', async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  await using app = fastify();
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error));
  let signed: Partial<ResealClaims> = {};
  const replaced: [Resealed, Buffer][] = [];
  resealRoutes(app, {
    directory: history.directory,
    resealing: { replace: async (...asked) => void replaced.push(asked) },
    authorize: async ({ headers }): Promise<Auditor> => {
      const subject = headers['x-reader'];
      if (subject === undefined) throw new IdentityError('access-token-missing', 'Who are you?');
      const issuer = 'https://id.example';
      return {
        principal: {
          kind: 'person',
          issuer,
          subject: String(subject),
          email: null,
          groups: [],
          actsFor: null,
        },
        login: anaLogin as LoginId,
        stepUp: null,
        isSignedIn: async () => true,
        signed: () => assert.fail(),
        mayRead: () => subject !== 'eve',
        mayUnseal: () => true,
        mayReseal: () => subject === 'uma',
        signedReseal: async (jws) => {
          assert.equal(jws, 'a.b.c');
          return { ...claims, ...signed };
        },
      };
    },
  });
  const send = async (reader: string | null, path = `${anaSession}/originals/3`, body: unknown = {}) => {
    const { statusCode, body: text } = await app.inject({
      method: 'POST',
      url: `/v1/audit/sessions/${path}`,
      headers: { 'content-type': 'application/json', ...(reader !== null && { 'x-reader': reader }) },
      payload:
        typeof body === 'string'
          ? body
          : { request: 'a.b.c', age: age.toString('base64'), ...(body as object) },
    });
    return text === '' ? statusCode : (JSON.parse(text) as { code: string }).code;
  };

  assert.equal(await send('lea'), 'evidence-denied');
  assert.equal(await send('eve'), 'evidence-not-found');
  assert.equal(await send('uma', `${anaSession}/originals/4`), 'request-invalid');
  assert.equal(await send('uma', `${anaSession}/originals/03`), 'request-invalid');
  assert.equal(await send('uma', `${benSession}/originals/3`), 'request-invalid');
  assert.equal(
    await send('uma', undefined, { age: Buffer.from('another').toString('base64') }),
    'request-invalid',
  );
  assert.equal(await send('uma', undefined, { age: 'no base64!' }), 'request-invalid');
  assert.equal(await send('uma', undefined, { more: 1 }), 'request-invalid');
  signed = { to: '1'.repeat(64) };
  assert.equal(await send('uma'), 'request-invalid');
  signed = {};
  assert.equal(await send('uma', undefined, 'x'.repeat(resealBodyBytes + 1)), 'request-invalid');
  assert.equal(
    await send(null, undefined, 'no JSON'),
    'access-token-missing',
    'asked before the body is read',
  );
  assert.deepEqual(replaced, []);

  assert.equal(await send('uma'), 204);
  const [entry, file] = replaced.shift() ?? [];
  const { session, segment, from, to, recipients } = claims;
  assert.deepEqual(file, age);
  assert.deepEqual(entry, {
    kind: 'originals.resealed',
    actor: { kind: 'person', issuer: 'https://id.example', subject: 'uma', email: null },
    session,
    segment,
    from,
    to,
    recipients,
    login: anaLogin,
    request: 'a.b.c',
  });
});
