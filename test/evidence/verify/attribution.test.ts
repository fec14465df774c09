/** Every link between an act and the identity provider's signature, removed or forged: each is named, and nothing else is. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, hash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import canonicalize from 'canonicalize';
import { relayActor } from '../../../src/evidence/entry.ts';
import { keepKeySet, keepProof } from '../../../src/evidence/logins/archive.ts';
import type { AttributionReport, Report } from '../../../src/evidence/verify/index.ts';
import { EvidenceFixture, type TestLogin } from './fixture.ts';
import { clientId, issuerUrl, TestIssuer, type TokenChanges } from './test-issuer.ts';

/** Opens a session, kills it and exports: three acts of one sign-in. */
async function act(fixture: EvidenceFixture, by: TestLogin): Promise<void> {
  const session = await fixture.open(by);
  await fixture.kill(session, by);
  await fixture.end(session, { outcome: 'killed' });
  await fixture.read(by, { action: 'export', request: by.sign({ action: 'evidence.export' }) });
}

async function verified(
  fixture: EvidenceFixture,
  session?: string,
): Promise<Report & { attribution: AttributionReport }> {
  await fixture.log.checkpoint();
  const { attribution, ...report } = await fixture.verify({
    attribution: session === undefined ? {} : { session },
  });
  assert.ok(attribution);
  return { ...report, attribution };
}

const codes = ({ findings }: Report): string[] => findings.map(({ code }) => code).toSorted();

async function keptFiles(fixture: EvidenceFixture): Promise<string[]> {
  const names = await readdir(fixture.path('logins'), { recursive: true });
  return names.filter((name) => name.endsWith('.jwt')).map((name) => fixture.path('logins', name));
}

for (const algorithm of ['RS256', 'RS512', 'PS256', 'PS384', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])
  test(`a token signed with ${algorithm} attributes every act to the issuer, offline`, async () => {
    await using fixture = await EvidenceFixture.create();
    const issuer = new TestIssuer(algorithm);
    await issuer.publish(fixture, [new TestIssuer('ES256', 'other').jwk, { kty: 'odd' }, null, issuer.jwk]);
    await act(fixture, await fixture.signIn('ana', [], issuer.proving(fixture)));
    const report = await verified(fixture);
    assert.deepEqual(codes(report), []);
    const counts = { issuer: 1, relay: 0, unchecked: 0, broken: 0 };
    assert.deepEqual(report.attribution.acts, [
      { action: 'evidence.export', ...counts },
      { action: 'session.kill', ...counts },
      { action: 'session.open', ...counts },
    ]);
    assert.deepEqual(report.attribution.broken, {});
  });

test('one session, step by step: who, which key, which token, which key of the issuer', async () => {
  await using fixture = await EvidenceFixture.create();
  const issuer = new TestIssuer();
  await issuer.publish(fixture);
  const ana = await fixture.signIn('ana', [], issuer.proving(fixture));
  const session = await fixture.open(ana);
  await act(fixture, ana);
  await fixture.end(session);
  const { attribution } = await verified(fixture, session.session);
  assert.equal(attribution.chains.length, 1);
  const [chain] = attribution.chains;
  assert.ok(chain?.login && chain.signIn?.token && chain.signIn.issuerKey);
  assert.deepEqual(
    [chain.action, chain.attributed, chain.link, chain.actor, chain.login.id, chain.login.index],
    ['session.open', 'issuer', null, ana.actor, ana.login, 2],
  );
  const { token, issuerKey, proof } = chain.signIn;
  assert.deepEqual([token.issuer, token.subject, token.audience], [issuerUrl, 'ana', [clientId]]);
  assert.deepEqual([issuerKey.kid, issuerKey.algorithm, issuerKey.index], ['k1', 'ES256', 1]);
  assert.equal(hash('sha256', await readFile(fixture.path(proof.file!)), 'hex'), proof.digest);
});

test('bound by the relay alone: a note that says so, and no failure', async () => {
  await using fixture = await EvidenceFixture.create();
  const issuer = new TestIssuer();
  await issuer.publish(fixture);
  const unbound = { claims: () => ({ cnf: undefined }), entry: { binding: 'bound-by-relay' as const } };
  await act(fixture, await fixture.signIn('ana', [], issuer.proving(fixture, unbound)));
  const report = await verified(fixture);
  assert.deepEqual([codes(report), report.verified], [['attribution-unbound'], true]);
  assert.ok(report.attribution.acts.every(({ relay, issuer: own }) => relay === 1 && own === 0));
});

test('a proof of a kind that is not read here is said to be kept and unchecked', async () => {
  await using fixture = await EvidenceFixture.create();
  const text = '<Response/>';
  const digest = hash('sha256', text, 'hex');
  await keepProof(fixture.directory, digest, 'saml-response', text);
  const proof = { kind: 'saml-response' as const, digest };
  await act(fixture, await fixture.signIn('ana', [], async () => ({ proof })));
  const report = await verified(fixture);
  assert.deepEqual([codes(report), report.verified], [['attribution-not-checked'], true]);
  assert.ok(report.attribution.acts.every(({ unchecked }) => unchecked === 1));
});

test('a login told again after a restart, its keys rotated away: proven by what held when it began', async () => {
  await using fixture = await EvidenceFixture.create();
  const issuer = new TestIssuer();
  await issuer.publish(fixture);
  const told: unknown[] = [];
  const proving = issuer.proving(fixture);
  const ana = await fixture.signIn('ana', [], async (login) => {
    const entry = { ...(await proving(login)), key: login.key, thumbprint: login.thumbprint };
    told.push(entry);
    return entry;
  });
  fixture.clock.ms += 3_600_000;
  await new TestIssuer('ES256', 'k2').publish(fixture);
  fixture.clock.ms += 3_600_000;
  await fixture.log.append({
    kind: 'login',
    actor: ana.actor,
    login: ana.login,
    renews: ana.login,
    groups: [],
    method: 'device-code',
    ...(told[0] as Required<
      Pick<
        Parameters<typeof fixture.log.append>[0] & { kind: 'login' },
        'key' | 'thumbprint' | 'binding' | 'idTokenDigest'
      >
    >),
  });
  await act(fixture, ana);
  assert.deepEqual(codes(await verified(fixture)), []);
});

test('a sign-in of another relay: the log says whose relay keeps the proof, and with it the chain is whole', async () => {
  await using fixture = await EvidenceFixture.create();
  const issuer = new TestIssuer();
  await issuer.publish(fixture);
  const proving = issuer.proving(fixture);
  const ana = await fixture.signIn('ana', [], async (login) => ({
    ...(await proving(login)),
    keptBy: 'two.example/log',
  }));
  await act(fixture, ana);
  const [file] = await keptFiles(fixture);
  const text = await readFile(file!);
  await rm(file!);
  const { findings } = await verified(fixture);
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['attribution-token-missing'],
  );
  assert.match(findings[0]!.message, /kept by the relay of the log two\.example\/log, whose logins\//);
  await writeFile(file!, text);
  assert.deepEqual(codes(await verified(fixture)), []);
});

interface Forgery {
  readonly name: string;
  readonly token?: TokenChanges;
  /** In place of the issuer that signs, or of the keys that the log tells. */
  readonly keys?: (fixture: EvidenceFixture, issuer: TestIssuer) => Promise<TestIssuer | void>;
  /** After the acts. */
  readonly after?: (fixture: EvidenceFixture, ana: TestLogin) => Promise<void>;
  readonly finds: readonly string[];
  /** Link at which all three acts break; null: the link is not of the sign-in. */
  readonly link: string | null;
}

const claims = (changes: Record<string, unknown> | ((nowSeconds: number) => Record<string, unknown>)) => ({
  claims: ({ nowSeconds }: { nowSeconds: number }) =>
    typeof changes === 'function' ? changes(nowSeconds) : changes,
});
const mismatch = { finds: ['attribution-claims-mismatch'], link: 'attribution-claims-mismatch' };
const otherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
const rsaKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const large = (issuer: TestIssuer) => ({
  keys: [issuer.jwk, { kty: 'filler', x: 'x'.repeat(40_000) }],
});

/** A key set that no entry has room for. @param keep what is put into its file; null: nothing */
async function publishLarge(
  fixture: EvidenceFixture,
  issuer: TestIssuer,
  keep: ((text: string) => string) | null,
): Promise<void> {
  const text = canonicalize(large(issuer))!;
  const jwksDigest = hash('sha256', text, 'hex');
  await keepKeySet(fixture.directory, jwksDigest, text);
  const file = fixture.path('issuers', `${jwksDigest}.json`);
  if (keep === null) await rm(file);
  else await writeFile(file, keep(text));
  await fixture.log.append({
    kind: 'issuer.keys',
    actor: relayActor,
    issuer: issuerUrl,
    jwksDigest,
    jwks: null,
  });
}

const forgeries: readonly Forgery[] = [
  {
    name: 'the kept token is erased',
    after: async (fixture) => rm(fixture.path('logins'), { recursive: true }),
    finds: ['attribution-token-missing'],
    link: 'attribution-token-missing',
  },
  {
    name: 'the kept token is swapped for another person’s',
    after: async (fixture) => {
      const before = await keptFiles(fixture);
      await fixture.signIn('ben', [], new TestIssuer().proving(fixture));
      const bens = (await keptFiles(fixture)).find((file) => !before.includes(file));
      await writeFile(before[0]!, await readFile(bens!));
    },
    finds: ['attribution-token-mismatch'],
    link: 'attribution-token-mismatch',
  },
  {
    name: 'a directory lies where the token should be',
    after: async (fixture) => {
      const [file] = await keptFiles(fixture);
      await rm(file!);
      await mkdir(file!);
    },
    finds: ['attribution-token-missing'],
    link: 'attribution-token-missing',
  },
  {
    name: 'the token is no token',
    token: { text: () => 'ana was here' },
    finds: ['attribution-token-malformed'],
    link: 'attribution-token-malformed',
  },
  {
    name: 'the token is signed by nobody (none)',
    token: { text: (whole) => `${part({ alg: 'none' })}.${part(whole)}.` },
    finds: ['attribution-token-malformed'],
    link: 'attribution-token-malformed',
  },
  {
    name: 'the token is signed with a shared secret',
    keys: async (fixture, issuer) => {
      await issuer.publish(fixture);
      return issuer;
    },
    token: {
      text: (whole) => {
        const text = `${part({ alg: 'HS256', kid: 'k1' })}.${part(whole)}`;
        return `${text}.${createHmac('sha256', 'the published key').update(text).digest('base64url')}`;
      },
    },
    finds: ['attribution-token-malformed'],
    link: 'attribution-token-malformed',
  },
  {
    name: 'the token has critical header parameters',
    keys: async (fixture, issuer) => issuer.publish(fixture),
    token: { text: (whole) => new TestIssuer().token(whole, { crit: ['exp'] }) },
    finds: ['attribution-token-malformed'],
    link: 'attribution-token-malformed',
  },
  {
    name: 'a stranger signed it under the issuer’s key id',
    keys: async (fixture) => new TestIssuer().publish(fixture),
    finds: ['attribution-signature-invalid'],
    link: 'attribution-signature-invalid',
  },
  {
    name: 'the signature was cut',
    token: { text: (whole) => `${new TestIssuer().token(whole).slice(0, -4)}` },
    finds: ['attribution-signature-invalid'],
    link: 'attribution-signature-invalid',
  },
  {
    name: 'a stranger signed it under a key id of their own',
    keys: async (fixture) => new TestIssuer('ES256', 'k9').publish(fixture),
    finds: ['attribution-key-unknown'],
    link: 'attribution-key-unknown',
  },
  {
    name: 'the key is of another kind than the algorithm says',
    keys: async (fixture) => new TestIssuer('RS256').publish(fixture),
    finds: ['attribution-key-unknown'],
    link: 'attribution-key-unknown',
  },
  {
    name: 'the key is for encryption',
    keys: async (fixture, issuer) => issuer.publish(fixture, [{ ...issuer.jwk, use: 'enc' }]),
    finds: ['attribution-key-unknown'],
    link: 'attribution-key-unknown',
  },
  {
    name: 'the RSA key is too short',
    keys: async (fixture) => {
      const weak = new TestIssuer('RS256', 'k1', true);
      await weak.publish(fixture);
      return weak;
    },
    finds: ['attribution-key-unknown'],
    link: 'attribution-key-unknown',
  },
  {
    name: 'the log never told the issuer’s keys',
    keys: async () => undefined,
    finds: ['attribution-key-unknown'],
    link: 'attribution-key-unknown',
  },
  {
    name: 'the keys are told after the sign-in only',
    keys: async () => undefined,
    after: async (fixture) => new TestIssuer().publish(fixture),
    finds: ['attribution-key-unknown'],
    link: 'attribution-key-unknown',
  },
  {
    name: 'the keys are another issuer’s',
    keys: async (fixture, issuer) => issuer.publish(fixture, [issuer.jwk], 'https://other.example'),
    finds: ['attribution-key-unknown'],
    link: 'attribution-key-unknown',
  },
  {
    name: 'the key had been withdrawn before',
    keys: async (fixture, issuer) => {
      await issuer.publish(fixture);
      await new TestIssuer('ES256', 'k2').publish(fixture);
      fixture.clock.ms += 3_600_000;
    },
    finds: ['attribution-key-unknown'],
    link: 'attribution-key-unknown',
  },
  {
    name: 'the key set was forged under the old digest',
    keys: async (fixture, issuer) => {
      const jwksDigest = hash('sha256', 'the keys that were seen', 'hex');
      const jwks = { keys: [issuer.jwk] };
      await fixture.log.append({
        kind: 'issuer.keys',
        actor: relayActor,
        issuer: issuerUrl,
        jwksDigest,
        jwks,
      });
    },
    finds: ['attribution-key-unknown', 'attribution-keys-mismatch'],
    link: 'attribution-key-unknown',
  },
  {
    name: 'the file of a large key set is gone',
    keys: (fixture, issuer) => publishLarge(fixture, issuer, null),
    finds: ['attribution-key-unknown', 'attribution-keys-missing'],
    link: 'attribution-key-unknown',
  },
  {
    name: 'the file of a large key set was forged',
    keys: (fixture, issuer) => publishLarge(fixture, issuer, (text) => text.replace('filler', 'forger')),
    finds: ['attribution-key-unknown', 'attribution-keys-mismatch'],
    link: 'attribution-key-unknown',
  },
  { name: 'the token is of another issuer', token: claims({ iss: 'https://other.example' }), ...mismatch },
  { name: 'the token is about somebody else', token: claims({ sub: 'ben' }), ...mismatch },
  { name: 'the token has another address', token: claims({ email: 'ben@example.com' }), ...mismatch },
  { name: 'the token is for another client', token: claims({ aud: 'other' }), ...mismatch },
  { name: 'the token was issued to another party', token: claims({ azp: 'other' }), ...mismatch },
  {
    name: 'the token had expired',
    token: claims((now) => ({ iat: now - 7200, exp: now - 3600, auth_time: now - 7200 })),
    ...mismatch,
  },
  {
    name: 'the token is of later',
    token: claims((now) => ({ iat: now + 600, exp: now + 900 })),
    ...mismatch,
  },
  { name: 'the token ended before it began', token: claims((now) => ({ exp: now - 1 })), ...mismatch },
  { name: 'its person signed in after it', token: claims((now) => ({ auth_time: now + 600 })), ...mismatch },
  {
    name: 'the entry tells of a fresher sign-in',
    token: { ...claims({ auth_time: 1 }), entry: { authTime: '2026-01-01T00:00:00.000Z' } },
    ...mismatch,
  },
  {
    name: 'the issuer bound another key (jkt)',
    token: claims({ cnf: { jkt: 'A'.repeat(43) } }),
    finds: ['attribution-binding-mismatch'],
    link: 'attribution-binding-mismatch',
  },
  {
    name: 'the issuer bound another key (jwk)',
    token: claims({ cnf: { jwk: otherKey } }),
    finds: ['attribution-binding-mismatch'],
    link: 'attribution-binding-mismatch',
  },
  {
    name: 'the issuer bound a key of another kind',
    token: claims({ cnf: { jwk: rsaKey } }),
    finds: ['attribution-binding-mismatch'],
    link: 'attribution-binding-mismatch',
  },
  {
    name: 'one form names this key, the other another',
    token: {
      claims: ({ thumbprint }) => ({ cnf: { jkt: thumbprint, jwk: otherKey } }),
    },
    finds: ['attribution-binding-mismatch'],
    link: 'attribution-binding-mismatch',
  },
  {
    name: 'the entry says that the issuer bound the key, and it did not',
    token: claims({ cnf: undefined }),
    finds: ['attribution-binding-mismatch'],
    link: 'attribution-binding-mismatch',
  },
  {
    name: 'another key was bound, though the entry says the relay bound this one',
    token: { ...claims({ cnf: { jkt: 'A'.repeat(43) } }), entry: { binding: 'bound-by-relay' } },
    finds: ['attribution-binding-mismatch'],
    link: 'attribution-binding-mismatch',
  },
];

for (const { name, token, keys, after, finds, link } of forgeries)
  test(`names it when ${name}`, async () => {
    await using fixture = await EvidenceFixture.create();
    const issuer = new TestIssuer();
    const signer =
      (keys === undefined ? await issuer.publish(fixture) : await keys(fixture, issuer)) ?? issuer;
    const ana = await fixture.signIn('ana', [], signer.proving(fixture, token));
    await act(fixture, ana);
    await after?.(fixture, ana);
    const report = await verified(fixture);
    assert.deepEqual([codes(report), report.verified], [[...finds], false]);
    assert.deepEqual(report.attribution.broken, { [String(link)]: 3 });
    // Who does not ask for attribution needs none of it.
    assert.deepEqual(await fixture.codes(), []);
  });

const acts: readonly {
  readonly name: string;
  readonly act: (fixture: EvidenceFixture, ana: TestLogin, ben: TestLogin) => Promise<unknown>;
  readonly finds: string;
}[] = [
  {
    name: 'a read without a signature',
    act: (fixture, ana) =>
      fixture.log.append({
        kind: 'evidence.read',
        actor: ana.actor,
        action: 'export',
        session: null,
        from: null,
        to: null,
        filters: {},
      }),
    finds: 'attribution-unsigned',
  },
  {
    name: 'an export signed by another login',
    act: (fixture, ana, ben) =>
      fixture.read(ana, { action: 'export', request: ben.sign({ action: 'evidence.export' }) }),
    finds: 'signature-invalid',
  },
  {
    name: 'an unsealing by a request to list sessions',
    act: (fixture, ana) => fixture.read(ana, { action: 'unseal' }),
    finds: 'request-mismatch',
  },
  {
    name: 'an export of more than was asked for',
    act: (fixture, ana) =>
      fixture.read(ana, {
        action: 'export',
        request: ana.sign({ action: 'evidence.export', filters: { person: 'ana' } }),
      }),
    finds: 'request-mismatch',
  },
  {
    name: 'a read of another range',
    act: (fixture, ana) => fixture.read(ana, { from: '2026-01-01T00:00:00.000Z' }),
    finds: 'request-mismatch',
  },
  {
    name: 'a request used twice',
    act: async (fixture, ana) => {
      const request = ana.sign({ action: 'evidence.sessions' });
      await fixture.read(ana, { request });
      await fixture.read(ana, { request });
    },
    finds: 'request-reused',
  },
  {
    name: 'a read in another person’s name',
    act: (fixture, ana, ben) => fixture.read(ana, { actor: ben.actor }),
    finds: 'login-mismatch',
  },
  {
    name: 'a login that the log does not know',
    act: (fixture, ana) => fixture.read(ana, { login: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }),
    finds: 'login-unknown',
  },
];

for (const { name, act: forge, finds } of acts)
  test(`finds ${name}`, async () => {
    await using fixture = await EvidenceFixture.create();
    const issuer = new TestIssuer();
    await issuer.publish(fixture);
    const [ana, ben] = [
      await fixture.signIn('ana', [], issuer.proving(fixture)),
      await fixture.signIn('ben', [], issuer.proving(fixture)),
    ];
    await forge(fixture, ana, ben);
    const report = await verified(fixture);
    assert.deepEqual(codes(report), [finds]);
    assert.deepEqual(report.attribution.broken, { [finds]: 1 });
  });

test('a login whose key is not the one that the issuer bound is no link: its acts are broken there', async () => {
  await using fixture = await EvidenceFixture.create();
  const issuer = new TestIssuer();
  await issuer.publish(fixture);
  const proving = issuer.proving(fixture);
  const forged = await fixture.signIn('ana', [], async (login) => ({
    ...(await proving(login)),
    key: { ...login.key, x: String(otherKey.x), y: String(otherKey.y) },
  }));
  await act(fixture, forged);
  const report = await verified(fixture);
  assert.ok(codes(report).includes('login-mismatch'));
  assert.ok(report.attribution.acts.every(({ broken }) => broken === 1));
});

test('kept durably, for its owner alone, once; another text under the name is refused', async () => {
  await using fixture = await EvidenceFixture.create();
  const digest = hash('sha256', 'text', 'hex');
  await keepProof(fixture.directory, digest, 'id-token', 'text');
  await keepProof(fixture.directory, digest, 'id-token', 'text');
  const [file] = await keptFiles(fixture);
  assert.match(path.relative(fixture.directory, file!), /^logins\/\d{4}\/\d\d\/\d\d\/[0-9a-f]{64}\.jwt$/);
  assert.equal(await readFile(file!, 'utf8'), 'text');
  await assert.rejects(keepProof(fixture.directory, digest, 'id-token', 'other'), { code: 'entry-invalid' });
  await assert.rejects(keepProof(fixture.path('log', 'checkpoint'), digest, 'id-token', 'text'), {
    code: 'log-write-failed',
  });
});
