/** The broker against an upstream, browsers and strangers that lie. Each attack would sign somebody in, or somebody else. */
import { after, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import * as oidc from 'openid-client';
import { decodeJwt, SignJWT } from 'jose';
import { HoopError } from '../../../src/errors.ts';
import { OidcUpstream } from '../../../src/relay/idp/upstream/oidc.ts';
import { WebBrowser } from '../../support/web-browser.ts';
import { accessTokenHash, scriptedClientId } from './scripted-upstream.ts';
import { refused, startUpstreamStage } from './upstream-stage.ts';

const { upstream, relay, sent, back, bring, logIn, close } = await startUpstreamStage();
after(close);
beforeEach(() => {
  relay.errors.length = 0;
  upstream.forms.length = 0;
});

test('an honest upstream: the principal is its issuer and subject; the code is redeemed with PKCE and the secret', async () => {
  const { principal, tokens, asked } = await logIn({ auth_time: 1_700_000_000, acr: 'mfa', amr: ['otp'] });
  assert.deepEqual([principal.issuer, principal.subject], [upstream.issuer, 'u-1']);
  assert.deepEqual([principal.email, principal.groups], ['ana@corp.example', ['staff']]);
  const [form] = upstream.forms;
  assert.equal(form?.get('client_secret'), 'client secret');
  const verifier = form?.get('code_verifier') ?? '';
  assert.equal(await oidc.calculatePKCECodeChallenge(verifier), asked.get('code_challenge'));
  const claims = decodeJwt(tokens.id_token!);
  assert.equal(claims.iss, relay.provider.issuer);
  assert.notEqual(claims.sub, 'u-1');
  assert.deepEqual(claims['hoop_upstream'], {
    iss: upstream.issuer,
    sub: 'u-1',
    auth_time: 1_700_000_000,
    acr: 'mfa',
    amr: ['otp'],
  });
  assert.deepEqual(relay.errors, []);
});

test('a step-up goes on to the upstream, which has to have done it', async () => {
  const it = await sent({ max_age: '60', acr_values: 'mfa' });
  assert.deepEqual([it.asked.get('max_age'), it.asked.get('acr_values')], ['60', 'mfa']);
  assert.equal(it.asked.get('prompt'), null);
  bring(it.asked, { auth_time: Math.floor(Date.now() / 1000) - 3600 });
  const old = await back(it);
  await refused(it, old);
  assert.match(old.html, /did not sign you in anew/);
  const anew = await sent({ max_age: '0' });
  assert.deepEqual([anew.asked.get('max_age'), anew.asked.get('prompt')], ['0', 'login']);
  bring(anew.asked, {});
  const untold = await back(anew);
  await refused(anew, untold);
  assert.match(untold.html, /does not tell the time of your sign-in there \(auth_time\)/);
  const error = relay.errors.at(-1);
  assert.ok(error instanceof HoopError);
  assert.match(error.hint ?? '', /optional claim/);
  const done = await sent({ max_age: '0' });
  bring(done.asked, { auth_time: Math.floor(Date.now() / 1000) });
  assert.match((await back(done)).html, /signed in/);
});

test('a state that nobody was given, or none', async () => {
  const it = await sent();
  bring(it.asked);
  for (const state of ['x'.repeat(43), '', null, `${it.asked.get('state')}x`])
    await refused(it, await back(it, { state }));
  assert.equal(upstream.forms.length, 0);
});

test('an answer comes once: the same state and the same ticket are worth nothing again', async () => {
  const it = await sent();
  bring(it.asked);
  const done = await back(it);
  assert.match(done.html, /signed in/);
  const ticket = it.browser.visited.find(({ search }) => search.startsWith('?answer='));
  for (const page of [await back(it), await it.browser.open(ticket!)]) assert.equal(page.status, 400);
  assert.equal(upstream.forms.length, 1);
});

test('an answer in another browser, without the cookie, is refused, and is used up by that', async () => {
  const it = await sent();
  bring(it.asked);
  const stranger = new WebBrowser();
  await refused(it, await back(it, {}, stranger));
  assert.equal(upstream.forms.length, 0, 'the code was not redeemed');
  const ticket = stranger.visited.find(({ search }) => search.startsWith('?answer='));
  await refused(it, await it.browser.open(ticket!));
  await refused(it, await back(it));
});

test('somebody lured to the upstream by a link of an attacker signs nobody in at the attacker’s browser', async () => {
  const attacker = await sent();
  bring(attacker.asked, { sub: 'victim' });
  await back(attacker, {}, new WebBrowser());
  const interaction = attacker.browser.visited.find(({ pathname }) => pathname.includes('/interaction/'));
  const again = await attacker.browser.open(interaction!);
  assert.equal(again.url.origin, upstream.issuer, 'it leaves anew and has nothing of the victim');
  await assert.rejects(back(attacker).then((page) => assert.equal(page.status, 200)));
});

test('an attacker’s answer in the victim’s browser, which has an interaction of its own', async () => {
  const [attacker, victim] = [await sent(), await sent()];
  bring(attacker.asked, { sub: 'attacker' });
  await refused(victim, await back(attacker, {}, victim.browser));
  assert.equal(upstream.forms.length, 0);
});

test('mix-up: an answer that names another issuer, or none where this one always names itself', async () => {
  for (const iss of ['https://other.example', '', null]) {
    const it = await sent();
    bring(it.asked);
    await refused(it, await back(it, { iss }));
  }
  assert.equal(upstream.forms.length, 0, 'no code was sent anywhere');
});

for (const [name, claims] of Object.entries<Record<string, unknown>>({
  'another nonce': { nonce: 'another' },
  'no nonce': { nonce: undefined },
  'another issuer': { iss: 'https://other.example' },
  'another client': { aud: 'another-client' },
  'another client among several': { aud: [scriptedClientId, 'other'], azp: 'other' },
  'the hash of another access token': { at_hash: accessTokenHash('another') },
  'an end that has passed': { iat: 1_700_000_000, exp: 1_700_000_300 },
  'no subject': { sub: undefined },
}))
  test(`an ID token with ${name}`, async () => {
    const it = await sent();
    bring(it.asked, claims);
    await refused(it, await back(it));
    assert.ok(relay.errors.length > 0, 'the operator hears of it');
    assert.ok(!relay.errors.some(({ message }) => message.includes('eyJ')));
  });

test('groups that the upstream left out because they are too many: the page says so, the log what to configure', async () => {
  for (const claims of [{ _claim_names: { groups: 'src1' } }, { hasgroups: true }]) {
    relay.errors.length = 0;
    const it = await sent();
    bring(it.asked, { groups: undefined, ...claims });
    const page = await back(it);
    await refused(it, page);
    assert.match(page.html, /left the groups out because there are too many/);
    const [error] = relay.errors;
    assert.ok(error instanceof HoopError);
    assert.match(error.hint ?? '', /assigned to this application.*identity\.upstream\.groupsClaim: roles/);
  }
});

async function signedBy(nonce: string | null, how: 'other' | 'none' | 'hmac'): Promise<string> {
  const claims = upstream.claims(nonce);
  if (how === 'hmac')
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from('client secret'.padEnd(32)));
  const good = await upstream.sign(claims);
  const [head = '', body = '', signature = ''] = good.split('.');
  if (how === 'none') return `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`;
  return `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
}

test('an ID token that is signed by another key, by none, or with the client’s secret', async () => {
  for (const how of ['other', 'none', 'hmac'] as const) {
    const it = await sent();
    const idToken = await signedBy(it.asked.get('nonce'), how);
    upstream.token = async () => ({
      status: 200,
      body: { access_token: 'access', token_type: 'Bearer', id_token: idToken },
    });
    await refused(it, await back(it));
  }
});

test('an error with HTML in it, and one that no specification has, become words of ours', async () => {
  for (const [error, status] of [
    ['access_denied', 403],
    ['server_error', 503],
    ['<script>alert(1)</script>', 400],
    ['invalid_scope', 400],
  ] as const) {
    const it = await sent();
    const page = await back(it, {
      code: null,
      error,
      error_description: '<img src=x onerror=alert(2)>',
      error_uri: 'javascript:alert(3)',
    });
    await refused(it, page, status);
    assert.doesNotMatch(page.html, /<script|<img|javascript:|alert\(|server_error/);
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/);
  }
});

test('an answer by POST, or with a parameter twice', async () => {
  const posted = await sent();
  bring(posted.asked);
  const form = new URLSearchParams({
    code: 'c',
    state: posted.asked.get('state') ?? '',
    iss: upstream.issuer,
  });
  await refused(posted, await posted.browser.open(posted.asked.get('redirect_uri')!, form));
  const twice = await sent();
  const url = new URL(twice.asked.get('redirect_uri')!);
  url.search = `code=a&code=b&state=${twice.asked.get('state')}&iss=${encodeURIComponent(upstream.issuer)}`;
  await refused(twice, await twice.browser.open(url));
  assert.equal(upstream.forms.length, 0);
});

test('discovery that is of another issuer, or without an endpoint to sign in at, is not followed', async () => {
  for (const metadata of [{ issuer: 'https://other.example' }, { authorization_endpoint: undefined }]) {
    upstream.metadata = metadata;
    const fresh = new OidcUpstream({
      issuer: upstream.issuer,
      clientId: scriptedClientId,
      clientSecret: null,
      scopes: ['openid'],
      groupsClaim: 'groups',
      groupsMap: new Map(),
      clockSkewSeconds: 60,
      clock: relay.clock,
      replay: relay.state.replay,
      onKeys: async () => undefined,
    });
    const request = { state: 's', callbackUrl: 'x:', step: { maxAgeSeconds: null, acr: null } };
    await assert.rejects(fresh.begin(request), { code: 'upstream-invalid' });
  }
  upstream.metadata = {};
});
