/** Requests signed by a login's key: what the log keeps as proof of who asked. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { CompactSign } from 'jose';
import { makeSignedRequest, verifySignedRequest } from '../../src/identity/signed-request.ts';
import { SessionKillClaims, SessionOpenClaims } from '../../src/wire/api.ts';
import { MemoryReplay, newKey, StoppedClock } from './support.ts';

const key = await newKey();
const relay = 'https://relay.example';
const open = { v: 1, action: 'session.open', relay, target: 'db-prod', reason: 'ticket 7' } as const;

function verification() {
  const clock = new StoppedClock();
  const { publicJwk, jkt } = key;
  return { schema: SessionOpenClaims, publicJwk, jkt, relay, clock, replay: new MemoryReplay() };
}

const sign = (text: string, header: object = {}, by = key) =>
  new CompactSign(Buffer.from(text))
    .setProtectedHeader({ alg: 'ES256', typ: 'hoop-request+jwt', kid: key.jkt, ...header })
    .sign(by.privateKey);

const refused = (jws: Promise<string> | string, at = verification()) =>
  assert.rejects(async () => verifySignedRequest(await jws, at), { code: 'signed-request-invalid' });

const canonical = (at: ReturnType<typeof verification>, more = '') =>
  `{"action":"session.open","iat":${at.clock.nowMs / 1000},"jti":"0123456789abcdef"${more},"relay":"${relay}","target":"db-prod","v":1}`;

test('what the client signs is what the relay reads', async () => {
  const at = verification();
  const jws = await makeSignedRequest<SessionOpenClaims>(key, open, at.clock);
  const claims = await verifySignedRequest(jws, at);
  assert.deepEqual({ ...claims, iat: 0, jti: '' }, { ...open, iat: 0, jti: '' });
  await assert.rejects(verifySignedRequest(jws, at), { code: 'signed-request-replayed' });
});

test('a hand-made request in canonical form is accepted, so the refusals below are for their own reason', async () => {
  const at = verification();
  assert.equal((await verifySignedRequest(await sign(canonical(at)), at)).target, 'db-prod');
});

test('another key, another algorithm, another type, more in the header', async () => {
  const at = verification();
  const text = canonical(at);
  await refused(sign(text, {}, await newKey()), at);
  await refused(sign(text, { kid: (await newKey()).jkt }), at);
  await refused(sign(text, { kid: undefined }), at);
  await refused(sign(text, { typ: 'JWT' }), at);
  await refused(sign(text, { jwk: key.publicJwk }), at);
  const [, payload] = (await sign(text)).split('.');
  await refused(`${Buffer.from(`{"alg":"none","kid":"${key.jkt}"}`).toString('base64url')}.${payload}.`, at);
  assert.equal(at.replay.ids.size, 0);
});

test('not canonical: spaces, another order, a name twice, a byte order mark', async () => {
  const at = verification();
  const text = canonical(at);
  for (const bad of [
    text.replace('{', '{ '),
    text.replace(/^\{("action":"session.open"),(.*)\}$/, '{$2,$1}'),
    text.replace('{', '{"action":"session.open",'),
    `\uFEFF${text}`,
    `${text}\n`,
    'null',
    '',
    '{',
  ])
    await refused(sign(bad), at);
});

test('another relay, another action, unknown claims, another time', async () => {
  const at = verification();
  await refused(sign(canonical(at).replace(relay, 'https://other.example')), at);
  await refused(sign(canonical(at, ',"more":1')), at);
  const kill = await makeSignedRequest<SessionKillClaims>(
    key,
    { v: 1, action: 'session.kill', relay, session: '01ARZ3NDEKTSV4RRFFQ69G5FAV' },
    at.clock,
  );
  await refused(kill, at);
  const { schema: _, ...rest } = at;
  await verifySignedRequest(kill, { ...rest, schema: SessionKillClaims });
  const early = await makeSignedRequest<SessionOpenClaims>(key, open, at.clock);
  at.clock.nowMs += 62_000;
  await refused(early, at);
  at.clock.nowMs -= 124_000;
  await refused(early, at);
});
