/**
 * `hoop login` at providers whose tokens have the shapes of Okta, Entra ID, Google, Keycloak and GitLab: groups decide,
 * keys rotate, and whoever is disabled there is out here.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Installation, Person } from '../../src/cli/demo/installation.ts';
import { stopAll } from '../../src/cli/demo/hoop.ts';
import { shapes, TestIssuer, type IssuerPerson, type Shape } from '../support/issuer.ts';
import { passwordOf, startPostgres } from '../support/postgres.ts';
import { missing } from '../support/programs.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-oidc-'));
const issuers: TestIssuer[] = [];
after(async () => {
  await stopAll();
  for (const issuer of issuers) issuer.stop();
  rmSync(directory, { recursive: true, force: true });
});

const policyFor = (group: string): string => `
permit (principal in Group::"${group}", action in [Action::"connect", Action::"execute"], resource);
`;

interface Staged {
  readonly issuer: TestIssuer;
  readonly installation: Installation;
  person(account: IssuerPerson, computer?: string): Person;
}

interface Wanted {
  readonly group: string;
  readonly identity?: Readonly<Record<string, unknown>>;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly port?: number;
}

async function stage(shape: Shape, { group, identity, config, port }: Wanted): Promise<Staged> {
  const issuer = await TestIssuer.start(shape);
  issuers.push(issuer);
  const place = path.join(directory, String(issuers.length));
  const { clientId, scopes } = shape;
  const installation = await Installation.create({
    directory: place,
    targets: {
      db: { host: '127.0.0.1', port: port ?? 1, database: 'app', user: 'app', password: passwordOf('app') },
    },
    policy: policyFor(group),
    config: { identity: { issuer: issuer.url, clientId, scopes, ...identity }, ...config },
  });
  await installation.start();
  const person = (account: IssuerPerson, computer = account.subject) =>
    new Person(account.email, account.password, path.join(place, computer), installation);
  return { issuer, installation, person };
}

async function whoIs(person: Person, installation: Installation) {
  await person.login(installation.url);
  const me = JSON.parse((await person.hoop('whoami', '--json')).stdout);
  const { targets } = JSON.parse((await person.hoop('targets', '--json')).stdout);
  return { groups: me.principal.groups, issuer: me.principal.issuer, seen: targets.length };
}

test('Entra ID: the issuer has the tenant; more groups than a token holds are refused, not taken for none', async () => {
  const staged = await stage(shapes.entra, { group: 'a1b2-engineering' });
  const ana = staged.issuer.addPerson('ana@example.com', ['a1b2-engineering']);
  const seen = await whoIs(staged.person(ana), staged.installation);
  assert.deepEqual(seen, { groups: ['a1b2-engineering'], issuer: staged.issuer.url, seen: 1 });
  const many = staged.issuer.addPerson(
    'max@example.com',
    Array.from({ length: 201 }, (_, at) => `group-${at}`),
  );
  await assert.rejects(
    staged.person(many).login(staged.installation.url),
    /too many[\s\S]*assigned to this application/,
  );
});

test('Google: a client secret that CLIs learn, and groups by address, from the configuration', async () => {
  const secret = path.join(directory, 'google-secret');
  writeFileSync(secret, shapes.google.clientSecret, { mode: 0o600 });
  const staged = await stage(shapes.google, {
    group: 'engineering',
    identity: {
      clientSecret: `file:${secret}`,
      groupsMap: { 'Ana@example.com': ['engineering'], '@example.com': ['staff'], 'sub:sub-3': ['guests'] },
    },
  });
  const { issuer, installation } = staged;
  const people = [
    issuer.addPerson('ana@example.com', []),
    issuer.addPerson('ben@example.com', []),
    issuer.addPerson('eve@elsewhere.example', []),
  ];
  const groups = [];
  for (const account of people) groups.push((await whoIs(staged.person(account), installation)).groups);
  assert.deepEqual(groups, [['engineering', 'staff'], ['staff'], ['guests']]);
});

test('Keycloak: roles by path, or groups with their slash', async () => {
  const roles = await stage(shapes.keycloak, {
    group: 'dba',
    identity: { groupsClaim: 'realm_access.roles' },
  });
  const ana = roles.issuer.addPerson('ana@example.com', ['dba']);
  assert.deepEqual(await whoIs(roles.person(ana), roles.installation), {
    groups: ['dba'],
    issuer: roles.issuer.url,
    seen: 1,
  });
  await roles.installation.stop();
  const groups = await stage(shapes.keycloak, { group: '/dba' });
  const ben = groups.issuer.addPerson('ben@example.com', ['dba']);
  assert.deepEqual((await whoIs(groups.person(ben), groups.installation)).groups, ['/dba']);
});

test('GitLab: groups_direct; a scope that the provider does not know says who has to do what', async () => {
  const staged = await stage(shapes.gitlab, {
    group: 'acme/ops',
    identity: { groupsClaim: 'groups_direct' },
  });
  const ana = staged.issuer.addPerson('ana@example.com', ['acme/ops']);
  const seen = await whoIs(staged.person(ana), staged.installation);
  assert.deepEqual(seen, { groups: ['acme/ops'], issuer: staged.issuer.url, seen: 1 });
  await staged.installation.stop();
  const wrong = await stage(shapes.gitlab, {
    group: 'x',
    identity: { scopes: ['openid', 'offline_access'] },
  });
  const ben = wrong.issuer.addPerson('ben@example.com', []);
  const refused = await wrong.person(ben).hoop('login', wrong.installation.url, '--no-browser');
  assert.match(refused.stderr, /invalid_scope[\s\S]*identity\.scopes/);
});

test(
  'Okta: keys rotate under a sign-in; whoever is disabled there loses access and live sessions here',
  { skip: missing('postgresql') },
  async () => {
    const postgres = await startPostgres();
    after(() => postgres.stop());
    const config = { tokens: { lifetime: '10s' } };
    const staged = await stage(shapes.okta, { group: 'engineering', config, port: postgres.port });
    const { issuer, installation } = staged;
    const account = issuer.addPerson('ana@example.com', ['engineering']);
    const ana = staged.person(account);
    await ana.login(installation.url);
    const served = ana.start('connect', 'db');
    await served.says(/port=(\d+)/);
    // Renewed over a change of keys: the session and its port go on.
    await issuer.rotateKeys();
    const before = issuer.refreshes;
    while (issuer.refreshes < before + 2) await new Promise((resolve) => setTimeout(resolve, 100));
    const running = await ana.hoop('sessions', 'list');
    assert.match(running.stdout, /db/, running.output);

    account.disabled = true;
    const disabledAt = Date.now();
    await served.says(/session ended|your sign-in/);
    await installation.relay.says(/session ended/);
    const lastedMs = Date.now() - disabledAt;
    // The token that was out lasts ten seconds at most; then five are left.
    assert.ok(lastedMs < 15_000, `${lastedMs} ms`);
    const out = await ana.hoop('targets');
    assert.equal(out.code, 4, out.output);
    assert.match(out.stderr, /login-expired/);
  },
);
