/** `hoop login` at Glewlwyd, a real OpenID provider that knows nothing of hoop: device grant, PKCE, DPoP, step-up. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stopAll, type Running } from '../../src/cli/demo/hoop.ts';
import { Installation, Person } from '../../src/cli/demo/installation.ts';
import { readEntries } from '../../src/evidence/read/entries.ts';
import { Glewlwyd, type GlewlwydPerson } from '../support/glewlwyd.ts';
import { missing } from '../support/programs.ts';

const skip = missing('glewlwyd');
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-glewlwyd-'));
const ana: GlewlwydPerson = {
  username: 'ana',
  password: 'correct horse battery',
  email: 'ana@example.com',
  groups: ['engineering', 'dba'],
};
let glewlwyd: Glewlwyd;
let installation: Installation;
let person: Person;

before(async () => {
  if (skip !== false) return;
  const place = path.join(directory, 'glewlwyd');
  mkdirSync(place);
  glewlwyd = await Glewlwyd.start(place);
  await glewlwyd.addPerson(ana);
  const { issuer, clientId } = glewlwyd;
  installation = await Installation.create({
    directory: path.join(directory, 'relay'),
    targets: { db: { host: '127.0.0.1', port: 1, database: 'app', user: 'app', password: 'none' } },
    policy: `
      permit (principal in Group::"dba", action == Action::"connect", resource)
      when { context has authAgeSeconds && context.authAgeSeconds <= 3600 };`,
    config: { identity: { issuer, clientId, scopes: ['openid'] }, tokens: { lifetime: '20s' } },
  });
  await installation.start();
  person = new Person(ana.email, ana.password, path.join(directory, 'ana'), installation);
});
after(async () => {
  await stopAll();
  rmSync(directory, { recursive: true, force: true });
});

async function confirmed(login: Running): Promise<string> {
  const [, code] = await login.says(/enter {2}([A-Z0-9]{4}-[A-Z0-9]{4})/);
  await glewlwyd.confirm(ana, code!);
  await login.ended;
  return login.output;
}

test('a sign-in: groups and age of the authentication decide, the provider signed it', { skip }, async () => {
  const output = await confirmed(person.start('login', installation.url, '--no-browser'));
  assert.match(output, /Signed in as ana@example\.com \(dba, engineering\)/);
  const { targets } = JSON.parse((await person.hoop('targets', '--json')).stdout);
  assert.equal(targets[0]?.name, 'db');
  const logins = [];
  for await (const { entry } of readEntries(installation.evidence))
    if (entry.kind === 'login') logins.push(entry);
  assert.equal(logins[0]?.actor.issuer, glewlwyd.issuer);
  assert.ok(Date.parse(logins[0]?.authTime ?? '') <= Date.now());
});

test('a step-up there: the same sign-in goes on', { skip }, async () => {
  const before = JSON.parse((await person.hoop('whoami', '--json')).stdout).login;
  const output = await confirmed(person.start('login', '--step-up', '--no-browser'));
  assert.match(output, /Signed in as ana/);
  const after = JSON.parse((await person.hoop('whoami', '--json')).stdout);
  assert.equal(after.login, before);
});

test(
  'it renews without an ID token: the sign-in ends with its access token, and says why',
  { skip },
  async () => {
    for (;;) {
      const answer = await person.hoop('targets');
      if (answer.code === 0) continue;
      assert.equal(answer.code, 4, answer.output);
      assert.match(answer.stderr, /renews without an ID token/);
      return;
    }
  },
);

test('whoever is disabled there cannot sign in here', { skip }, async () => {
  await glewlwyd.disable(ana);
  const login = person.start('login', installation.url, '--no-browser');
  const [, code] = await login.says(/enter {2}([A-Z0-9]{4}-[A-Z0-9]{4})/);
  await assert.rejects(glewlwyd.confirm(ana, code!), /401/);
  await login.stop('SIGINT');
});
