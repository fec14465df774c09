/** Limits on guessing: passwords of an account, anything from an address, user codes. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { addressGroup, limits } from '../../../src/relay/idp/rate-limit.ts';
import { Browser } from './browser.ts';
import { client, newKey, poll, signInBy, startDevice, startRelay, type TestRelay } from './relay.ts';

/** Refused, and counted, before it costs a hash. */
const wrong = 'x'.repeat(300);

let relay: TestRelay;

before(async () => {
  relay = await startRelay();
});
after(() => relay.close());

test('after too many wrong passwords the right one is refused too, until the window is over', async () => {
  const { accounts } = relay.provider;
  await accounts.add('eva@example.com', [], 'right password');
  const tries = await Promise.all(
    Array.from({ length: limits.account.failures }, () =>
      accounts.signIn('EVA@example.com', wrong, '192.0.2.1'),
    ),
  );
  assert.ok(tries.every(({ kind }) => kind === 'refused'));
  const late = await accounts.signIn('eva@example.com', 'right password', '192.0.2.2');
  assert.equal(late.kind, 'try-later');
  relay.clock.offsetMs += limits.account.windowMs;
  assert.equal((await accounts.signIn('eva@example.com', 'right password', '192.0.2.2')).kind, 'signed-in');
});

test('success forgets the failures of the account: who mistypes often is not kept out by it', async () => {
  const { accounts } = relay.provider;
  await accounts.add('fay@example.com', [], 'right password');
  for (let round = 0; round < 2; round++) {
    for (let i = 1; i < limits.account.failures; i++)
      await accounts.signIn('fay@example.com', wrong, '192.0.2.3');
    assert.equal((await accounts.signIn('fay@example.com', 'right password', '192.0.2.3')).kind, 'signed-in');
  }
});

test('an address that tries many accounts is kept out, its neighbours are not', async () => {
  const { accounts } = relay.provider;
  await accounts.add('gil@example.com', [], 'right password');
  for (let i = 0; i < limits.address.failures; i++)
    assert.equal((await accounts.signIn(`nobody${i}@example.com`, wrong, '2001:db8::1')).kind, 'refused');
  assert.equal((await accounts.signIn('gil@example.com', 'right password', '2001:db8::2')).kind, 'try-later');
  assert.equal(
    (await accounts.signIn('gil@example.com', 'right password', '2001:db8:0:1::2')).kind,
    'signed-in',
  );
});

test('an address that is not heard any more cannot keep people out by going on', async () => {
  const { accounts } = relay.provider;
  await accounts.add('ida@example.com', [], 'right password');
  for (let i = 0; i < limits.address.failures; i++)
    await accounts.signIn(`somebody${i}@example.com`, wrong, '198.51.100.1');
  for (let i = 0; i <= limits.account.failures; i++)
    assert.equal((await accounts.signIn('ida@example.com', wrong, '198.51.100.1')).kind, 'try-later');
  assert.equal(
    (await accounts.signIn('ida@example.com', 'right password', '198.51.100.2')).kind,
    'signed-in',
  );
});

test('an address stands for its network: the whole /64 of IPv6, IPv4 also when it comes mapped', () => {
  assert.equal(addressGroup('2001:db8::1'), addressGroup('2001:db8:0:0:ffff::2'));
  assert.notEqual(addressGroup('2001:db8::1'), addressGroup('2001:db8:0:1::1'));
  assert.equal(addressGroup('::ffff:192.0.2.7'), '192.0.2.7');
  assert.equal(addressGroup('fe80::1%eth0'), addressGroup('fe80::2'));
});

test('the form says 429 and when to come again', async () => {
  const { accounts } = relay.provider;
  await accounts.add('hal@example.com', [], 'right password');
  for (let i = 0; i < limits.account.failures; i++)
    await accounts.signIn('hal@example.com', wrong, '192.0.2.4');
  const started = await startDevice(await client(relay, await newKey()));
  const page = await signInBy(new Browser(), started.verification_uri, started.user_code, [
    'hal@example.com',
    'right password',
  ]);
  assert.equal(page.status, 429);
  assert.ok(Number(page.headers.get('retry-after')) > 0);
});

test('guessing user codes ends after a few, and typing right ones does not count', async () => {
  await relay.provider.accounts.add('ida@example.com', [], 'right password');
  const device = await client(relay, await newKey());
  const before = await startDevice(device);
  const done = await signInBy(new Browser(), before.verification_uri, before.user_code, [
    'ida@example.com',
    'right password',
  ]);
  assert.match(done.html, /is signed in/);
  await poll(device, before);
  const started = await startDevice(device);
  const browser = new Browser();
  let page = await browser.open(started.verification_uri);
  for (let i = 0; i < limits.userCode.failures; i++) {
    page = await browser.submit(page, { user_code: 'BBBB-BBBB' });
    assert.match(page.html, /There is no such code/);
  }
  const refused = await browser.submit(page, { user_code: started.user_code });
  assert.equal(refused.status, 429);
  relay.clock.offsetMs += limits.userCode.windowMs;
  const again = await browser.submit(await browser.open(started.verification_uri), {
    user_code: started.user_code,
  });
  // The provider's own clock is the system's, but the stored code has passed its shelf life with the window.
  assert.notEqual(again.status, 429);
});
