/** Several accounts and relays on one computer, with the real binary: which one commands mean, and how a sign-in ends. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, cpSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { Installation, Person } from '../../src/cli/demo/installation.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { hoop, startStage, type Finished } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage();
after(() => stage?.close());

const json = ({ code, stdout, stderr }: Finished, expected = 0) => {
  assert.equal(code, expected, stdout + stderr);
  return JSON.parse(stdout);
};

test('two accounts at one relay and one at another, side by side', { skip, timeout: 120_000 }, async () => {
  const { ana, lea, installation, directory, postgres } = stage!;
  const { url } = installation;
  const home = path.join(directory, 'ana');
  const leaHere = new Person(lea.email, lea.password, home, installation);
  const signedIn = await leaHere.login(url, '--profile', 'lead');
  assert.match(signedIn.stdout, /Signed in as lea@example\.com \(leads\), profile lead, until \d/);

  // The last sign-in is the current one; a variable, a flag and `use` choose another.
  const who = async (...flags: string[]) =>
    json(await ana.hoop('whoami', '--json', ...flags)).principal.email;
  assert.equal(await who(), lea.email);
  assert.equal(await who('--profile', url), ana.email);
  json(await ana.hoop('profiles', 'use', url, '--json'));
  assert.equal(await who(), ana.email);
  const byVariable = { ...ana.env, HOOP_PROFILE: 'lead' };
  assert.equal(json(await hoop(['whoami', '--json'], { env: byVariable })).principal.email, lea.email);
  assert.equal(
    json(await hoop(['whoami', '--json', '--profile', url], { env: byVariable })).principal.email,
    ana.email,
  );
  const contradiction = await ana.hoop('whoami', '--profile', 'lead', '--relay', 'https://other.example');
  assert.equal(contradiction.code, 2);
  assert.match(contradiction.stderr, /profile lead is of .*\(profile-contradiction\)/s);

  // A second relay, with another person of the same computer.
  const address = { host: '127.0.0.1', port: postgres.port, database: 'app', user: 'app', password: 'x' };
  const other = await Installation.create({
    directory: path.join(directory, 'other'),
    targets: { db: address },
    policy: 'permit (principal, action, resource);',
  }).catch((error: unknown) => error);
  assert.ok(other instanceof Installation, String(other));
  const eva = await other.addPerson('eva', 'eva@example.com', []);
  const relay = await other.start();
  const evaHere = new Person(eva.email, eva.password, home, other);
  await evaHere.login(other.url);
  const { profiles } = json(await ana.hoop('profiles', '--json'));
  assert.deepEqual(
    profiles.map(({ name, current, signedIn: yes }: Record<string, unknown>) => [name, current, yes]),
    [url, other.url, 'lead'].toSorted().map((name) => [name, name === other.url, true]),
  );

  // One background agent serves both; status says which.
  json(await ana.hoop('connect', 'db', '--detach', '--json', '--profile', url));
  const denied = await ana.hoop('connect', 'db', '--detach', '--json', '--profile', 'lead');
  assert.equal(json(denied, 3).error.code, 'connect-denied');
  json(await ana.hoop('profiles', 'rename', 'lead', 'boss', '--json'));
  assert.equal(await who('--profile', 'boss'), lea.email);
  assert.equal(
    json(await ana.hoop('profiles', 'rename', url, 'mine', '--json'), 2).error.code,
    'profile-in-use',
  );
  const { served } = json(await ana.hoop('status', '--json'));
  assert.deepEqual(
    served.map(({ profile, relay: at }: Record<string, unknown>) => [profile, at]),
    [[url, url]],
  );

  // Signing out ends the port in order, the login at the relay, and the grant at the provider.
  const keychain = { profile: url, relay: url };
  const out = json(await ana.hoop('logout', '--json', '--profile', url));
  assert.deepEqual(out, {
    ...keychain,
    signedOut: true,
    disconnected: [{ target: 'db', session: served[0].session }],
    notDone: [],
  });
  await eventually('the agent has ended', async () => {
    return json(await ana.hoop('status', '--json')).served.length === 0;
  });
  assert.equal(json(await ana.hoop('whoami', '--json', '--profile', url), 4).error.code, 'not-signed-in');
  assert.equal(await who('--profile', 'boss'), lea.email);
  const sessions = json(await ana.hoop('audit', 'sessions', '--json', '--profile', 'boss'));
  assert.equal(
    sessions.sessions.find(({ session }: { session: string }) => session === served[0].session).outcome,
    'ended',
  );

  // Without the other relay: forgotten here all the same, and told what goes on there.
  await relay.stop();
  const offline = await ana.hoop('logout', '--profile', other.url);
  assert.equal(offline.code, 0);
  assert.match(offline.stdout, /Signed out of/);
  assert.match(
    offline.stderr,
    /the relay was not told: .* cannot be reached; it ends by itself at \d\d:\d\d/,
  );
  assert.match(offline.stderr, /the refresh token was not revoked: .* cannot be reached; it ends by itself/);
  const all = json(await ana.hoop('logout', '--all', '--json'));
  assert.deepEqual(
    all.profiles.map(({ profile, signedOut }: Record<string, unknown>) => [profile, signedOut]),
    [['boss', true]],
  );
  assert.deepEqual(json(await ana.hoop('logout', '--all', '--json')), { profiles: [] });
  json(await ana.hoop('profiles', 'remove', 'boss', '--json'));
  assert.equal(
    json(await ana.hoop('whoami', '--json', '--profile', 'boss'), 2).error.code,
    'profile-unknown',
  );

  // What is remembered is the person's alone, and no secret.
  const config = path.join(home, 'config', 'hoop');
  for (const name of readdirSync(config)) {
    const file = path.join(config, name);
    if (!name.endsWith('.lock')) assert.equal(statSync(file).mode & 0o777, 0o600, name);
    assert.doesNotMatch(readFileSync(file, 'latin1'), /eyJ|refresh/i, name);
  }
});

test(
  'a refresh token that was kept is worth nothing after the logout',
  { skip, timeout: 60_000 },
  async () => {
    const { ana, installation, directory } = stage!;
    await ana.login(installation.url);
    const config = path.join(directory, 'ana', 'config', 'hoop');
    const stolen = path.join(directory, 'stolen');
    cpSync(config, path.join(stolen, 'config', 'hoop'), { recursive: true });
    chmodSync(path.join(stolen, 'config', 'hoop'), 0o700);
    assert.equal((await ana.hoop('logout')).code, 0);
    const thief = new Person(ana.email, '', stolen, installation);
    const refused = json(await thief.hoop('whoami', '--json'), 4);
    assert.equal(refused.error.code, 'login-expired');
  },
);

test('whoami says who, by which key, until when, and where the sign-in is kept', { skip }, async () => {
  const { ana, installation } = stage!;
  const login = await ana.login(installation.url);
  // Twelve hours, not the fifteen minutes of the access token.
  const { until, ...who } = json(await ana.hoop('whoami', '--json'));
  assert.ok(Date.parse(until) - Date.now() > 11 * 3_600_000, until);
  assert.match(login.stdout, /, until /);
  assert.ok(Date.parse(who.accessTokenEnds) < Date.parse(until));
  assert.match(who.key.thumbprint, /^[\w-]{43}$/);
  assert.deepEqual(
    [who.profile, who.relay, who.key.binding, who.credentialStore, who.principal.groups],
    [installation.url, installation.url, 'cnf-by-issuer', 'file', ['engineering']],
  );
});
