/**
 * What stands against somebody who has another person confirm a code (RFC 8628 §5.4), takes a code on its way (§5.3), or
 * guesses one (§5.1).
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as oidc from 'openid-client';
import { generateProviderKeys } from '../../../src/relay/idp/keys.ts';
import { createProvider, providerScopes } from '../../../src/relay/idp/provider.ts';
import { limits, RateLimit, sameNetwork } from '../../../src/relay/idp/rate-limit.ts';
import { Browser, formOf } from './browser.ts';
import { client, newKey, poll, signInBy, startDevice, startRelay, type TestRelay } from './relay.ts';

const ana: [string, string] = ['ana@example.com', 'correct horse battery'];
let relay: TestRelay;

before(async () => {
  relay = await startRelay();
  assert.ok(await relay.provider.accounts.add(ana[0], ['engineering'], ana[1]));
});
after(() => relay.close());

async function confirmationOf(parameters: Record<string, string>, userAgent = 'hoop/1'): Promise<string> {
  const answer = await fetch(`${relay.provider.issuer}/device/auth`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'hoop-cli', scope: 'openid', ...parameters }),
    headers: { 'user-agent': userAgent },
  });
  const { user_code: code, verification_uri: uri } = (await answer.json()) as Record<string, string>;
  const browser = new Browser();
  return (await browser.submit(await browser.open(uri!), { user_code: code! })).html;
}

test('the page says which computer and user ask, from where, and when', async () => {
  const html = await confirmationOf({ hoop_host: 'laptop-7', hoop_user: 'ana' });
  const facts = Object.fromEntries(
    [...html.matchAll(/<dt>(.*?)<\/dt>\s*<dd>(.*?)<\/dd>/gs)].map(([, name, value]) => [name, value]),
  );
  assert.match(facts['Asked']!, /^\d\d:\d\d UTC, \d+ seconds? ago$/);
  assert.deepEqual(
    { ...facts, Asked: '' },
    {
      Address: '127.0.0.1',
      Computer: 'laptop-7',
      'User there': 'ana',
      Program: 'hoop/1',
      Asked: '',
      'Signs in to': new URL(relay.relay).host,
    },
  );
  assert.doesNotMatch(html, /class="warning"/);
});

test('what a terminal says of itself draws nothing, hides nothing, turns nothing round, and is short', async () => {
  const evil = '<img src=x onerror=alert(1)>"\u202etxt.exe\u2066\u200b\u0000\u001b[2J\nSigned in\u2028';
  const html = await confirmationOf({ hoop_host: evil, hoop_user: `a${'\u0301'.repeat(50)}` });
  assert.ok(html.includes('&lt;img src=x onerror=alert(1)&gt;&quot;txt.exe[2J Signed in</dd>'), html);
  assert.doesNotMatch(html.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  assert.doesNotMatch(html, /\p{M}{3}/u);
  const long = await confirmationOf({ hoop_host: 'h'.repeat(100_0) });
  assert.match(long, /<dd>h{63}…<\/dd>/);
  const silent = await confirmationOf({});
  assert.doesNotMatch(silent, /Computer<\/dt>|undefined|null/);
  const twice = await fetch(`${relay.provider.issuer}/device/auth`, {
    method: 'POST',
    body: new URLSearchParams([
      ['client_id', 'hoop-cli'],
      ['scope', 'openid'],
      ['hoop_host', 'a'],
      ['hoop_host', 'b'],
    ]),
  });
  assert.ok(twice.status < 500);
});

test('a browser in another network than the terminal is warned', async () => {
  const keys = await generateProviderKeys();
  const provider = createProvider({ relay: relay.relay, state: relay.state, keys });
  const server = createServer((request, response) => {
    void provider.handle(request, response, String(request.headers['x-test-address']));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/idp`;
  try {
    const page = async (terminal: string, address: string): Promise<string> => {
      const started = await fetch(`${base}/device/auth`, {
        method: 'POST',
        body: new URLSearchParams({ client_id: 'hoop-cli', scope: 'openid' }),
        headers: { 'x-test-address': terminal },
      });
      const { user_code: code } = (await started.json()) as Record<string, string>;
      const browser = new Browser({ 'x-test-address': address });
      const entry = await browser.open(`${base}/device`);
      const fields = Object.fromEntries(formOf(entry).fields.map(({ name, value }) => [name, value]));
      const form = new URLSearchParams({ ...fields, user_code: code! });
      return (await browser.open(`${base}/device`, form)).html;
    };
    assert.doesNotMatch(await page('192.0.2.7', '192.0.2.99'), /class="warning"/);
    const warned = await page('192.0.2.7', '198.51.100.4');
    assert.match(warned, /class="warning" role="alert"/);
    assert.match(
      warned.replace(/\s+/g, ' '),
      /It asks from 192\.0\.2\.7, and this browser is at 198\.51\.100\.4/,
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('near is the same /24, the same /64, or the same machine', () => {
  assert.ok(sameNetwork('192.0.2.7', '::ffff:192.0.2.200'));
  assert.ok(!sameNetwork('192.0.2.7', '192.0.3.7'));
  assert.ok(sameNetwork('2001:db8::1', '2001:db8::ffff'));
  assert.ok(!sameNetwork('2001:db8::1', '2001:db8:0:1::1'));
  assert.ok(!sameNetwork('2001:db8::1', '192.0.2.7'));
  assert.ok(sameNetwork('127.0.0.1', '::1'));
});

test('a device code taken on its way is worth nothing to another key, and is burnt', async () => {
  const [owner, thief] = [await newKey(), await newKey()];
  const device = await client(relay, owner);
  const started = await oidc.initiateDeviceAuthorization(device.config, {
    scope: providerScopes.join(' '),
    dpop_jkt: owner.jkt,
  });
  await signInBy(new Browser(), started.verification_uri, started.user_code, ana);
  await assert.rejects(poll(await client(relay, thief), started), { error: 'invalid_grant' });
  await assert.rejects(poll(device, started), { error: 'invalid_grant' });
  const again = await oidc.initiateDeviceAuthorization(device.config, {
    scope: providerScopes.join(' '),
    dpop_jkt: owner.jkt,
  });
  await signInBy(new Browser(), again.verification_uri, again.user_code, ana);
  assert.ok((await poll(device, again)).id_token);
});

test('a code is confirmed once: whoever comes second is told, and changes nothing', async () => {
  const device = await client(relay, await newKey());
  const started = await startDevice(device);
  const [first, second] = [new Browser(), new Browser()];
  const mine = await first.submit(await first.open(started.verification_uri), {
    user_code: started.user_code,
  });
  const other = await second.submit(await second.open(started.verification_uri), {
    user_code: started.user_code,
  });
  const form = await first.submit(mine, {});
  for (const values of [{}, { abort: 'yes' }])
    assert.match((await second.submit(other, values)).html, /used already|page has expired/);
  assert.match(
    (await first.submit(form, { email: ana[0], password: ana[1] })).html,
    /Your terminal is signed in/,
  );
  assert.ok((await poll(device, started)).id_token);
});

test('the odds of a guesser, from however many addresses, in ten minutes: under 1 in 100,000', async () => {
  const { failures, windowMs } = limits.allUserCodes;
  const [codes, waiting, lifeMs] = [20 ** 8, 100, 600_000];
  assert.ok(windowMs >= lifeMs);
  assert.ok((failures * waiting) / codes < 1 / 100_000);

  // And that it is so: when all the wrong ones are used up, a right one is not heard either, from an address never seen.
  const rateLimit = new RateLimit(relay.state.attempts);
  let heard = 0;
  while ((await rateLimit.enter(limits.allUserCodes, 'all')) === null) heard++;
  assert.ok(heard <= failures);
  const started = await startDevice(await client(relay, await newKey()));
  const browser = new Browser();
  const entry = await browser.open(started.verification_uri);
  const page = await browser.submit(entry, { user_code: started.user_code });
  assert.equal(page.status, 429);
  assert.ok(Number(page.headers.get('retry-after')) > 0);
  relay.clock.offsetMs += windowMs;
  const later = await startDevice(await client(relay, await newKey()));
  const confirm = await browser.submit(await browser.open(later.verification_uri), {
    user_code: later.user_code,
  });
  assert.match(confirm.html, /Is this your terminal/);
});

test('nothing above was an unexpected failure', () => {
  assert.deepEqual(relay.errors, []);
});
