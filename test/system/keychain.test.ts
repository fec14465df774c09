/** The credential store: the encrypted file by itself, the system's store for real under a session bus of its own. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { openKeychain } from '../../src/system/keychain-choice.ts';
import { FileKeychain } from '../../src/system/keychain-file.ts';
import { KeychainError } from '../../src/system/keychain.ts';
import { PrivateFileError } from '../../src/system/private-file.ts';

const run = promisify(execFile);
let directory = '';
let count = 0;
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hoop-keychain-'));
});
after(() => rm(directory, { recursive: true, force: true }));
const fresh = () => path.join(directory, String(count++));
const quiet = () => undefined;

const damaged = (error: unknown) => {
  assert.ok(error instanceof KeychainError);
  assert.equal(error.code, 'credential-file-damaged');
  assert.doesNotMatch(error.message, /precious/);
  return true;
};
const unsafe = (error: unknown) => error instanceof PrivateFileError && error.code === 'private-path-unsafe';

test('the file keeps, finds, replaces and forgets, and never shows a secret', async () => {
  const place = fresh();
  const keychain = new FileKeychain(place, quiet);
  assert.equal(await keychain.getPassword('hoop', 'a'), null);
  await keychain.setPassword('hoop', 'a', 'first-secret');
  await keychain.setPassword('hoop', '__proto__', 'second-secret');
  await keychain.setPassword('hoop', 'a', 'third-secret');
  const reader = new FileKeychain(place, quiet);
  assert.equal(await reader.getPassword('hoop', 'a'), 'third-secret');
  assert.deepEqual((await reader.findCredentials('hoop')).map((c) => c.account).toSorted(), [
    '__proto__',
    'a',
  ]);
  assert.equal(await reader.getPassword('hoop', 'constructor'), null);
  assert.equal(await reader.getPassword('toString', 'a'), null);
  for (const file of await readdir(place))
    assert.doesNotMatch(await readFile(path.join(place, file), 'latin1'), /secret/);
  assert.equal(await reader.deletePassword('hoop', 'a'), true);
  assert.equal(await reader.deletePassword('hoop', 'a'), false);
  assert.equal(await keychain.getPassword('hoop', 'a'), null);
});

test('files are 0600 in a 0700 directory, and leave nothing temporary behind', async () => {
  const place = fresh();
  await new FileKeychain(place, quiet).setPassword('hoop', 'a', 's');
  assert.equal((await stat(place)).mode & 0o777, 0o700);
  assert.deepEqual((await readdir(place)).toSorted(), ['credentials', 'credentials.key', 'credentials.lock']);
  for (const file of ['credentials', 'credentials.key'])
    assert.equal((await stat(path.join(place, file))).mode & 0o777, 0o600);
});

test('the person is warned at the sign-in that a file is used, not at renewals by other processes', async () => {
  const warnings: string[] = [];
  const place = fresh();
  const warn = (message: string) => warnings.push(message);
  await new FileKeychain(place, warn).setPassword('hoop', 'a', 's');
  await new FileKeychain(place, warn).setPassword('hoop', 'a', 't');
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /no credential store on this machine.*0600/);
});

test('one changed bit, a cut file or another key: damaged, never half read, and no secret in the text', async () => {
  const place = fresh();
  const keychain = new FileKeychain(place, quiet);
  await keychain.setPassword('hoop', 'a', 'precious');
  const file = path.join(place, 'credentials');
  const good = await readFile(file);
  for (let at = 0; at < good.length; at++) {
    const bad = Buffer.from(good);
    bad[at]! ^= 1;
    await writeFile(file, bad);
    await assert.rejects(keychain.getPassword('hoop', 'a'), damaged);
  }
  for (const length of [0, 1, 27, good.length - 1]) {
    await writeFile(file, good.subarray(0, length));
    await assert.rejects(keychain.getPassword('hoop', 'a'), damaged);
  }
  await writeFile(file, good);
  await writeFile(path.join(place, 'credentials.key'), Buffer.alloc(32));
  await assert.rejects(keychain.getPassword('hoop', 'a'), damaged);
});

test('a file that others may read, a link in its place, a directory open to all: refused', async () => {
  const place = fresh();
  const keychain = new FileKeychain(place, quiet);
  await keychain.setPassword('hoop', 'a', 's');
  await chmod(path.join(place, 'credentials.key'), 0o640);
  await assert.rejects(keychain.getPassword('hoop', 'a'), unsafe);
  await rm(path.join(place, 'credentials.key'));
  await symlink('/etc/hostname', path.join(place, 'credentials.key'));
  await assert.rejects(keychain.getPassword('hoop', 'a'), unsafe);
  await rm(path.join(place, 'credentials.key'));
  await chmod(place, 0o755);
  await assert.rejects(keychain.setPassword('hoop', 'a', 't'), unsafe);
});

test('eight processes that write at once lose nothing', async () => {
  const place = fresh();
  const module = path.resolve(import.meta.dirname, '../../src/system/keychain-file.ts');
  const script = `import { FileKeychain } from ${JSON.stringify(module)};
    await new FileKeychain(${JSON.stringify(place)}, () => {}).setPassword('hoop', process.argv[1], 's' + process.argv[1]);`;
  const names = Array.from({ length: 8 }, (_, index) => `p${index}`);
  await Promise.all(
    names.map((name) => run(process.execPath, ['--input-type=module-typescript', '-e', script, name])),
  );
  const found = await new FileKeychain(place, quiet).findCredentials('hoop');
  assert.deepEqual(
    found.map((c) => `${c.account}=${c.password}`).toSorted(),
    names.map((n) => `${n}=s${n}`),
  );
});

test('without a session bus the file is chosen; HOOP_KEYCHAIN decides, and an unknown word is refused', async () => {
  const options = { directory: fresh(), warn: quiet };
  assert.ok((await openKeychain({ ...options, environment: {} })) instanceof FileKeychain);
  assert.ok(
    (await openKeychain({ ...options, environment: { HOOP_KEYCHAIN: 'file' } })) instanceof FileKeychain,
  );
  await assert.rejects(openKeychain({ ...options, environment: { HOOP_KEYCHAIN: 'memory' } }), {
    code: 'keychain-unknown',
  });
});

const gnomeKeyring = '/usr/bin/gnome-keyring-daemon';
const dbus = '/usr/bin/dbus-run-session';
const missing = [gnomeKeyring, dbus].filter((file) => !existsSync(file));
const skip = missing.length > 0 ? `needs ${missing.join(' and ')}` : false;

test('the Secret Service: a real round trip, and locked is told from absent', { skip }, async () => {
  const home = await mkdtemp(path.join(directory, 'k'));
  const script = path.resolve(import.meta.dirname, 'keychain-under-bus.ts');
  const { DISPLAY: _, WAYLAND_DISPLAY: __, ...inherited } = process.env;
  const environment = {
    ...inherited,
    HOME: home,
    XDG_RUNTIME_DIR: home,
    XDG_DATA_HOME: home,
    XDG_CACHE_HOME: home,
  };
  // `--foreground`, so that the shell knows the daemon and ends it: nothing outlives the test.
  const underBus = async (unlock: string, phase: string) => {
    const keyring = `${gnomeKeyring} --foreground --components=secrets ${unlock} >/dev/null 2>&1`;
    const wait = `until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets 2>/dev/null | grep -q true; do :; done`;
    const command = `printf secret | ${keyring} & k=$!; ${wait}; "$@"; code=$?; kill $k; wait $k; exit $code`;
    const { stdout } = await run(
      dbus,
      ['--', 'sh', '-c', command, 'sh', process.execPath, script, path.join(home, 'hoop'), phase],
      { env: environment, timeout: 60_000 },
    );
    return JSON.parse(stdout) as unknown;
  };
  assert.deepEqual(await underBus('--unlock', 'write'), {
    absent: null,
    read: 'kept — ünïcode',
    found: [{ account: 'https://relay.example', password: 'kept — ünïcode' }],
    deletedOther: false,
    files: [],
  });
  assert.deepEqual(await underBus('', 'locked'), { absent: null, read: 'keychain-locked', files: [] });
  assert.deepEqual(await underBus('--unlock', 'delete'), { deleted: true, read: null });
});
