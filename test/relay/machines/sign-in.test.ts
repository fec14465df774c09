/** How machines sign in at the API, and each way to get in without a right to: refused. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { importPKCS8, SignJWT } from 'jose';
import { makeClientAssertion } from '../../../src/identity/service-account.ts';
import type { MachineRule } from '../../../src/identity/machine-token.ts';
import type { LoginId } from '../../../src/model/ids.ts';
import { parsePattern } from '../../../src/identity/pattern.ts';
import { newSecret, publicKeyOf, ServiceAccountAdmin } from '../../../src/relay/machines/service-accounts.ts';
import type { UpstreamConfig } from '../../../src/relay/config/upstream.ts';
import { LoginAnswer } from '../../../src/wire/api.ts';
import { MachineIssuer } from '../../support/machine-issuer.ts';
import { makeSignedRequest } from '../../../src/identity/signed-request.ts';
import { call, codeOf, logIn, newKey, startRelay, type TestRelay } from '../idp/relay.ts';

const audience = 'https://relay.example.com';
let issuer: MachineIssuer;
let relay: TestRelay;
let admin: ServiceAccountAdmin;
let anaId: string;

const p = (text: string) => parsePattern(text)!;
const rule = (name: string, changes: Partial<MachineRule>): MachineRule => ({
  name,
  issuer: issuer.url,
  audience,
  kind: 'service',
  subject: null,
  actor: null,
  conditions: [],
  groups: [name],
  lifetimeMs: 3_600_000,
  ...changes,
});

before(async () => {
  issuer = await MachineIssuer.start();
  relay = await startRelay({
    machines: [
      rule('github', {
        subject: p('repo:acme/*:ref:refs/heads/main'),
        conditions: [
          { claim: 'job_workflow_ref', anyOf: [p('acme/shop/.github/workflows/*@refs/heads/main')] },
        ],
      }),
      rule('gitlab', {
        conditions: [
          { claim: 'project_path', anyOf: [p('acme/other'), p('acme/shop')] },
          { claim: 'ref_protected', anyOf: [p('true')] },
        ],
      }),
      rule('kubernetes', {
        subject: p('system:serviceaccount:batch:*'),
        conditions: [{ claim: '/kubernetes.io/namespace', anyOf: [p('batch')] }],
      }),
      rule('one', { subject: p('twice') }),
      rule('two', { subject: p('twice') }),
      rule('assistant', { kind: 'agent', actor: p('assistant-*') }),
    ],
    policy: `permit (principal in Group::"engineering", action == Action::"delegate", resource in Group::"assistants");
      permit (principal in Group::"engineering", action == Action::"delegate", resource in Group::"careful")
        when { context has authAgeSeconds && context.authAgeSeconds <= 60 };`,
  });
  admin = new ServiceAccountAdmin(relay.state, relay.relay, { account: 'root', reason: null });
  anaId = (await relay.provider.accounts.add('ana@example.com', ['engineering'], 'correct horse battery'))!
    .id;
});
after(async () => {
  await relay.close();
  await issuer.close();
});

const post = async (body: unknown, key = newKey()) =>
  call(relay, await key, '/v1/login', { method: 'POST', body });
const codeFor = async (assertion: string) => codeOf(await post({ assertion }));
async function signedIn(body: unknown, key = newKey()) {
  const answer = await post(body, key);
  assert.equal(answer.status, 200, await answer.clone().text());
  return LoginAnswer.parse(await answer.json());
}

test('tokens of GitHub, GitLab and Kubernetes become logins that their rule names, as often as they are presented', async () => {
  const tokens = {
    github: await issuer.github(audience),
    gitlab: await issuer.gitlab(audience),
    kubernetes: await issuer.kubernetes(audience),
  };
  for (const [name, assertion] of Object.entries(tokens)) {
    const first = await signedIn({ assertion });
    const second = await signedIn({ assertion });
    assert.notEqual(first.login, second.login);
    assert.deepEqual([first.principal.kind, first.principal.groups], ['service', [name]]);
    assert.ok(first.expiresInSeconds <= 300, 'no longer than the token');
    const entry = relay.entries.find((each) => each.kind === 'login' && each.login === second.login);
    assert.ok(entry?.kind === 'login');
    assert.deepEqual(
      [entry.method, entry.proof?.rule, entry.idTokenDigest],
      ['workload-token', name, undefined],
    );
    assert.ok(!JSON.stringify(relay.entries).includes(assertion));
  }
  assert.ok(relay.entries.some((each) => each.kind === 'issuer.keys' && each.issuer === issuer.url));
});

test('another audience, repository, branch, workflow, namespace, an unprotected branch: refused', async () => {
  const evil = { job_workflow_ref: 'acme/shop/.github/workflows/../../x@refs/heads/main' };
  assert.equal(await codeFor(await issuer.github('https://other.example.com')), 'assertion-invalid');
  assert.equal(
    await codeFor(await issuer.github(audience, { aud: [audience, 'https://x.example'] })),
    'assertion-invalid',
  );
  for (const token of [
    issuer.github(audience, { sub: 'repo:acme-evil/shop:ref:refs/heads/main' }),
    issuer.github(audience, { sub: 'repo:acme/a/b:ref:refs/heads/main' }),
    issuer.github(audience, { sub: 'repo:acme/shop:ref:refs/heads/x:ref:refs/heads/main' }),
    issuer.github(audience, { sub: 'repo:acme/shop:pull_request' }),
    issuer.github(audience, evil),
    issuer.github(audience, { job_workflow_ref: ['acme/shop/.github/workflows/deploy.yml@refs/heads/main'] }),
    issuer.gitlab(audience, { ref_protected: 'false' }),
    issuer.gitlab(audience, { ref_protected: undefined }),
    issuer.gitlab(audience, { project_path: 'acme/shop2' }),
    issuer.kubernetes(audience, { 'kubernetes.io': { namespace: 'other' } }),
    issuer.kubernetes(audience, { sub: 'system:serviceaccount:other:nightly' }),
    issuer.token({ sub: 'twice', aud: audience }),
  ])
    assert.equal(await codeFor(await token), 'assertion-unmatched');
});

test('expired, too old, from the future, forged, unsigned, of a stranger: refused', async () => {
  assert.equal(await codeFor(await issuer.github(audience, {}, { seconds: -120 })), 'assertion-expired');
  const old = await issuer.kubernetes(audience, {}, { seconds: 31_536_000, issuedSeconds: 3700 });
  assert.equal(await codeFor(old), 'assertion-expired');
  const long = await issuer.kubernetes(audience, {}, { seconds: 31_536_000, issuedSeconds: 3500 });
  assert.ok(
    (await signedIn({ assertion: long })).expiresInSeconds <= 100,
    'an hour from iat, whatever exp says',
  );
  assert.equal(
    await codeFor(await issuer.github(audience, {}, { issuedSeconds: -600 })),
    'assertion-invalid',
  );
  const genuine = await issuer.github(audience);
  const [header, payload] = genuine.split('.');
  assert.equal(await codeFor(`${header}.${payload}.${'A'.repeat(342)}`), 'assertion-invalid');
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  assert.equal(await codeFor(`${none}.${payload}.`), 'assertion-invalid');
  const stranger = await MachineIssuer.start();
  try {
    assert.equal(await codeFor(await stranger.github(audience)), 'assertion-invalid');
    assert.equal(await codeFor(await stranger.github(audience, { iss: issuer.url })), 'assertion-invalid');
  } finally {
    await stranger.close();
  }
  assert.equal(await codeFor('no-token'), 'assertion-invalid');
});

function keyPair() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { credential: publicKeyOf(publicKey), privateKey: importPKCS8(privateKey, 'ES256') };
}
const account = (name: string, kind: 'service' | 'agent' = 'service') => ({
  name,
  kind,
  groups: [kind === 'agent' ? 'assistants' : 'jobs'],
  expiresAtMs: null,
});
const assertionOf = async (key: ReturnType<typeof keyPair>, name: string, to = relay.relay) =>
  makeClientAssertion(await key.privateKey, name, to, relay.clock);

test('a service account signs in by its key: each assertion once, for this relay, for minutes', async () => {
  const key = keyPair();
  const made = await admin.add(account('by-key'), key.credential);
  const assertion = await assertionOf(key, 'by-key');
  const { principal } = await signedIn({ assertion });
  assert.deepEqual(
    [principal.issuer, principal.subject, principal.groups],
    [relay.relay, made?.id, ['jobs']],
  );
  assert.equal(await codeFor(assertion), 'assertion-replayed');
  assert.equal(await codeFor(await assertionOf(key, 'by-key', 'https://other.example')), 'assertion-invalid');
  assert.equal(await codeFor(await assertionOf(keyPair(), 'by-key')), 'service-account-refused');
  assert.equal(await codeFor(await assertionOf(key, 'nobody')), 'service-account-refused');
  const now = Math.floor(relay.clock.wallMs() / 1000);
  const long = new SignJWT({ jti: 'long-lived-assertion' })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer('by-key')
    .setSubject('by-key')
    .setAudience(relay.relay)
    .setIssuedAt(now)
    .setExpirationTime(now + 3600);
  assert.equal(await codeFor(await long.sign(await key.privateKey)), 'assertion-invalid');
  const other = keyPair();
  await admin.rotate(made!, other.credential, 60_000);
  await signedIn({ assertion: await assertionOf(key, 'by-key') });
  await signedIn({ assertion: await assertionOf(other, 'by-key') });
  relay.clock.offsetMs += 61_000;
  try {
    assert.equal(await codeFor(await assertionOf(key, 'by-key')), 'service-account-refused');
    await signedIn({ assertion: await assertionOf(other, 'by-key') });
  } finally {
    relay.clock.offsetMs -= 61_000;
  }
});

const by = ({ secret }: { secret: string }) => ({ account: 'by-secret', clientSecret: secret });

test('by its secret: two while it is rotated, then one; who is disabled or removed is out at once', async () => {
  const [first, second] = [newSecret(), newSecret()];
  const made = await admin.add(account('by-secret'), first.credential);
  assert.match(first.secret, /^hoop_sa_[\w-]{43}$/);
  await signedIn(by(first));
  await admin.rotate(made!, second.credential, 60_000);
  await signedIn(by(first));
  await signedIn(by(second));
  relay.clock.offsetMs += 61_000;
  try {
    assert.equal(await codeOf(await post(by(first))), 'service-account-refused');
    const key = newKey();
    const { accessToken } = await signedIn(by(second), key);
    const me = async () => call(relay, await key, '/v1/me', { accessToken });
    assert.equal((await me()).status, 200);
    await admin.setDisabled(made!, true);
    assert.equal(await codeOf(await me()), 'login-ended');
    assert.equal(await codeOf(await post(by(second))), 'service-account-refused');
    await admin.setDisabled(made!, false);
    await signedIn(by(second));
    await admin.remove(made!);
    assert.equal(await codeOf(await post(by(second))), 'service-account-refused');
    const again = await admin.add(account('by-secret'), second.credential);
    assert.notEqual(again?.id, made?.id, 'an id is never used again');
  } finally {
    relay.clock.offsetMs -= 61_000;
  }
});

/** Runs `meanwhile` when who signs in was verified, and the login is not stored yet. */
async function whileSigningIn(body: unknown, meanwhile: () => Promise<unknown>): Promise<string> {
  const { logins } = relay.state;
  const open = logins.open.bind(logins);
  const opened: LoginId[] = [];
  logins.open = async (login) => {
    await meanwhile();
    await open(login);
    opened.push(login.id);
  };
  try {
    const code = await codeOf(await post(body));
    assert.equal(opened.length, 1);
    assert.equal(await logins.findLive(opened[0]!), null);
    return code;
  } finally {
    logins.open = open;
  }
}

test('a credential that is replaced for good while a sign-in by it is under way leaves no login', async () => {
  const [first, second] = [newSecret(), newSecret()];
  const bySecret = await admin.add(account('replaced-secret'), first.credential);
  const body = { account: 'replaced-secret', clientSecret: first.secret };
  const rotated = await whileSigningIn(body, () => admin.rotate(bySecret!, second.credential, 0));
  assert.equal(rotated, 'service-account-refused');
  const [key, other] = [keyPair(), keyPair()];
  const byKey = await admin.add(account('replaced-key'), key.credential);
  const assertion = await assertionOf(key, 'replaced-key');
  const refused = await whileSigningIn({ assertion }, () => admin.rotate(byKey!, other.credential, 0));
  assert.equal(refused, 'service-account-refused');
});

test('a delegation that is taken back while its agent signs in leaves no login', async () => {
  const agent = await admin.add(
    { name: 'taken-back', kind: 'agent', groups: ['assistants'], expiresAtMs: null },
    null,
  );
  const key = await newKey();
  const { answer } = await logIn(relay, key, password);
  const delegated = await delegates('taken-back', key, answer.accessToken);
  const { token } = (await delegated.json()) as { token: string };
  const code = await whileSigningIn({ assertion: token }, () =>
    relay.state.delegations.removeOf(answer.login as LoginId, agent!.id),
  );
  assert.equal(code, 'delegation-ended');
});

test('guessing secrets is counted by account and network', async () => {
  const { credential } = newSecret();
  await admin.add(account('guessed'), credential);
  const codes: string[] = [];
  for (let guess = 0; guess < 11; guess++)
    codes.push(await codeOf(await post({ account: 'guessed', clientSecret: `guess-${guess}` })));
  assert.equal(codes[9], 'service-account-refused');
  assert.equal(codes[10], 'relay-overloaded');
});

test('an agent whose issuer names a person acts for that person, in its own groups alone', async () => {
  const claims = { aud: audience, act: { sub: 'assistant-7' } };
  const { principal } = await signedIn({ assertion: await issuer.token({ ...claims, sub: anaId }) });
  assert.deepEqual(
    [principal.kind, principal.subject, principal.groups],
    ['agent', 'assistant-7', ['assistant']],
  );
  assert.deepEqual(principal.actsFor, {
    issuer: relay.provider.issuer,
    subject: anaId,
    email: 'ana@example.com',
    groups: ['engineering'],
  });
  for (const token of [
    issuer.token({ ...claims, sub: 'nobody-here' }),
    issuer.token({ ...claims, sub: anaId, act: { sub: 'other' } }),
    // A plain rule is not about a token that has an actor.
    issuer.github(audience, { act: { sub: 'assistant-7' }, sub: 'repo:acme/shop:ref:refs/heads/main' }),
  ])
    assert.equal(await codeFor(await token), 'assertion-unmatched');
  const chain = issuer.token({ ...claims, sub: anaId, act: { sub: 'assistant-7', act: { sub: 'x' } } });
  assert.equal(await codeFor(await chain), 'assertion-invalid');
});

test('when a person is disabled, what acts for them is out too', async () => {
  const user = await relay.provider.accounts.add('kim@example.com', [], 'kim has a password');
  const assertion = await issuer.token({ aud: audience, sub: user!.id, act: { sub: 'assistant-7' } });
  const key = newKey();
  const { accessToken } = await signedIn({ assertion }, key);
  await relay.provider.accounts.setDisabled(user!, true);
  assert.equal(await codeOf(await call(relay, await key, '/v1/me', { accessToken })), 'login-ended');
  assert.equal(await codeFor(assertion), 'assertion-unmatched');
});

const password: [string, string] = ['ana@example.com', 'correct horse battery'];
async function delegates(agent: string, by: Awaited<ReturnType<typeof newKey>>, accessToken: string) {
  const claims = {
    v: 1 as const,
    action: 'agent.delegate',
    relay: relay.relay,
    agent,
    durationSeconds: 3600,
  };
  const request = await makeSignedRequest(by, claims, relay.clock);
  return call(relay, by, '/v1/delegations', { method: 'POST', accessToken, body: { request } });
}

test('a delegation that needs a fresh sign-in says so', async () => {
  await admin.add({ name: 'careful-1', kind: 'agent', groups: ['careful'], expiresAtMs: null }, null);
  const key = await newKey();
  const { answer } = await logIn(relay, key, password);
  assert.equal((await delegates('careful-1', key, answer.accessToken)).status, 200);
  relay.clock.offsetMs += 120_000;
  assert.equal(await codeOf(await delegates('careful-1', key, answer.accessToken)), 'step-up-required');
  assert.equal(await codeOf(await delegates('nobody', key, answer.accessToken)), 'delegation-denied');
});

test('a rule on how fresh the person’s sign-in is was about the moment when they delegated', async () => {
  await admin.add({ name: 'careful-2', kind: 'agent', groups: ['careful'], expiresAtMs: null }, null);
  const before = relay.clock.offsetMs;
  relay.clock.offsetMs = 0;
  const key = await newKey();
  const { answer } = await logIn(relay, key, password);
  const delegated = await delegates('careful-2', key, answer.accessToken);
  const { token } = (await delegated.json()) as { token: string };
  relay.clock.offsetMs += 600_000;
  const { principal } = await signedIn({ assertion: token });
  relay.clock.offsetMs = before;
  assert.equal(principal.actsFor?.email, 'ana@example.com');
});

test('an agent’s login is renewed by the sign-in of the person that it came from, and by no other of theirs', async () => {
  await admin.add({ name: 'renewing', kind: 'agent', groups: ['assistants'], expiresAtMs: null }, null);
  const tokens: string[] = [];
  for (let i = 0; i < 2; i++) {
    const key = await newKey();
    const { answer } = await logIn(relay, key, password);
    const delegated = await delegates('renewing', key, answer.accessToken);
    tokens.push(((await delegated.json()) as { token: string }).token);
  }
  const agent = newKey();
  const { login } = await signedIn({ assertion: tokens[0] }, agent);
  assert.equal((await signedIn({ assertion: tokens[0], renews: login }, agent)).login, login);
  assert.equal(await codeOf(await post({ assertion: tokens[1], renews: login }, agent)), 'login-ended');

  // Ended by an operator: what it could come back with is worth nothing either; the other sign-in's is.
  const stored = (await relay.state.logins.live()).find(({ id }) => id === login)!;
  await relay.state.logins.endByOperator(stored.id, { account: 'root', reason: null });
  await relay.state.delegations.removeOf(stored.parent!, stored.principal.subject);
  assert.equal(await codeFor(tokens[0]!), 'delegation-ended');
  await signedIn({ assertion: tokens[1] });
});

test('an agent that acts for somebody is out when its account expires, as one that acts by itself', async () => {
  const expiresAtMs = relay.clock.wallMs() + 300_000;
  await admin.add({ name: 'brief', kind: 'agent', groups: ['assistants'], expiresAtMs }, null);
  const key = await newKey();
  const { answer } = await logIn(relay, key, password);
  const { token } = (await (await delegates('brief', key, answer.accessToken)).json()) as { token: string };
  assert.ok((await signedIn({ assertion: token })).expiresInSeconds <= 300);
});

test('where people sign in at an upstream, no agent acts for the people that were here before', async () => {
  const there = await startRelay({
    machines: [rule('assistant', { kind: 'agent', actor: p('assistant-*') })],
    upstreamConfigured: { kind: 'saml' } as UpstreamConfig,
  });
  try {
    const { id } = (await there.provider.accounts.add('old@example.com', [], 'a password of before'))!;
    const assertion = await issuer.token({ aud: audience, sub: id, act: { sub: 'assistant-7' } });
    const answer = await call(there, await newKey(), '/v1/login', { method: 'POST', body: { assertion } });
    assert.equal(await codeOf(answer), 'assertion-unmatched');
  } finally {
    await there.close();
  }
});
