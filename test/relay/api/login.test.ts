/** Sign-in at the API over real HTTP, and each way to get in without a right to: refused. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import * as oidc from 'openid-client';
import { SignJWT } from 'jose';
import { makeProof } from '../../../src/identity/dpop.ts';
import type { LoginKey } from '../../../src/identity/login-key.ts';
import type { LoginId } from '../../../src/model/ids.ts';
import { LoginAnswer, MeAnswer, Problem } from '../../../src/wire/api.ts';
import { Browser } from '../idp/browser.ts';
import {
  call,
  client,
  codeOf,
  grant,
  logIn,
  newKey,
  signInBy,
  startDevice,
  startRelay,
  type TestRelay,
} from '../idp/relay.ts';

const ana: [string, string] = ['ana@example.com', 'correct horse battery'];
let relay: TestRelay;
let key: LoginKey;

before(async () => {
  relay = await startRelay();
  await relay.provider.accounts.add(ana[0], ['engineering'], ana[1]);
  key = await newKey();
});
after(() => relay.close());

const me = (accessToken: string, by: LoginKey = key, options: { proof?: string; scheme?: string } = {}) =>
  call(relay, by, '/v1/me', { accessToken, ...options });

const post = (idToken: string, by: LoginKey, renews?: string) =>
  call(relay, by, '/v1/login', {
    method: 'POST',
    body: { idToken, ...(renews === undefined ? {} : { renews }) },
  });

test('an ID token becomes an access token; the sign-in is on record with its key before it counts', async () => {
  const { answer, tokens } = await logIn(relay, key, ana);
  const parsed = LoginAnswer.parse(answer);
  assert.equal(parsed.expiresInSeconds, 900);
  assert.deepEqual(parsed.principal.groups, ['engineering']);
  const response = await me(answer.accessToken);
  assert.equal(response.status, 200);
  const body = MeAnswer.parse(await response.json());
  assert.equal(body.login, answer.login);
  assert.equal(body.principal.email, ana[0]);
  const entry = relay.entries.find(
    (candidate) => candidate.kind === 'login' && candidate.login === answer.login,
  );
  assert.ok(entry?.kind === 'login');
  assert.equal(entry.thumbprint, key.jkt);
  assert.deepEqual(entry.key, key.publicJwk);
  assert.equal(entry.binding, 'cnf-by-issuer');
  assert.equal(entry.renews, null);
  assert.ok(!JSON.stringify(relay.entries).includes(tokens.id_token!));
});

test('every answer carries a nonce, and a proof without one is told so', async () => {
  const { answer } = await logIn(relay, key, ana);
  const url = `${relay.relay}/v1/me`;
  const request = { method: 'GET', url, accessToken: answer.accessToken };
  const proof = await makeProof(key, request, null, relay.clock);
  const first = await me(answer.accessToken, key, { proof });
  assert.equal(first.status, 401);
  assert.match(first.headers.get('www-authenticate') ?? '', /^DPoP error="use_dpop_nonce"/);
  assert.equal(Problem.parse(await first.json()).code, 'dpop-nonce-required');
  const nonce = first.headers.get('dpop-nonce');
  assert.ok(nonce);
  const second = await me(answer.accessToken, key, {
    proof: await makeProof(key, request, nonce, relay.clock),
  });
  assert.equal(second.status, 200);
  assert.ok(second.headers.get('dpop-nonce'));
});

test('a stolen access token is worth nothing: without a proof, with another key, as a bearer token', async () => {
  const { answer } = await logIn(relay, key, ana);
  const thief = await newKey();
  const stolen = await me(answer.accessToken, thief);
  assert.equal(stolen.status, 401);
  assert.equal(await codeOf(stolen), 'dpop-proof-invalid');
  const bare = await fetch(`${relay.relay}/v1/me`, {
    headers: { authorization: `DPoP ${answer.accessToken}` },
  });
  assert.equal(await codeOf(bare), 'dpop-proof-missing');
  const bearer = await me(answer.accessToken, key, { scheme: 'Bearer' });
  assert.equal(bearer.status, 401);
  assert.equal(await codeOf(bearer), 'access-token-missing');
  assert.match(bearer.headers.get('www-authenticate') ?? '', /^DPoP /);
});

test('a proof is good for one call: not twice, not elsewhere, not with another token', async () => {
  const { answer } = await logIn(relay, key, ana);
  const { accessToken } = answer;
  const nonce = relay.identity.nonces.current();
  const proofFor = (url: string, token: string | null = accessToken, method = 'GET') =>
    makeProof(key, { method, url, accessToken: token }, nonce, relay.clock);
  const own = await proofFor(`${relay.relay}/v1/me`);
  assert.equal((await me(accessToken, key, { proof: own })).status, 200);
  const replayed = await me(accessToken, key, { proof: own });
  assert.equal(replayed.status, 401);
  assert.equal(await codeOf(replayed), 'dpop-proof-replayed');
  for (const proof of [
    await proofFor(`${relay.relay}/v1/other`),
    await proofFor('http://other.example/v1/me'),
    await proofFor(`${relay.relay}/v1/me`, accessToken, 'POST'),
    await proofFor(`${relay.relay}/v1/me`, null),
    await proofFor(`${relay.relay}/v1/me`, `${accessToken}x`),
  ])
    assert.equal(await codeOf(await me(accessToken, key, { proof })), 'dpop-proof-invalid');
});

test('many that send one proof at the same time: one is heard', async () => {
  const { answer } = await logIn(relay, key, ana);
  const request = { method: 'GET', url: `${relay.relay}/v1/me`, accessToken: answer.accessToken };
  const proof = await makeProof(key, request, relay.identity.nonces.current(), relay.clock);
  const answers = await Promise.all(Array.from({ length: 10 }, () => me(answer.accessToken, key, { proof })));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
});

test('a stolen ID token cannot be bound to another key, and none is taken twice', async () => {
  const { tokens } = await grant(relay, key, ana);
  const thief = await post(tokens.id_token!, await newKey());
  assert.equal(thief.status, 401);
  assert.equal(await codeOf(thief), 'id-token-invalid');
  assert.equal((await post(tokens.id_token!, key)).status, 200);
  const again = await post(tokens.id_token!, key);
  assert.equal(again.status, 401);
  assert.equal(await codeOf(again), 'id-token-invalid');
});

test('an ID token that was used stays used, however its signature is spelt', async () => {
  const { tokens } = await grant(relay, key, ana);
  const token = tokens.id_token!;
  assert.equal((await post(token, key)).status, 200);
  // The last character has bits that stand for nothing: other texts, the same signature.
  const signature = Buffer.from(token.split('.')[2]!, 'base64url');
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const respelt = [...alphabet]
    .map((last) => `${token.slice(0, -1)}${last}`)
    .filter((text) => Buffer.from(text.split('.')[2]!, 'base64url').equals(signature) && text !== token);
  assert.ok(respelt.length > 0);
  for (const text of [...respelt, `${token}=`, `${token}==`])
    assert.equal(await codeOf(await post(text, key)), 'id-token-invalid');
});

test('forged tokens are refused: another signer, an ID token as access token, an access token as ID token', async () => {
  const { answer, tokens } = await logIn(relay, key, ana);
  const other = await startRelay();
  try {
    await other.provider.accounts.add(ana[0], ['engineering'], ana[1]);
    const foreign = await logIn(other, key, ana);
    assert.equal(await codeOf(await me(foreign.answer.accessToken)), 'access-token-invalid');
    const { tokens: foreignTokens } = await grant(other, key, ana);
    assert.equal(await codeOf(await post(foreignTokens.id_token!, key)), 'id-token-invalid');
  } finally {
    await other.close();
  }
  assert.equal(await codeOf(await me(tokens.id_token!)), 'access-token-invalid');
  assert.equal(await codeOf(await post(answer.accessToken, key)), 'id-token-invalid');
});

test('a renewal needs the same person, the same key and a login that lives', async () => {
  await relay.provider.accounts.add('ben@example.com', [], 'another password');
  const first = await logIn(relay, key, ana);
  const renewed = await oidc.refreshTokenGrant(
    first.device.config,
    first.tokens.refresh_token!,
    {},
    {
      DPoP: first.device.DPoP,
    },
  );
  const answer = await post(renewed.id_token!, key, first.answer.login);
  assert.equal(answer.status, 200);
  assert.equal(LoginAnswer.parse(await answer.json()).login, first.answer.login);

  const swapped = await newKey();
  const otherKey = await grant(relay, swapped, ana);
  assert.equal(
    await codeOf(await post(otherKey.tokens.id_token!, swapped, first.answer.login)),
    'login-ended',
  );
  const otherPerson = await grant(relay, key, ['ben@example.com', 'another password']);
  assert.equal(
    await codeOf(await post(otherPerson.tokens.id_token!, key, first.answer.login)),
    'login-ended',
  );
  const unknown = await grant(relay, key, ana);
  assert.equal(
    await codeOf(await post(unknown.tokens.id_token!, key, '01ARZ3NDEKTSV4RRFFQ69G5FAV')),
    'login-ended',
  );
});

test('a renewal makes a sign-in no younger and takes no class away; signing in again counts, and is on record', async () => {
  const { device, tokens, answer } = await logIn(relay, key, ana);
  const { logins } = relay.state;
  const login = answer.login as LoginId;
  const stored = (await logins.findLive(login))!;
  const { timeMs, amr } = stored.authentication;
  assert.ok(timeMs !== null && amr.join() === 'pwd');
  const until = relay.clock.wallMs() + 900_000;
  const later = { timeMs: timeMs + 60_000, acr: 'urn:mfa', amr: ['hwk'] };
  assert.ok(await logins.renew(login, { ...stored, authentication: later }, until));
  const entries = relay.entries.length;
  const renewed = await oidc.refreshTokenGrant(
    device.config,
    tokens.refresh_token!,
    {},
    { DPoP: device.DPoP },
  );
  assert.equal((await post(renewed.id_token!, key, login)).status, 200);
  assert.deepEqual((await logins.findLive(login))?.authentication, later);
  assert.equal(relay.entries.length, entries);

  const old = { timeMs: timeMs - 60_000, acr: null, amr: ['pwd'] };
  assert.ok(await logins.renew(login, { ...stored, authentication: old }, until));
  const again = await grant(relay, key, ana);
  assert.equal((await post(again.tokens.id_token!, key, login)).status, 200);
  const fresh = (await logins.findLive(login))?.authentication.timeMs ?? 0;
  assert.ok(fresh >= timeMs);
  const entry = relay.entries.at(-1);
  assert.ok(entry?.kind === 'login' && entry.login === login && entry.renews === login);
  assert.equal(entry.authTime, new Date(fresh).toISOString());
});

test('groups change with the renewal, for tokens that are out too, and the change is on record', async () => {
  const user = await relay.provider.accounts.add('gus@example.com', ['dba'], 'gus has a password');
  const { device, tokens, answer } = await logIn(relay, key, ['gus@example.com', 'gus has a password']);
  await relay.provider.accounts.setGroups(user!, ['readers']);
  const renewed = await oidc.refreshTokenGrant(
    device.config,
    tokens.refresh_token!,
    {},
    { DPoP: device.DPoP },
  );
  assert.equal((await post(renewed.id_token!, key, answer.login)).status, 200);
  const seen = MeAnswer.parse(await (await me(answer.accessToken)).json());
  assert.deepEqual(seen.principal.groups, ['readers']);
  const entry = relay.entries.at(-1);
  assert.ok(entry?.kind === 'login');
  assert.equal(entry.renews, answer.login);
  assert.deepEqual(entry.groups, ['readers']);
});

test('logout ends the login: its token, and its renewal', async () => {
  const { device, tokens, answer } = await logIn(relay, key, ana);
  const { accessToken, login } = answer;
  const out = await call(relay, key, '/v1/logout', { method: 'POST', accessToken });
  assert.equal(out.status, 204);
  assert.deepEqual(relay.entries.at(-1)?.kind, 'login.ended');
  assert.equal(await codeOf(await me(accessToken)), 'login-ended');
  const renewed = await oidc.refreshTokenGrant(
    device.config,
    tokens.refresh_token!,
    {},
    { DPoP: device.DPoP },
  );
  assert.equal(await codeOf(await post(renewed.id_token!, key, login)), 'login-ended');
});

test('whoever is disabled, removed or gets a new password is out at once', async () => {
  const { accounts } = relay.provider;
  const changes = [
    (user: NonNullable<Awaited<ReturnType<typeof accounts.add>>>) => accounts.setDisabled(user, true),
    (user: NonNullable<Awaited<ReturnType<typeof accounts.add>>>) => accounts.remove(user),
    (user: NonNullable<Awaited<ReturnType<typeof accounts.add>>>) =>
      accounts.setPassword(user, 'a new password'),
  ];
  for (const [i, change] of changes.entries()) {
    const user = await accounts.add(`kim${i}@example.com`, [], 'kim has a password');
    const { answer } = await logIn(relay, key, [`kim${i}@example.com`, 'kim has a password']);
    assert.equal((await me(answer.accessToken)).status, 200);
    await change(user!);
    assert.equal(await codeOf(await me(answer.accessToken)), 'login-ended');
  }
});

test('an ID token kept unspent does not bring back whoever is disabled, removed or has a new password', async () => {
  const { accounts } = relay.provider;
  const changes = [
    (user: User) => accounts.setDisabled(user, true),
    async (user: User) => {
      await accounts.setDisabled(user, true);
      return accounts.setDisabled(user, false);
    },
    (user: User) => accounts.remove(user),
    (user: User) => accounts.setPassword(user, 'a new password'),
  ];
  for (const [i, change] of changes.entries()) {
    const person: [string, string] = [`lou${i}@example.com`, 'lou has a password'];
    const user = await accounts.add(person[0], [], person[1]);
    const { tokens } = await grant(relay, key, person);
    assert.equal(await accounts.vouchesFor(user!.id, relay.clock.wallMs()), true);
    // Times in tokens are whole seconds.
    relay.clock.offsetMs += 2000;
    try {
      await change(user!);
      const before = relay.entries.length;
      assert.equal(await codeOf(await post(tokens.id_token!, key)), 'id-token-invalid');
      assert.equal(relay.entries.length, before);
      const stays = i === 1 || i === 3;
      assert.equal(await accounts.vouchesFor(user!.id, relay.clock.wallMs()), stays);
    } finally {
      relay.clock.offsetMs -= 2000;
    }
  }
});

type User = NonNullable<Awaited<ReturnType<TestRelay['provider']['accounts']['add']>>>;
const revocations: Readonly<Record<string, (user: User) => Promise<unknown>>> = {
  'a new password': (user) => relay.provider.accounts.setPassword(user, 'a new password'),
  'disabled for a moment': async (user) => {
    await relay.provider.accounts.setDisabled(user, true);
    await relay.provider.accounts.setDisabled(user, false);
  },
};

/** The relay's clock is behind meanwhile; the provider's tokens are by the system's. */
async function secondsAgo<T>(seconds: number, work: () => Promise<T>): Promise<T> {
  relay.clock.offsetMs -= seconds * 1000;
  try {
    return await work();
  } finally {
    relay.clock.offsetMs += seconds * 1000;
  }
}

for (const [name, revoke] of Object.entries(revocations)) {
  test(`a password that was given and kept back until afterwards signs nobody in: ${name}`, async () => {
    const person: [string, string] = [`${name.replaceAll(' ', '-')}@example.com`, 'the old password'];
    const user = await relay.provider.accounts.add(person[0], [], person[1]);
    const device = await client(relay, key);
    const started = await startDevice(device);
    const browser = new Browser();
    browser.stopsBefore = ({ pathname }) => /\/device\/.+/.test(pathname);
    const parked = await secondsAgo(10, () =>
      signInBy(browser, started.verification_uri, started.user_code, person),
    );
    assert.equal(parked.status, 303);
    await secondsAgo(5, () => revoke(user!));
    browser.stopsBefore = () => false;
    const done = await browser.open(new URL(parked.headers.get('location') ?? '', parked.url));
    assert.doesNotMatch(done.html, /signed in/);
    await assert.rejects(
      oidc.genericGrantRequest(
        device.config,
        'urn:ietf:params:oauth:grant-type:device_code',
        { device_code: started.device_code },
        { DPoP: device.DPoP },
      ),
      { error: 'authorization_pending' },
    );
  });

  test(`a token that came of a password from before, however late, is worth nothing: ${name}`, async () => {
    const person: [string, string] = [`late-${name.replaceAll(' ', '-')}@example.com`, 'the old password'];
    const user = await relay.provider.accounts.add(person[0], [], person[1]);
    const { tokens } = await secondsAgo(10, () => grant(relay, key, person));
    await secondsAgo(5, () => revoke(user!));
    assert.equal(await codeOf(await post(tokens.id_token!, key)), 'id-token-invalid');
  });
}

test('whoever is disabled while a sign-in is under way is not left with a login', async () => {
  const { accounts } = relay.provider;
  const person: [string, string] = ['max@example.com', 'max has a password'];
  const user = await accounts.add(person[0], [], person[1]);
  const { tokens } = await grant(relay, key, person);
  const { logins } = relay.state;
  const open = logins.open.bind(logins);
  const opened: LoginId[] = [];
  logins.open = async (login) => {
    await accounts.setDisabled(user!, true);
    await open(login);
    opened.push(login.id);
  };
  try {
    assert.equal(await codeOf(await post(tokens.id_token!, key)), 'id-token-invalid');
  } finally {
    logins.open = open;
  }
  assert.equal(opened.length, 1);
  assert.equal(await logins.findLive(opened[0]!), null);
});

test('a login that is not renewed in time has ended, and so has its token', async () => {
  const { answer } = await logIn(relay, key, ana);
  relay.clock.offsetMs += 901_000;
  try {
    assert.equal(await codeOf(await me(answer.accessToken)), 'access-token-expired');
    assert.equal(await relay.state.logins.findLive(answer.login as LoginId), null);
  } finally {
    relay.clock.offsetMs -= 901_000;
  }
});

test('whoever comes too late to renew goes on under a new login; the lapsed one stays over', async () => {
  const { answer } = await logIn(relay, key, ana);
  const lapsed = answer.login as LoginId;
  const stored = await relay.state.logins.findLive(lapsed);
  assert.ok(await relay.state.logins.renew(lapsed, stored!, relay.clock.wallMs() - 1));
  const swapped = await newKey();
  const stolen = await grant(relay, swapped, ana);
  assert.equal(await codeOf(await post(stolen.tokens.id_token!, swapped, lapsed)), 'login-ended');
  const again = await post((await grant(relay, key, ana)).tokens.id_token!, key, lapsed);
  assert.equal(again.status, 200);
  const next = LoginAnswer.parse(await again.json());
  assert.notEqual(next.login, lapsed);
  const entry = relay.entries.at(-1);
  assert.ok(entry?.kind === 'login' && entry.login === next.login);
  assert.equal((await me(next.accessToken)).status, 200);
  assert.equal(await codeOf(await me(answer.accessToken)), 'login-ended');
});

test('when the record cannot be written nobody is signed in', async () => {
  const { tokens } = await grant(relay, key, ana);
  const failing = relay.entries.push;
  relay.entries.push = () => {
    throw new Error('disk full');
  };
  try {
    const answer = await post(tokens.id_token!, key);
    assert.equal(answer.status, 500);
    assert.doesNotMatch(await answer.text(), /disk full|accessToken/);
  } finally {
    relay.entries.push = failing;
  }
});

test('what is not a request to sign in is refused before anything is looked up', async () => {
  for (const body of [
    {},
    { idToken: 1 },
    { idToken: 'x', extra: true },
    { idToken: 'x', renews: '../1' },
    [],
  ]) {
    const answer = await call(relay, key, '/v1/login', { method: 'POST', body });
    assert.equal(answer.status, 400);
    assert.equal(await codeOf(answer), 'request-invalid');
  }
  const noProof = await fetch(`${relay.relay}/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"idToken":"x"}',
  });
  assert.equal(noProof.status, 401);
  assert.equal(await codeOf(noProof), 'dpop-proof-missing');
});

test('a token signed with the public key as a shared secret, or not at all, is refused', async () => {
  const [jwk] = relay.provider.jwks.keys;
  const claims = { sub: 'x', groups: ['engineering'] };
  const secret = new TextEncoder().encode(JSON.stringify(jwk));
  const confused = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', kid: jwk!.kid! })
    .setIssuer(relay.provider.issuer)
    .setAudience('hoop-cli')
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(secret);
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${confused.split('.')[1]}.`;
  for (const token of [confused, unsigned]) {
    assert.equal(await codeOf(await post(token, key)), 'id-token-invalid');
    assert.equal(await codeOf(await me(token)), 'access-token-invalid');
  }
});
