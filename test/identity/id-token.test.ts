/** ID tokens of an issuer of the test's own: the shapes of the big ones, key rotation, and every refusal. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import { groupsOf } from '../../src/identity/groups.ts';
import { IdTokens } from '../../src/identity/id-token.ts';
import { IssuerKeys, type SeenKeys } from '../../src/identity/issuer-keys.ts';
import { VerifiedPrincipal } from '../../src/identity/verified-principal.ts';
import { newKey, StoppedClock } from './support.ts';

const url = 'https://issuer.example/tenant';

interface Signer {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: object;
}

async function signer(kid: string, alg = 'RS256'): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg);
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

class TestIssuer {
  readonly clock = new StoppedClock();
  signers: Signer[];
  metadata: Record<string, unknown> = { issuer: url, jwks_uri: `${url}/keys` };
  fetched: string[] = [];
  down = false;
  readonly seen: SeenKeys[] = [];
  readonly keys: IssuerKeys;
  readonly tokens: IdTokens;

  constructor(signers: Signer[], groupsClaim = 'groups') {
    this.signers = signers;
    this.keys = new IssuerKeys({
      issuer: url,
      clock: this.clock,
      fetchJson: async (target) => this.answer(target),
      onKeys: async (seen) => void this.seen.push(seen),
    });
    this.tokens = new IdTokens({
      issuer: url,
      clientId: 'hoop',
      groupsClaim,
      groupsMap: new Map(),
      clockSkewSeconds: 60,
      keys: this.keys,
      clock: this.clock,
    });
  }

  answer(target: string): unknown {
    this.fetched.push(target);
    if (this.down) throw new Error('ECONNREFUSED');
    if (target === `${url}/.well-known/openid-configuration`) return this.metadata;
    if (target === `${url}/keys`) return { keys: this.signers.map(({ jwk }) => jwk) };
    throw new Error('404');
  }

  token(claims: JWTPayload = {}, header: object = {}, by = this.signers[0]!): Promise<string> {
    const now = Math.floor(this.clock.nowMs / 1000);
    const all = { iss: url, aud: 'hoop', sub: 'u-1', iat: now, exp: now + 300, ...claims };
    return new SignJWT(JSON.parse(JSON.stringify(all)) as JWTPayload)
      .setProtectedHeader({ alg: by.alg, kid: by.kid, ...header })
      .sign(by.privateKey);
  }
}

const rsa = await signer('k1');
const refused = (issuer: TestIssuer, token: Promise<string> | string, code = 'id-token-invalid') =>
  assert.rejects(async () => issuer.tokens.verify(await token), { code });

test('the shapes of Okta, Entra ID, Keycloak and Google become a principal', async () => {
  const okta = new TestIssuer([rsa]);
  const { principal, authentication, boundJkt } = await okta.tokens.verify(
    await okta.token({
      email: 'ana@example.com',
      email_verified: true,
      groups: ['b', 'a', 'b'],
      amr: ['pwd', 'mfa'],
    }),
  );
  assert.ok(VerifiedPrincipal.is(principal));
  assert.deepEqual(
    { ...principal },
    {
      kind: 'person',
      issuer: url,
      subject: 'u-1',
      email: 'ana@example.com',
      groups: ['a', 'b'],
      actsFor: null,
    },
  );
  assert.deepEqual(authentication.amr, ['pwd', 'mfa']);
  assert.equal(boundJkt, null);
  const keycloak = new TestIssuer([rsa], 'realm_access.roles');
  const roles = await keycloak.tokens.verify(
    await keycloak.token({ realm_access: { roles: ['dba'] } }, { typ: 'JWT' }),
  );
  assert.deepEqual(roles.principal.groups, ['dba']);
  const named = new TestIssuer([rsa], 'https://example.com/groups');
  const custom = await named.tokens.verify(await named.token({ 'https://example.com/groups': 'ops' }));
  assert.deepEqual(custom.principal.groups, ['ops']);
  const google = await okta.tokens.verify(
    await okta.token({ email: 'x@example.com', email_verified: false, azp: 'hoop' }),
  );
  assert.equal(google.principal.email, null);
  assert.deepEqual(google.principal.groups, []);
});

test('groups by a map: verified addresses, domains, subjects; at Google only those it vouches for', async () => {
  const map = new Map([
    ['ana@example.com', ['dba']],
    ['@example.com', ['staff']],
    ['sub:u-1', ['leads']],
  ]);
  const groups = (claims: object) =>
    groupsOf({ sub: 'u-2', ...claims }, { groupsClaim: 'groups', groupsMap: map });
  const email = 'Ana@Example.com';
  assert.deepEqual(groups({ email, email_verified: true }), ['dba', 'staff']);
  assert.deepEqual(groups({ email, email_verified: true, groups: ['own'] }), ['own', 'dba', 'staff']);
  for (const email_verified of [false, 'false', undefined, 1, 'yes'])
    assert.deepEqual(groups({ email, email_verified }), []);
  assert.deepEqual(groups({ sub: 'u-1' }), ['leads']);
  assert.deepEqual(groups({ email: 'x@example.com@evil.example', email_verified: true }), []);
  assert.deepEqual(groups({ email: 'x@evil.example', email_verified: true }), []);
  const google = { iss: 'https://accounts.google.com', email, email_verified: true };
  assert.deepEqual(groups(google), []);
  assert.deepEqual(groups({ ...google, hd: 'example.com' }), ['dba', 'staff']);
});

const at = (claims: object, groupsClaim: string) =>
  groupsOf({ sub: 'u', ...claims }, { groupsClaim, groupsMap: new Map() });

test('a path to the groups may hold names with dots; nothing inherited is found', async () => {
  const claims = { resource_access: { 'my.client': { roles: ['ops'] }, my: { client: {} } } };
  assert.deepEqual(at(claims, 'resource_access.my.client.roles'), ['ops']);
  assert.deepEqual(at({ 'a.b': ['exact'], a: { b: ['path'] } }, 'a.b'), ['exact']);
  assert.deepEqual(at({}, 'constructor.name'), []);
  assert.throws(() => at({ hasgroups: true }, 'groups'), /too many/);
});

const names = (count: number) =>
  Array.from({ length: count }, (_, index) => `${index}`.padStart(4, '0').repeat(9));

test('more groups than an entry of the log holds are refused with what to do, never cut', () => {
  assert.equal(at({ groups: names(1200) }, 'groups').length, 1200);
  assert.throws(
    () => at({ groups: names(1800) }, 'groups'),
    (error: { code?: string; message?: string; hint?: string }) =>
      error.code === 'id-token-invalid' &&
      /too many to be recorded/.test(error.message ?? '') &&
      /assigned to this application/.test(error.hint ?? ''),
  );
});

test('when and how the person signed in, as far as the issuer says it', async () => {
  const issuer = new TestIssuer([rsa]);
  const now = Math.floor(issuer.clock.nowMs / 1000);
  const told = await issuer.tokens.verify(
    await issuer.token({ auth_time: now - 30, acr: 'urn:mfa', amr: ['pwd', 'otp'] }),
  );
  assert.deepEqual(told.authentication, { timeMs: (now - 30) * 1000, acr: 'urn:mfa', amr: ['pwd', 'otp'] });
  const untold = await issuer.tokens.verify(await issuer.token());
  assert.deepEqual(untold.authentication, { timeMs: null, acr: null, amr: [] });
  // A clock that is a little ahead may be; what is longer than that in the future may not.
  await issuer.tokens.verify(await issuer.token({ auth_time: now + 59 }));
  for (const claims of [
    { auth_time: now + 61 },
    { auth_time: '1' },
    { auth_time: -1 },
    { acr: 2 },
    { amr: 'pwd' },
  ])
    await refused(issuer, issuer.token(claims as unknown as JWTPayload));
});

test('the difference of clocks that is allowed counts for exp, iat and auth_time, and no longer', async () => {
  const issuer = new TestIssuer([rsa]);
  const { keys, clock } = issuer;
  const strict = new IdTokens({
    issuer: url,
    clientId: 'hoop',
    groupsClaim: 'groups',
    groupsMap: new Map(),
    clockSkewSeconds: 0,
    keys,
    clock,
  });
  const now = Math.floor(clock.nowMs / 1000);
  const late = await issuer.token({ exp: now - 30 });
  await issuer.tokens.verify(late);
  await assert.rejects(strict.verify(late), { code: 'id-token-expired' });
  await assert.rejects(async () => strict.verify(await issuer.token({ iat: now + 1 })), {
    code: 'id-token-invalid',
  });
  const { refusedFromMs } = await issuer.tokens.verify(await issuer.token({ exp: now + 10 }));
  assert.equal(refusedFromMs, (now + 70) * 1000);
});

test('each refusal says who has to do what', async () => {
  const issuer = new TestIssuer([rsa]);
  const now = Math.floor(issuer.clock.nowMs / 1000);
  const cases: [JWTPayload | object, RegExp][] = [
    [{ iss: 'https://other.example' }, /identity\.issuer/],
    [{ aud: 'other' }, /identity\.clientId/],
    [{ aud: ['hoop', 'other'] }, /identity\.clientId/],
    [{ azp: 'other' }, /identity\.clientId/],
    [{ exp: now - 100 }, /clocks/],
    [{ iat: now + 100 }, /clockSkew/],
    [{ auth_time: now + 100 }, /clockSkew/],
    [{ groups: 7 }, /identity\.groupsClaim/],
    [{ hasgroups: true }, /assigned to this application/],
  ];
  for (const [claims, hint] of cases)
    await assert.rejects(
      async () => issuer.tokens.verify(await issuer.token(claims as JWTPayload)),
      (error: { hint?: string }) => hint.test(error.hint ?? ''),
    );
});

test('Entra ID leaves groups out when there are many: said, not taken for none', async () => {
  const issuer = new TestIssuer([rsa]);
  await assert.rejects(
    async () => issuer.tokens.verify(await issuer.token({ _claim_names: { groups: 'src1' } })),
    (error: { hint?: string }) => /only the groups assigned/.test(error.hint ?? ''),
  );
});

test('issuer, audience, azp, times, type, subject, groups', async () => {
  const issuer = new TestIssuer([rsa]);
  const now = Math.floor(issuer.clock.nowMs / 1000);
  for (const claims of [
    { iss: 'https://other.example' },
    { iss: `${url}/` },
    { aud: 'other' },
    { aud: ['hoop', 'other'] },
    { aud: ['hoop', 'other'], azp: 'other' },
    { azp: 'other' },
    { iat: now + 120 },
    { iat: undefined },
    { exp: undefined },
    { nbf: now + 120 },
    { sub: '' },
    { sub: undefined },
    { sub: 'a\u0000b' },
    { groups: [1] },
    { groups: { a: 1 } },
    { groups: [''] },
    { email: 5 },
  ])
    await refused(issuer, issuer.token(claims as unknown as JWTPayload));
  await refused(issuer, issuer.token({ exp: now - 61 }), 'id-token-expired');
  await refused(issuer, issuer.token({}, { typ: 'at+jwt' }));
  await refused(issuer, issuer.token({}, { typ: 'logout+jwt' }));
  await issuer.tokens.verify(await issuer.token({ aud: ['hoop', 'other'], azp: 'hoop' }));
  await assert.rejects(async () => issuer.tokens.verify(await issuer.token({ nonce: 'a' }), 'b'), {
    code: 'id-token-invalid',
  });
});

test('the key that the issuer bound: by thumbprint, by itself, and in no other way', async () => {
  const issuer = new TestIssuer([rsa]);
  const { publicJwk, jkt } = await newKey();
  const other = await newKey();
  const bound = { typ: 'dpop+id_token' };
  const boundBy = async (cnf: object | undefined, header = {}) =>
    (await issuer.tokens.verify(await issuer.token({ cnf } as JWTPayload, header))).boundJkt;
  assert.equal(await boundBy(undefined), null);
  assert.equal(await boundBy({ jkt }), jkt);
  assert.equal(await boundBy({ jwk: publicJwk }, bound), jkt);
  assert.equal(await boundBy({ jwk: { ...publicJwk, alg: 'ES256', kid: 'mine' } }, bound), jkt);
  assert.equal(await boundBy({ jwk: publicJwk, jkt }, { typ: 'application/dpop+id_token' }), jkt);
  for (const [cnf, header] of [
    [undefined, bound],
    [{}, {}],
    [{ 'x5t#S256': 'A'.repeat(43) }, {}],
    [{ jwk: publicJwk, jkt: other.jkt }, bound],
    [{ jwk: rsa.jwk }, bound],
    ['me', {}],
  ] as const)
    await refused(issuer, issuer.token({ cnf } as unknown as JWTPayload, header));
});

test('none, HMAC with the published key, a key of another kind, a stranger with the same kid', async () => {
  const issuer = new TestIssuer([rsa]);
  const [, payload] = (await issuer.token()).split('.');
  for (const alg of ['none', 'None', 'HS256', 'RSA1_5']) {
    const header = Buffer.from(JSON.stringify({ alg, kid: 'k1' })).toString('base64url');
    await refused(issuer, `${header}.${payload}.AAAA`);
  }
  const secret = new TextEncoder().encode(JSON.stringify(rsa.jwk));
  await refused(
    issuer,
    new SignJWT({ sub: 'u-1' })
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .setExpirationTime('5m')
      .sign(secret),
  );
  await refused(issuer, issuer.token({}, {}, await signer('k1')));
  await refused(issuer, issuer.token({}, {}, await signer('k1', 'ES256')));
  for (const bad of ['', 'x', 'a.b.c', 'e30.e30.e30']) await refused(issuer, bad);
});

test('new keys are fetched when a token names one, at most every five seconds', async () => {
  const issuer = new TestIssuer([rsa]);
  await issuer.tokens.verify(await issuer.token());
  assert.equal(issuer.fetched.length, 2);
  await issuer.tokens.verify(await issuer.token());
  assert.equal(issuer.fetched.length, 2);
  const next = await signer('k2', 'ES256');
  issuer.signers = [next];
  await refused(issuer, issuer.token({}, {}, next)); // within the cool-down
  assert.equal(issuer.fetched.length, 2);
  issuer.clock.nowMs += 5001;
  const { keysDigest } = await issuer.tokens.verify(await issuer.token({}, {}, next));
  assert.equal(issuer.fetched.length, 4);
  assert.deepEqual(
    issuer.seen.map(({ digest }) => digest),
    [issuer.seen[0]!.digest, keysDigest],
  );
  await refused(issuer, issuer.token({}, {}, rsa)); // the old key is no longer published
});

test('a stranger who names keys that do not exist makes no traffic', async () => {
  const issuer = new TestIssuer([rsa]);
  await issuer.tokens.verify(await issuer.token());
  const stranger = await signer('no-such-key');
  for (let i = 0; i < 20; i++) await refused(issuer, issuer.token({}, {}, stranger));
  assert.equal(issuer.fetched.length, 2);
});

test('an issuer that is away: known keys stay good for an hour, then sign-in fails', async () => {
  const issuer = new TestIssuer([rsa]);
  await issuer.tokens.verify(await issuer.token());
  issuer.down = true;
  issuer.clock.nowMs += 3_000_000;
  await issuer.tokens.verify(await issuer.token());
  issuer.clock.nowMs += 700_000;
  await refused(issuer, issuer.token(), 'issuer-unreachable');
  const never = new TestIssuer([rsa]);
  never.down = true;
  await refused(never, never.token(), 'issuer-unreachable');
});

test('a discovery document of another issuer, keys without TLS, keys that are none', async () => {
  for (const metadata of [
    { issuer: 'https://other.example', jwks_uri: `${url}/keys` },
    { issuer: `${url}/`, jwks_uri: `${url}/keys` },
    { issuer: url, jwks_uri: 'http://issuer.example/keys' },
    { issuer: url },
  ]) {
    const issuer = new TestIssuer([rsa]);
    issuer.metadata = metadata;
    await refused(issuer, issuer.token(), 'issuer-invalid');
  }
});

test('when the keys cannot be put on record no token is accepted by them', async () => {
  const issuer = new TestIssuer([rsa]);
  const keys = new IssuerKeys({
    issuer: url,
    clock: issuer.clock,
    fetchJson: async (target) => issuer.answer(target),
    onKeys: () => Promise.reject(new Error('the log cannot be written')),
  });
  const tokens = new IdTokens({
    issuer: url,
    clientId: 'hoop',
    groupsClaim: 'groups',
    groupsMap: new Map(),
    clockSkewSeconds: 60,
    keys,
    clock: issuer.clock,
  });
  await assert.rejects(async () => tokens.verify(await issuer.token()), /log cannot be written/);
});
