/** `hoop login` of people of a real LemonLDAP::NG, which has no device grant: through the relay's own provider. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openAccount } from '../../src/agent/account.ts';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { stopAll } from '../../src/cli/demo/hoop.ts';
import { Installation, Person } from '../../src/cli/demo/installation.ts';
import { openIdProvider, startLemonldap } from '../support/lemonldap.ts';
import { missing } from '../support/programs.ts';
import { verifyInstallation } from '../support/relay.ts';
import { WebBrowser } from '../support/web-browser.ts';

const skip = missing('lemonldap');
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-lemonldap-'));
let installation: Installation;
let issuer = '';

before(async () => {
  if (skip) return;
  issuer = `http://127.0.0.1:${await freePort()}`;
  const clientId = 'hoop-relay';
  // What form encoding changes: not every provider takes such a secret by HTTP Basic.
  const clientSecret = 'of the relay, at LemonLDAP::NG';
  const secret = path.join(directory, 'client-secret');
  writeFileSync(secret, clientSecret, { mode: 0o600 });
  const scopes = ['openid', 'email', 'groups'];
  installation = await Installation.create({
    directory,
    targets: {},
    policy: '@id("nobody") forbid (principal, action, resource);',
    config: {
      identity: { upstream: { kind: 'oidc', issuer, clientId, clientSecret: `file:${secret}`, scopes } },
    },
  });
  const redirectUri = `${installation.url}/idp/callback`;
  const role = openIdProvider(issuer, { clientId, clientSecret, redirectUri });
  await startLemonldap(path.join(directory, 'lemonldap'), issuer, role);
  await installation.start();
});
after(async () => {
  await stopAll();
  rmSync(directory, { recursive: true, force: true });
});

test('signed in, renewed, signed out there: as LemonLDAP::NG says', { skip, timeout: 120_000 }, async () => {
  const person = new Person('dwho@badwolf.org', 'dwho', path.join(directory, 'dwho'), installation);
  const login = person.start('login', installation.url, '--no-browser');
  const [, uri = '', code = ''] = await login.says(/(https?:\/\/\S+)[^\n]*?\b([A-Z]{4}-[A-Z]{4})\b/);
  const browser = new WebBrowser();
  const confirm = await browser.submit(await browser.open(uri), { user_code: code });
  const form = await browser.submit(confirm, { confirm: 'yes' });
  assert.equal(form.url.origin, issuer);
  const done = await browser.submit(form, { user: 'dwho', password: 'dwho' });
  assert.match(done.html, /Your terminal is signed in/, done.html + installation.relay.output);
  assert.equal(await login.ended, 0, login.output);

  const { principal } = JSON.parse((await person.hoop('whoami', '--json')).stdout);
  assert.deepEqual([principal.issuer, principal.subject], [issuer, 'dwho']);
  assert.equal(principal.email, 'dwho@badwolf.org');
  assert.deepEqual(principal.groups, ['staff', 'timelords', 'users']);

  const account = await openAccount({
    relay: null,
    profile: null,
    caFile: null,
    warn: () => undefined,
    environment: person.env,
  });
  const renew = async () => account.signIn.renew((await account.signIn.credential()).accessToken);
  try {
    await renew();
    assert.deepEqual((await renew()).principal.groups, principal.groups);
    await browser.open(`${issuer}/?logout=1`);
    await assert.rejects(renew(), { code: 'login-expired' });
  } finally {
    await account.close();
  }
  assert.equal((await person.hoop('whoami')).code, 4);
  assert.equal((await verifyInstallation(installation)).code, 0);
});
