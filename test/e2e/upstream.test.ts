/** `hoop login` through the relay's own provider at a foreign one: who it is there, and for how long. The real binary. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openAccount } from '../../src/agent/account.ts';
import { hoop, stopAll } from '../../src/cli/demo/hoop.ts';
import { Installation, Person } from '../../src/cli/demo/installation.ts';
import { readEntries } from '../../src/evidence/read/entries.ts';
import { eventually } from '../support/eventually.ts';
import { startOidcUpstream, type OidcUpstreamServer } from '../support/oidc-upstream.ts';
import { passwordOf, startPostgres, type PostgresServer } from '../support/postgres.ts';
import { missing } from '../support/programs.ts';
import { verifyInstallation } from '../support/relay.ts';
import { WebBrowser, type WebPage } from '../support/web-browser.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-upstream-'));
let upstream: OidcUpstreamServer;
let installation: Installation;
let postgres: PostgresServer | null = null;
const skip = missing('postgresql');

before(async () => {
  upstream = await startOidcUpstream();
  postgres = skip ? null : await startPostgres();
  upstream.people.set('ana', {
    subject: 'u-1001',
    password: 'at the upstream',
    email: 'ana@corp.example',
    groups: ['engineering'],
    disabled: false,
  });
  const secret = path.join(directory, 'client-secret');
  writeFileSync(secret, upstream.clientSecret, { mode: 0o600 });
  const { issuer, clientId } = upstream;
  installation = await Installation.create({
    directory,
    targets: postgres === null ? {} : { db: addressOf(postgres) },
    policy:
      '@id("all") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);',
    config: {
      identity: {
        issuer: 'embedded',
        upstream: {
          kind: 'oidc',
          issuer,
          clientId,
          clientSecret: `file:${secret}`,
          scopes: ['openid', 'email', 'groups', 'offline_access'],
        },
      },
      tokens: { lifetime: '1m' },
    },
  });
  await upstream.register(installation.url);
  await installation.start();
});
after(async () => {
  await stopAll();
  await upstream.close();
  await postgres?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const addressOf = ({ port }: PostgresServer) => ({
  host: '127.0.0.1',
  port,
  database: 'app',
  user: 'app',
  password: passwordOf('app'),
});

const personOf = (name: string): Person =>
  new Person(`${name}@corp.example`, 'unused', path.join(directory, name), installation);

/** `hoop login`, up to the page of the upstream. */
async function startLogin(person: Person, browser: WebBrowser) {
  const login = person.start('login', installation.url, '--no-browser');
  const [, uri = '', code = ''] = await login.says(/(https?:\/\/\S+)[^\n]*?\b([A-Z]{4}-[A-Z]{4})\b/);
  const confirm = await browser.submit(await browser.open(uri), { user_code: code });
  const page = await browser.submit(confirm, { confirm: 'yes' });
  return { login, page };
}

async function logIn(name: string, browser = new WebBrowser()): Promise<{ person: Person; page: WebPage }> {
  const person = personOf(name);
  const { login, page } = await startLogin(person, browser);
  assert.equal(page.url.origin, upstream.issuer);
  const done = await browser.submit(page, { who: 'ana', password: 'at the upstream' });
  assert.match(done.html, /Your terminal is signed in/);
  assert.equal(await login.ended, 0, login.output);
  return { person, page: done };
}

test('a person confirms the code, signs in at the foreign provider, and is who they are there', async () => {
  const browser = new WebBrowser();
  const { person } = await logIn('ana', browser);
  const who = await person.hoop('whoami', '--json');
  const { principal } = JSON.parse(who.stdout);
  assert.equal(principal.issuer, upstream.issuer);
  assert.equal(principal.subject, 'u-1001');
  assert.equal(principal.email, 'ana@corp.example');
  assert.deepEqual(principal.groups, ['engineering']);
  const asked = upstream.authorizations[0]!;
  assert.equal(asked.get('code_challenge_method'), 'S256');
  assert.equal(asked.get('redirect_uri'), `${installation.url}/idp/callback`);
  assert.ok((asked.get('state')?.length ?? 0) >= 43 && asked.get('nonce') !== null);
});

/** The person's own agent, in this process: renews when told to. */
async function renew(person: Person): Promise<{ groups: readonly string[] }> {
  const options = {
    profile: null,
    relay: null,
    caFile: null,
    warn: () => undefined,
    environment: person.env,
  };
  const account = await openAccount(options);
  try {
    const { accessToken } = await account.signIn.credential();
    return (await account.signIn.renew(accessToken)).principal;
  } finally {
    await account.close();
  }
}

/** What the relay's log says, read from its files. */
async function entries(): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  for await (const { entry } of readEntries(installation.evidence)) found.push({ ...entry });
  return found;
}

test('a renewal asks the foreign provider first: groups are those of its newest token', async () => {
  const { person } = await logIn('bea');
  upstream.people.get('ana')!.groups = ['engineering', 'on-call'];
  const before = upstream.grants.length;
  assert.deepEqual((await renew(person)).groups, ['engineering', 'on-call']);
  assert.deepEqual((await renew(person)).groups, ['engineering', 'on-call']);
  const renewals = upstream.grants.slice(before);
  assert.deepEqual(
    renewals.map(({ type }) => type),
    ['refresh_token', 'refresh_token'],
  );
  assert.notEqual(renewals[0]!.tokens['refresh_token'], renewals[1]!.tokens['refresh_token']);
});

test('a provider that is ill for a moment costs nothing; when it is well again the sign-in goes on', async () => {
  const { person } = await logIn('cas');
  upstream.fails = 503;
  try {
    await assert.rejects(renew(person), { code: 'issuer-unreachable' });
    await assert.rejects(renew(person), { code: 'issuer-unreachable' });
  } finally {
    upstream.fails = null;
  }
  await renew(person);
  assert.equal((await person.hoop('whoami')).code, 0);
});

test('the record names the person’s own issuer, who stood between, and the keys of both', async () => {
  const all = await entries();
  const login = all.find(({ kind }) => kind === 'login');
  assert.deepEqual(login?.['broker'], { issuer: `${installation.url}/idp` });
  assert.deepEqual(login['actor'], {
    kind: 'person',
    issuer: upstream.issuer,
    subject: 'u-1001',
    email: 'ana@corp.example',
  });
  assert.equal(login['binding'], 'bound-by-relay');
  const [first] = upstream.grants;
  assert.equal(login['idTokenDigest'], hash('sha256', first!.tokens['id_token']!, 'hex'));
  const issuers = all.filter(({ kind }) => kind === 'issuer.keys').map(({ issuer }) => issuer);
  assert.deepEqual(new Set(issuers), new Set([upstream.issuer, `${installation.url}/idp`]));
  const verified = await verifyInstallation(installation);
  assert.equal(verified.code, 0, verified.output);
});

test('what the foreign provider gave lies in no file that shows it, and never came to the terminal', async () => {
  const given = (...names: string[]) =>
    upstream.grants.flatMap(({ tokens }) => names.flatMap((name) => tokens[name] ?? []));
  const idTokens = given('id_token');
  const secrets = [...given('refresh_token', 'access_token'), upstream.clientSecret];
  assert.ok(secrets.length >= 6);
  let kept = 0;
  for (const file of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const full = path.join(directory, file);
    if (!statSync(full).isFile() || file === 'client-secret') continue;
    const content = readFileSync(full, 'latin1');
    for (const secret of secrets) assert.ok(!content.includes(secret), file);
    const holdsToken = idTokens.some((token) => content.includes(token));
    // What the issuer signed is kept beside the log, so that a sign-in can be followed back to it.
    assert.equal(holdsToken, /^evidence\/logins\/.*\.jwt$/.test(file), file);
    if (holdsToken) kept += 1;
  }
  assert.ok(kept > 0);
  for (const secret of [...secrets, ...idTokens]) assert.ok(!installation.relay.output.includes(secret));
});

test('refused there: the page says so in words of ours, and the terminal at once', async () => {
  const browser = new WebBrowser();
  const { login, page } = await startLogin(personOf('dan'), browser);
  const refused = await browser.submit(page, { cancel: 'yes' });
  assert.equal(refused.status, 403);
  assert.equal(refused.url.origin, installation.url);
  assert.match(refused.html, /The identity provider refused the sign-in/);
  assert.doesNotMatch(refused.html, /<script|described/);
  assert.equal(await login.ended, 3);
  assert.match(login.output, /the sign-in was refused/);
});

test('hoop admin users has nobody to manage, and says where people are', async () => {
  const listed = await hoop(['admin', 'users', 'list', '--config', installation.configFile], {
    env: installation.env,
  });
  assert.equal(listed.code, 2);
  assert.ok(listed.stderr.includes(`people sign in at ${upstream.issuer}`), listed.stderr);
});

test('signed out at the foreign provider: it tells the relay, and the sign-in is over', async () => {
  const browser = new WebBrowser();
  const { person } = await logIn('eva', browser);
  const { person: elsewhere } = await logIn('fay');
  await browser.submit(await browser.open(`${upstream.issuer}/session/end`), { logout: 'yes' });
  await eventually('the relay has heard', async () => (await person.hoop('whoami')).code === 4);
  assert.equal((await elsewhere.hoop('whoami')).code, 0, 'another session of the same person goes on');
});

test(
  'disabled there: the next renewal fails, the sign-in ends, and the session that lives',
  { skip },
  async () => {
    const { person } = await logIn('gus');
    const session = person.start('connect', 'db');
    await session.says(/port=(\d+)/);
    upstream.people.get('ana')!.disabled = true;
    await assert.rejects(renew(person), { code: 'login-expired' });
    await session.ended;
    assert.equal((await person.hoop('whoami')).code, 4);
    const ended = (await entries()).findLast(({ kind }) => kind === 'login.ended');
    assert.deepEqual([ended?.['reason'], ended?.['actor']], ['revoked', { kind: 'relay' }]);
    const verified = await verifyInstallation(installation, '--attribution', '--json');
    assert.equal(verified.code, 0, verified.output);
    const { acts } = JSON.parse(verified.stdout).attribution;
    const opened = acts.find(({ action }: { action: string }) => action === 'session.open');
    // To the provider's own signature; that the key is the person's is the relay's word.
    assert.deepEqual(opened, { action: 'session.open', issuer: 0, relay: 1, unchecked: 0, broken: 0 });
    upstream.people.get('ana')!.disabled = false;
  },
);
