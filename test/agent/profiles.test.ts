/** Which account a command means, and a settings file of before there were profiles. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chooseProfile, chooseProfileForLogin, renameProfile } from '../../src/agent/profiles.ts';
import { portKey, SettingsFile, type Settings } from '../../src/agent/settings.ts';

const [one, two] = ['https://one.example', 'https://two.example'];
let directory = '';
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hoop-profiles-'));
});
after(() => rm(directory, { recursive: true, force: true }));

const settings = (current: string | null, profiles: Record<string, string>): Settings => ({
  v: 2,
  current,
  profiles: Object.fromEntries(Object.entries(profiles).map(([name, relay]) => [name, { relay }])),
  relays: {},
  ports: {},
});
const choose = (profile: string | null, relay: string | null, known: Settings, preferred?: string) =>
  chooseProfile({ profile, relay, preferred: preferred ?? null }, known).name;

test('who never names a profile has the relay’s own: of the last sign-in, or of the relay that is named', () => {
  const known = settings(one, { [one]: one, [two]: two });
  assert.equal(choose(null, null, known), one);
  assert.equal(choose(null, 'two.example/', known), two);
  assert.equal(choose(null, 'https://three.example', known), 'https://three.example');
  assert.throws(() => choose(null, null, settings(null, {})), { code: 'relay-unknown' });
});

test('a relay means the account there: the preferred or current one, the relay’s own, the only one; else it is refused', () => {
  const both = { admin: one, me: one };
  assert.equal(choose(null, one, settings('admin', both)), 'admin');
  assert.equal(choose(null, one, settings('admin', both), 'me'), 'me');
  assert.equal(choose(null, one, settings(two, { ...both, [one]: one, [two]: two })), one);
  assert.equal(choose(null, one, settings(two, { admin: one, [two]: two })), 'admin');
  assert.throws(() => choose(null, one, settings(two, { ...both, [two]: two })), {
    code: 'profile-ambiguous',
    hint: 'name one: --profile admin, --profile me',
  });
});

test('a profile and another relay contradict; an unknown one, or a name like a member of every object, is refused', () => {
  const known = settings(one, { admin: one });
  assert.equal(choose('admin', 'one.example', known), 'admin');
  assert.throws(() => choose('admin', two, known), { code: 'profile-contradiction' });
  for (const name of ['staging', 'constructor', '__proto__', ''])
    assert.throws(() => choose(name, null, known), { code: 'profile-unknown' });
});

test('a sign-in makes a profile: at the relay that is named, else at the current one; never with a name that misleads', () => {
  const known = settings(one, { [one]: one, staging: two });
  const login = (profile: string | null, relay: string | null) =>
    chooseProfileForLogin({ profile, relay }, known);
  assert.deepEqual(login('admin', null), { name: 'admin', relay: one });
  assert.deepEqual(login('admin', 'two.example'), { name: 'admin', relay: two });
  assert.deepEqual(login('staging', null), { name: 'staging', relay: two });
  assert.throws(() => login('staging', one), { code: 'profile-contradiction' });
  for (const name of ['https://three.example', 'a b', 'Ü', '', '-x', '\u202eadmin', 'a'.repeat(64)])
    assert.throws(() => login(name, one), { code: 'profile-name-invalid' });
});

test('renamed: the ports go with it, those of a profile whose name only ends alike stay', () => {
  const known = settings('a', { a: one, 'b-a': one });
  known.ports = { [portKey('a', 'db')]: 15_432, [portKey('b-a', 'db')]: 15_433 };
  renameProfile(known, { name: 'a', relay: one }, 'c');
  assert.deepEqual(known.ports, { 'db c': 15_432, 'db b-a': 15_433 });
  assert.equal(known.current, 'c');
  assert.throws(() => renameProfile(known, { name: 'c', relay: one }, 'b-a'), { code: 'profile-exists' });
});

test('a settings file of before profiles is read without loss, and written as the new one', async () => {
  const logs = { 'one.example/log': 'one.example/log+1+AA==' };
  const relays = { [one]: { caFile: '/ca.pem', logs }, [two]: { caFile: null, logs: {} } };
  const ports = { [`db ${one}`]: 15_432, [`db ${two}`]: 15_440 };
  const before = { v: 1, defaultRelay: one, relays, ports };
  await writeFile(path.join(directory, 'settings.json'), JSON.stringify(before), { mode: 0o600 });
  const file = new SettingsFile(directory);
  const expected = {
    v: 2,
    current: one,
    profiles: { [one]: { relay: one }, [two]: { relay: two } },
    relays,
    ports,
  };
  assert.deepEqual(await file.read(), expected);
  await file.change(() => undefined);
  assert.deepEqual(await file.read(), expected);
  assert.equal((await stat(path.join(directory, 'settings.json'))).mode & 0o777, 0o600);
});
