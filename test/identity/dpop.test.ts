/** RFC 9449 §4.3, each check by the proof that must fail it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose';
import { makeProof, normalizeHtu, verifyProof, type ProofRequest } from '../../src/identity/dpop.ts';
import { Nonces } from '../../src/identity/nonce.ts';
import { MemoryReplay, newKey, StoppedClock } from './support.ts';

const request: ProofRequest = { method: 'POST', url: 'https://relay.example/v1/login', accessToken: null };
const key = await newKey();

function setup() {
  const clock = new StoppedClock();
  const nonces = new Nonces(new Uint8Array(32).fill(7), clock);
  return { clock, nonces, replay: new MemoryReplay() };
}

type Setup = ReturnType<typeof setup>;

/** A correct proof, but for what is changed. */
async function forge(
  { clock, nonces }: Setup,
  claims: JWTPayload = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const all = {
    jti: crypto.randomUUID(),
    htm: 'POST',
    htu: request.url,
    iat: Math.floor(clock.nowMs / 1000),
    nonce: nonces.current(),
    ...claims,
  };
  return new SignJWT(JSON.parse(JSON.stringify(all)) as JWTPayload)
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicJwk, ...header })
    .sign(key.privateKey);
}

const refused = (proof: Promise<string> | string, at: Setup, code: string, asked = request) =>
  assert.rejects(async () => verifyProof(await proof, asked, at), { code });

test('a proof made by the client is accepted and names its key', async () => {
  const at = setup();
  const proof = await makeProof(key, request, at.nonces.current(), at.clock);
  assert.deepEqual(await verifyProof(proof, request, at), { publicJwk: key.publicJwk, jkt: key.jkt });
  const withToken = { ...request, accessToken: 'token' };
  await verifyProof(await makeProof(key, withToken, at.nonces.current(), at.clock), withToken, at);
});

test('none, an empty one, garbage, two joined', async () => {
  const at = setup();
  await refused('', at, 'dpop-proof-missing');
  await assert.rejects(verifyProof(undefined, request, at), { code: 'dpop-proof-missing' });
  const good = await forge(at);
  for (const bad of ['x', 'a.b.c', `${good}, ${good}`, `${good}x`, 'e30.e30.', 'x'.repeat(5000)])
    await refused(bad, at, 'dpop-proof-invalid');
});

test('method, URL, type, access token', async () => {
  const at = setup();
  await refused(forge(at, { htm: 'GET' }), at, 'dpop-proof-invalid');
  await refused(forge(at, { htm: 'post' }), at, 'dpop-proof-invalid');
  for (const htu of [
    'https://relay.example/v1/logout',
    'https://relay.example/v1/login/',
    'http://relay.example/v1/login',
    'https://relay.example:8443/v1/login',
    'https://relay.example.evil/v1/login',
    'https://user@relay.example/v1/login',
    '/v1/login',
  ])
    await refused(forge(at, { htu }), at, 'dpop-proof-invalid');
  await refused(forge(at, {}, { typ: 'jwt' }), at, 'dpop-proof-invalid');
  await refused(forge(at, {}, { typ: undefined }), at, 'dpop-proof-invalid');
  await refused(forge(at, { ath: 'AAAA' }), at, 'dpop-proof-invalid');
  const asked = { ...request, accessToken: 'token' };
  await refused(forge(at), at, 'dpop-proof-invalid', asked);
  await refused(forge(at, { ath: hash('sha256', 'other', 'base64url') }), at, 'dpop-proof-invalid', asked);
});

test('a minute early or late is accepted, more is not, whatever the nonce', async () => {
  const at = setup();
  const now = Math.floor(at.clock.nowMs / 1000);
  for (const iat of [now - 60, now + 60]) await verifyProof(await forge(at, { iat }), request, at);
  for (const iat of [now - 63, now + 63, 0, now + 0.5, 'now'])
    await refused(forge(at, { iat } as JWTPayload), at, 'dpop-proof-invalid');
});

test('the nonce must be one of ours and recent; any process with the secret accepts it', async () => {
  const at = setup();
  await refused(forge(at, { nonce: undefined } as unknown as JWTPayload), at, 'dpop-nonce-required');
  await refused(forge(at, { nonce: 'x' }), at, 'dpop-nonce-required');
  const stranger = new Nonces(new Uint8Array(32).fill(8), at.clock);
  await refused(forge(at, { nonce: stranger.current() }), at, 'dpop-nonce-required');
  const twin = { ...at, nonces: new Nonces(new Uint8Array(32).fill(7), at.clock) };
  const nonce = at.nonces.current();
  await verifyProof(await forge(at), request, twin);
  at.clock.nowMs += 120_000;
  await verifyProof(await forge(at, { nonce }), request, at);
  at.clock.nowMs += 120_000;
  await refused(forge(at, { nonce }), at, 'dpop-nonce-required');
});

test('once; a proof that was refused for something else does not count as used', async () => {
  const at = setup();
  const proof = await forge(at);
  await refused(proof, at, 'dpop-proof-invalid', { ...request, method: 'GET' });
  assert.equal(at.replay.ids.size, 0);
  await verifyProof(proof, request, at);
  await refused(proof, at, 'dpop-proof-replayed');
  const jti = 'the-same-id-of-two-keys';
  await verifyProof(await forge(at, { jti }), request, at);
  const other = await newKey();
  const theirs = await new SignJWT({ jti, htm: 'POST', htu: request.url, nonce: at.nonces.current() })
    .setIssuedAt(Math.floor(at.clock.nowMs / 1000))
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: other.publicJwk })
    .sign(other.privateKey);
  await verifyProof(theirs, request, at);
});

test('the key in the header: of another kind, private, not on the curve, not the signer', async () => {
  const at = setup();
  const { d: _, ...publicJwk } = { ...key.publicJwk, d: 'A'.repeat(43) };
  const other = await newKey();
  for (const jwk of [
    { ...publicJwk, d: 'A'.repeat(43) },
    { ...publicJwk, x: 'A'.repeat(43) },
    { ...publicJwk, crv: 'P-384' },
    { kty: 'oct', k: 'AAAA' },
    other.publicJwk,
    undefined,
  ])
    await refused(forge(at, {}, { jwk }), at, 'dpop-proof-invalid');
});

test('algorithms: none, HMAC with the public key, RSA', async () => {
  const at = setup();
  const [, payload] = (await forge(at)).split('.');
  const header = (alg: string) =>
    Buffer.from(JSON.stringify({ typ: 'dpop+jwt', alg, jwk: key.publicJwk })).toString('base64url');
  await refused(`${header('none')}.${payload}.`, at, 'dpop-proof-invalid');
  const hmac = await new SignJWT({ jti: 'x'.repeat(16) })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'HS256', jwk: key.publicJwk })
    .sign(new TextEncoder().encode(JSON.stringify(key.publicJwk)));
  await refused(hmac, at, 'dpop-proof-invalid');
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const rsa = await new SignJWT({})
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'RS256', jwk: await exportJWK(publicKey) })
    .sign(privateKey);
  await refused(rsa, at, 'dpop-proof-invalid');
});

test('URLs are compared after normalisation, as RFC 9449 §4.3 says', () => {
  assert.equal(normalizeHtu('HTTPS://Relay.Example:443/a/../v1/x?q=1#f'), 'https://relay.example/v1/x');
  assert.equal(normalizeHtu('wss://relay.example/v1/s/tunnel'), 'https://relay.example/v1/s/tunnel');
  assert.equal(normalizeHtu('ws://127.0.0.1:80/x'), 'http://127.0.0.1/x');
  for (const bad of ['', '/v1', 'ftp://relay.example/', 'https://a:b@relay.example/'])
    assert.equal(normalizeHtu(bad), null);
});
