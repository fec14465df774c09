/** A sign-in at an upstream lives as long as the upstream says so: renewal, refusal, illness, logout. */
import { after, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import * as oidc from 'openid-client';
import { call, codeOf, poll } from './relay.ts';
import { startUpstreamStage } from './upstream-stage.ts';

const { upstream, relay, sent, back, bring, logIn, close } = await startUpstreamStage();
after(close);
beforeEach(() => {
  relay.errors.length = 0;
  upstream.forms.length = 0;
});

const refresh = (it: Awaited<ReturnType<typeof logIn>>, token = it.tokens.refresh_token ?? '') =>
  oidc.refreshTokenGrant(it.device.config, token, {}, { DPoP: it.device.DPoP });
const me = (it: Awaited<ReturnType<typeof logIn>>) =>
  call(relay, it.key, '/v1/me', { accessToken: it.accessToken });

test('a renewal: rotated upstream first, newest groups; one that brings no ID token changes nothing', async () => {
  const it = await logIn();
  upstream.forms.length = 0;
  bring(new URLSearchParams(), { groups: ['staff', 'new'] }, { refresh_token: 'r-2' });
  const first = await refresh(it);
  assert.deepEqual(decodeJwt(first.id_token!)['groups'], ['new', 'staff']);
  upstream.token = async () => ({ status: 200, body: { access_token: 'a', token_type: 'Bearer' } });
  const second = await refresh(it, first.refresh_token);
  assert.deepEqual(decodeJwt(second.id_token!)['groups'], ['new', 'staff']);
  const third = await refresh(it, second.refresh_token);
  assert.ok(third.id_token);
  assert.deepEqual(
    upstream.forms.map((form) => form.get('refresh_token')),
    ['r-1', 'r-2', 'r-2'],
  );
});

test('refused upstream: the refresh fails for good, and the login is over', async () => {
  const it = await logIn();
  assert.equal((await me(it)).status, 200);
  upstream.token = async () => ({ status: 400, body: { error: 'invalid_grant', error_description: '<b>' } });
  await assert.rejects(refresh(it), { error: 'invalid_grant' });
  assert.equal(await codeOf(await me(it)), 'login-ended');
  bring(new URLSearchParams(), {}, { refresh_token: 'r-2' });
  await assert.rejects(refresh(it), { error: 'invalid_grant' });
  assert.ok(relay.entries.some((entry) => entry.kind === 'login.ended' && entry.login === it.login));
});

test('somebody else’s token at a renewal ends the sign-in', async () => {
  const it = await logIn();
  bring(new URLSearchParams(), { sub: 'u-2' }, { refresh_token: 'r-2' });
  await assert.rejects(refresh(it), { error: 'invalid_grant' });
  assert.equal(await codeOf(await me(it)), 'login-ended');
});

test('what may pass loses nothing: an ill upstream, a refused client, an ID token that does not verify yet', async () => {
  const it = await logIn();
  for (const answer of [
    { status: 503, body: {} },
    { status: 429, body: {} },
    { status: 401, body: { error: 'invalid_client' } },
  ]) {
    upstream.token = async () => answer;
    await assert.rejects(refresh(it), { error: 'temporarily_unavailable' });
  }
  bring(new URLSearchParams(), { aud: 'another' }, { refresh_token: 'r-2' });
  await assert.rejects(refresh(it), { error: 'temporarily_unavailable' });
  assert.equal((await me(it)).status, 200);
  upstream.forms.length = 0;
  bring(new URLSearchParams(), {}, { refresh_token: 'r-3' });
  assert.ok((await refresh(it)).id_token);
  assert.equal(upstream.forms[0]?.get('refresh_token'), 'r-2', 'the rotated one was kept all the same');
});

test('several that renew one sign-in at once: the upstream sees one after the other, no token twice', async () => {
  const it = await logIn();
  upstream.forms.length = 0;
  let running = 0;
  let most = 0;
  let next = 1;
  upstream.token = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 50));
    running--;
    return upstream.tokens(upstream.claims(null), { refresh_token: `r-${++next}` });
  };
  await Promise.allSettled(Array.from({ length: 5 }, () => refresh(it)));
  const used = upstream.forms.map((form) => form.get('refresh_token'));
  assert.equal(most, 1);
  assert.equal(new Set(used).size, used.length);
});

test('without a refresh token of the upstream the sign-in is renewed by ours alone', async () => {
  const it = await logIn({}, {});
  upstream.forms.length = 0;
  assert.ok((await refresh(it)).id_token);
  assert.equal(upstream.forms.length, 0);
});

test('signed out of the relay: what the upstream gave is forgotten, and a refresh token is worth nothing', async () => {
  const it = await logIn();
  const out = await call(relay, it.key, '/v1/logout', { method: 'POST', accessToken: it.accessToken });
  assert.equal(out.status, 204);
  await assert.rejects(refresh(it), { error: 'invalid_grant' });
});

test('an ID token of ours whose sign-in is over is not one to sign in with', async () => {
  const it = await sent();
  bring(it.asked);
  await back(it);
  const tokens = await poll(it.device, it.started);
  await relay.state.upstreamSignIns.remove(String(decodeJwt(tokens.id_token!).sub));
  const late = await call(relay, it.key, '/v1/login', { method: 'POST', body: { idToken: tokens.id_token } });
  assert.equal(late.status, 401);
});

async function logoutToken(
  claims: Record<string, unknown>,
  header: Record<string, unknown> = { typ: 'logout+jwt' },
) {
  const now = Math.floor(Date.now() / 1000);
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
  const { iss, aud } = upstream.claims(null);
  return upstream.sign(
    { iss, aud, iat: now, exp: now + 120, jti: crypto.randomUUID(), events, ...claims },
    header,
  );
}
const sendLogout = (token: string) =>
  fetch(`${relay.provider.issuer}/backchannel-logout`, {
    method: 'POST',
    body: new URLSearchParams({ logout_token: token }),
  });

test('a logout token ends the sign-ins of its session, or all of its person, and nobody else’s', async () => {
  const here = await logIn({ sub: 'u-7', sid: 's-1' });
  const there = await logIn({ sub: 'u-7', sid: 's-2' });
  const other = await logIn({ sub: 'u-8', sid: 's-3' });
  assert.equal((await sendLogout(await logoutToken({ sid: 's-1', sub: 'u-7' }))).status, 200);
  assert.equal(await codeOf(await me(here)), 'login-ended');
  assert.equal((await me(there)).status, 200);
  assert.equal((await sendLogout(await logoutToken({ sub: 'u-7' }))).status, 200);
  assert.equal(await codeOf(await me(there)), 'login-ended');
  assert.equal((await me(other)).status, 200);
});

test('a sign-in has one login: another by the same takes its place, so that none outlives the session upstream', async () => {
  const first = await logIn({ sub: 'u-9', sid: 's-9' });
  const again = await refresh(first);
  const body = { idToken: again.id_token };
  const answer = await call(relay, first.key, '/v1/login', { method: 'POST', body });
  const second = { ...first, ...((await answer.json()) as { login: string; accessToken: string }) };
  assert.notEqual(second.login, first.login);
  assert.equal((await me(second)).status, 200);
  assert.equal(await codeOf(await me(first)), 'login-ended');
  const told = relay.entries.findLast(({ kind }) => kind === 'login.ended');
  assert.ok(told?.kind === 'login.ended' && told.login === first.login);
  assert.equal((await sendLogout(await logoutToken({ sid: 's-9' }))).status, 200);
  assert.equal(await codeOf(await me(second)), 'login-ended');
});

test('a step-up hands the login to the new sign-in: it ends with that one’s session, and logout forgets both', async () => {
  const ways = ['session', 'logout'] as const;
  for (const way of ways) {
    const sub = `u-again-${way}`;
    const before = await logIn({ sub, sid: `${way}-1` });
    const again = await sent({}, before.key);
    bring(again.asked, { sub, sid: `${way}-2` }, { refresh_token: 'r-again' });
    await back(again);
    const tokens = await poll(again.device, again.started);
    const body = { idToken: tokens.id_token, renews: before.login };
    assert.equal((await call(relay, before.key, '/v1/login', { method: 'POST', body })).status, 200);
    assert.equal((await me(before)).status, 200);
    if (way === 'session') {
      assert.equal((await sendLogout(await logoutToken({ sub, sid: `${way}-2` }))).status, 200);
      assert.equal(await codeOf(await me(before)), 'login-ended');
    } else {
      const { accessToken } = before;
      await call(relay, before.key, '/v1/logout', { method: 'POST', accessToken });
      const left = await relay.state.upstreamSignIns.find(String(decodeJwt(tokens.id_token!).sub));
      assert.equal(left, null);
    }
  }
});

test('logout tokens that are not: forged, of another issuer or client, an ID token, old, without event, twice', async () => {
  const it = await logIn({ sub: 'u-9', sid: 's-9' });
  const good = { sub: 'u-9', sid: 's-9' };
  const [head, body] = (await logoutToken(good)).split('.');
  const twice = await logoutToken({ sub: 'u-none' });
  assert.equal((await sendLogout(twice)).status, 200);
  for (const token of [
    '',
    'x',
    `${head}.${body}.${'A'.repeat(342)}`,
    await logoutToken({ ...good, iss: 'https://other.example' }),
    await logoutToken({ ...good, aud: 'another' }),
    await logoutToken({ ...good, nonce: 'n' }),
    await logoutToken({ ...good, events: {} }),
    await logoutToken({ ...good, iat: 1_700_000_000 }),
    await logoutToken({ ...good, jti: undefined }),
    await logoutToken({}),
    await logoutToken(good, { typ: 'at+jwt' }),
    String(await upstream.sign({ ...upstream.claims('n'), ...good })),
    twice,
  ]) {
    const answer = await sendLogout(token);
    assert.equal(answer.status, 400);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
  }
  assert.equal((await me(it)).status, 200);
});
