/** The embedded provider over real HTTP: the whole device grant without a browser's script, and its refusals. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt } from 'jose';
import * as oidc from 'openid-client';
import { generateProviderKeys } from '../../../src/relay/idp/keys.ts';
import { createProvider } from '../../../src/relay/idp/provider.ts';
import { Browser, formOf } from './browser.ts';
import { client, grant, newKey, poll, signInBy, startDevice, startRelay, type TestRelay } from './relay.ts';

const ana: [string, string] = ['ana@example.com', 'correct horse battery'];
let relay: TestRelay;

before(async () => {
  relay = await startRelay();
  assert.ok(await relay.provider.accounts.add(ana[0], ['engineering', 'dba'], ana[1]));
});
after(() => relay.close());

test('a person enters the code, confirms, signs in; the client gets an ID token with groups, bound to its key', async () => {
  const key = await newKey();
  const device = await client(relay, key);
  const started = await startDevice(device);
  assert.match(started.user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
  assert.equal(started.verification_uri, `${relay.relay}/idp/device`);
  assert.equal(started.interval, 1);
  const browser = new Browser({ 'user-agent': 'Phone/1.0' });
  const entry = await browser.open(started.verification_uri);
  const confirm = await browser.submit(entry, {
    user_code: started.user_code.toLowerCase().replace('-', ' '),
  });
  assert.match(confirm.html, /Is this your terminal\?/);
  assert.ok(confirm.html.includes(started.user_code));
  assert.match(confirm.html, /127\.0\.0\.1/);
  const form = await browser.submit(confirm, {});
  assert.deepEqual(
    formOf(form).fields.map(({ name }) => name),
    ['email', 'password'],
  );
  const done = await browser.submit(form, { email: ana[0], password: ana[1] });
  assert.match(done.html, /Your terminal is signed in/);
  const tokens = await poll(device, started);
  const claims = decodeJwt(tokens.id_token!);
  assert.deepEqual(claims['groups'], ['dba', 'engineering']);
  assert.equal(claims['email'], ana[0]);
  assert.deepEqual(claims['cnf'], { jkt: key.jkt });
  assert.equal(claims.iss, relay.provider.issuer);
  assert.equal(tokens.token_type, 'dpop');
  assert.deepEqual(relay.errors, []);
});

test('every page loads nothing from elsewhere, runs no script, cannot be framed and is not cached', async () => {
  const device = await client(relay, await newKey());
  const started = await startDevice(device);
  const browser = new Browser();
  const entry = await browser.open(started.verification_uri_complete!);
  const confirm = await browser.submit(entry, {});
  const form = await browser.submit(confirm, {});
  const wrong = await browser.submit(form, { email: ana[0], password: 'wrong' });
  const lost = await browser.open(`${relay.provider.issuer}/interaction/AAAAAAAAAAAAAAAAAAAAA`);
  const missing = await browser.open(`${relay.provider.issuer}/nothing`);
  for (const page of [entry, confirm, form, wrong, lost, missing]) {
    const policy = page.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:|data:/);
    assert.equal(page.headers.get('cache-control'), 'no-store');
    assert.doesNotMatch(page.html, /<script|<style|\sstyle=|\son[a-z]+=|javascript:/i);
    for (const [, url] of page.html.matchAll(/(?:src|href)="([^"]*)"/g)) assert.match(url!, /^\/idp\//);
    assert.match(page.html, /<html lang="en">/);
    assert.match(page.html, /<meta name="viewport"/);
  }
  for (const { name } of formOf(form).fields) assert.match(form.html, new RegExp(`<label for="${name}">`));
  const css = await browser.open(`${relay.provider.issuer}/style.css`);
  assert.equal(css.headers.get('content-type'), 'text/css; charset=utf-8');
});

test('a link with the code only fills the field: the person still confirms and signs in', async () => {
  const device = await client(relay, await newKey());
  const started = await startDevice(device);
  assert.ok(started.verification_uri_complete!.endsWith(`?user_code=${started.user_code}`));
  const browser = new Browser();
  const entry = await browser.open(started.verification_uri_complete!);
  assert.equal(formOf(entry).fields.find(({ name }) => name === 'user_code')?.value, started.user_code);
  const confirm = await browser.submit(entry, {});
  const done = await browser.submit(await browser.submit(confirm, {}), { email: ana[0], password: ana[1] });
  assert.match(done.html, /Your terminal is signed in/);
});

test('what a caller says about itself is shown as text, and about the relay is not believed', async () => {
  const started = (await (
    await fetch(`${relay.provider.issuer}/device/auth`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'hoop-cli', scope: 'openid' }),
      headers: {
        'user-agent': '<script>alert(1)</script>',
        'x-forwarded-for': '203.0.113.9',
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'https',
      },
    })
  ).json()) as { user_code: string; verification_uri: string };
  assert.equal(started.verification_uri, `${relay.relay}/idp/device`);
  const browser = new Browser();
  const entry = await browser.open(started.verification_uri);
  const confirm = await browser.submit(entry, { user_code: started.user_code });
  assert.match(confirm.html, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/);
  assert.doesNotMatch(confirm.html, /203\.0\.113\.9|evil\.example/);
  const xss = await browser.open(`${relay.provider.issuer}/device?user_code=%22%3E%3Cscript%3E`);
  assert.doesNotMatch(xss.html, /<script/);
});

test('the browser does not stay signed in: the next code asks for the password, whoever it is', async () => {
  await relay.provider.accounts.add('ben@example.com', [], 'another password');
  const browser = new Browser();
  for (const person of [ana, ana, ['ben@example.com', 'another password'] as [string, string]]) {
    const device = await client(relay, await newKey());
    const started = await startDevice(device);
    const done = await signInBy(browser, started.verification_uri, started.user_code, person);
    assert.match(done.html, /Your terminal is signed in/);
    assert.equal(decodeJwt((await poll(device, started)).id_token!)['email'], person[0]);
  }
});

test('refused at the confirmation: the client hears access_denied, and the code is dead', async () => {
  const device = await client(relay, await newKey());
  const started = await startDevice(device);
  const browser = new Browser();
  const confirm = await browser.submit(await browser.open(started.verification_uri), {
    user_code: started.user_code,
  });
  const refused = await browser.submit(confirm, { abort: 'yes' });
  assert.match(refused.html, /Refused: the terminal was not signed in/);
  await assert.rejects(poll(device, started), { error: 'access_denied' });
  const again = await browser.submit(refused, { user_code: started.user_code });
  assert.match(again.html, /used already/);
});

test('a form without its xsrf token, or of another browser, is refused', async () => {
  const device = await client(relay, await newKey());
  const started = await startDevice(device);
  const browser = new Browser();
  const entry = await browser.open(started.verification_uri);
  const forged = await browser.submit(entry, { user_code: started.user_code, confirm: 'yes', xsrf: 'x' });
  assert.match(forged.html, /This page has expired/);
  const confirm = await browser.submit(await browser.open(started.verification_uri), {
    user_code: started.user_code,
  });
  const stranger = await new Browser().submit(confirm, {});
  assert.match(stranger.html, /This page has expired/);
  assert.doesNotMatch(stranger.html, /Is this your terminal/);
  const form = await browser.submit(confirm, {});
  const elsewhere = await new Browser().submit(form, { email: ana[0], password: ana[1] });
  assert.equal(elsewhere.status, 400);
  const crossSite = await browser.submit(
    form,
    { email: ana[0], password: ana[1] },
    { 'sec-fetch-site': 'cross-site' },
  );
  assert.equal(crossSite.status, 403);
});

test('a wrong password, an unknown and a disabled person get the same answer', async () => {
  const cas = await relay.provider.accounts.add('cas@example.com', [], 'good password');
  await relay.provider.accounts.setDisabled(cas!, true);
  const device = await client(relay, await newKey());
  const started = await startDevice(device);
  const browser = new Browser();
  const confirm = await browser.submit(await browser.open(started.verification_uri), {
    user_code: started.user_code,
  });
  const form = await browser.submit(confirm, {});
  const pages = [];
  for (const [email, password] of [
    [ana[0], 'wrong'],
    ['nobody@example.com', ana[1]],
    ['cas@example.com', 'good password'],
  ] as const) {
    const page = await browser.submit(form, { email, password });
    assert.equal(page.status, 401);
    pages.push(page.html.replace(email, ''));
  }
  assert.equal(new Set(pages).size, 1);
});

test('a refresh token is used once; when the old one comes again the whole sign-in is revoked', async () => {
  const { device, tokens } = await grant(relay, await newKey(), ana);
  const first = tokens.refresh_token!;
  const renewed = await oidc.refreshTokenGrant(device.config, first, {}, { DPoP: device.DPoP });
  assert.notEqual(renewed.refresh_token, first);
  const [left, leftThen] = [tokens, renewed].map((answer) => Number(answer['refresh_token_expires_in']));
  assert.ok(left! > 43_100 && left! <= 43_200, 'the sign-in lasts twelve hours');
  assert.ok(leftThen! <= left!, 'a renewal does not make it longer');
  assert.notEqual(renewed.id_token, tokens.id_token);
  const refresh = (token: string) => oidc.refreshTokenGrant(device.config, token, {}, { DPoP: device.DPoP });
  await assert.rejects(refresh(first), { error: 'invalid_grant' });
  await assert.rejects(refresh(renewed.refresh_token!), { error: 'invalid_grant' });
});

test('of many that use one refresh token at the same time, at most one gets a new one', async () => {
  const { device, tokens } = await grant(relay, await newKey(), ana);
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () =>
      oidc.refreshTokenGrant(device.config, tokens.refresh_token!, {}, { DPoP: device.DPoP }),
    ),
  );
  assert.ok(results.filter(({ status }) => status === 'fulfilled').length <= 1);
});

test('a stolen refresh token is worth nothing without the key', async () => {
  const { tokens } = await grant(relay, await newKey(), ana);
  const thief = await client(relay, await newKey());
  await assert.rejects(
    oidc.refreshTokenGrant(thief.config, tokens.refresh_token!, {}, { DPoP: thief.DPoP }),
    { error: 'invalid_grant' },
  );
  await assert.rejects(oidc.refreshTokenGrant(thief.config, tokens.refresh_token!), {
    error: 'invalid_grant',
  });
});

test('the state holds no token that could be used', async () => {
  const { tokens } = await grant(relay, await newKey(), ana);
  const stored = await relay.state.artefacts.find('RefreshToken', 'id', tokens.refresh_token!);
  assert.equal(stored, null);
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(`${relay.directory}/state.sqlite`, { readOnly: true });
  const everything = JSON.stringify(database.prepare('select * from artefacts').all());
  database.close();
  assert.ok(everything.includes('RefreshToken'));
  for (const secret of [tokens.refresh_token!, tokens.access_token, tokens.id_token!])
    assert.ok(!everything.includes(secret));
});

test('whoever is disabled or removed gets no further token', async () => {
  const dora = await relay.provider.accounts.add('dora@example.com', ['ops'], 'a good password');
  const first = await grant(relay, await newKey(), ['dora@example.com', 'a good password']);
  await relay.provider.accounts.setDisabled(dora!, true);
  const refresh = ({ device, tokens }: typeof first) =>
    oidc.refreshTokenGrant(device.config, tokens.refresh_token!, {}, { DPoP: device.DPoP });
  await assert.rejects(refresh(first), { error: 'invalid_grant' });
  await relay.provider.accounts.setDisabled(dora!, false);
  await assert.rejects(refresh(first), { error: 'invalid_grant' });
  const second = await grant(relay, await newKey(), ['dora@example.com', 'a good password']);
  await relay.provider.accounts.remove(dora!);
  await assert.rejects(refresh(second), { error: 'invalid_grant' });
});

test('logout at the client revokes the refresh token', async () => {
  const { device, tokens } = await grant(relay, await newKey(), ana);
  await oidc.tokenRevocation(device.config, tokens.refresh_token!);
  await assert.rejects(
    oidc.refreshTokenGrant(device.config, tokens.refresh_token!, {}, { DPoP: device.DPoP }),
    { error: 'invalid_grant' },
  );
});

test('behind TLS, which another may end, links are https and cookies are for TLS and the provider alone', async () => {
  const { state } = relay;
  const provider = createProvider({
    relay: 'https://relay.example',
    state,
    keys: await generateProviderKeys(),
  });
  const server = createServer((request, response) => void provider.handle(request, response, '192.0.2.1'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/idp`;
    const metadata = (await (await fetch(`${base}/.well-known/openid-configuration`)).json()) as object;
    const endpoints = Object.values(metadata).filter((value) => /^https?:/.test(String(value)));
    assert.ok(endpoints.length > 3);
    for (const endpoint of endpoints) assert.match(String(endpoint), /^https:\/\/relay\.example\/idp/);
    const page = await fetch(`${base}/device`, { headers: { 'x-forwarded-proto': 'http' } });
    assert.match(await page.text(), /action="https:\/\/relay\.example\/idp\/device"/);
    const cookies = page.headers.getSetCookie();
    assert.ok(cookies.length > 0);
    for (const cookie of cookies) assert.match(cookie, /path=\/idp;.*samesite=lax; secure; httponly/i);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('nothing above was an unexpected failure', () => {
  assert.deepEqual(relay.errors, []);
});
