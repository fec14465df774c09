/** Where the real binary keeps a sign-in: a real Secret Service that is unlocked, locked or gone, and a machine without one. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Installation } from '../../src/cli/demo/installation.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { run, Running, type Finished } from '../support/relay.ts';

const skip = missing('keyring');
const directory = mkdtempSync(path.join(tmpdir(), 'hoop-store-'));
const running: Running[] = [];
after(async () => {
  for (const each of running.toReversed()) await each.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Starts nothing by itself: which services there are is the test's to say. */
const busConfig = `<busconfig><type>session</type><listen>unix:dir=${directory}</listen>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>`;

const json = ({ code, stdout, stderr }: Finished, expected: number) => {
  assert.equal(code, expected, stdout + stderr);
  return JSON.parse(stdout);
};

test(
  'unlocked, locked, gone, and none at all: each says where the sign-in is, or what to do',
  { skip, timeout: 180_000 },
  async () => {
    const installation = await Installation.create({ directory, targets: {}, policy: '' });
    const ana = await installation.addPerson('ana', 'ana@example.com', []);
    running.push(await installation.start());
    const credentialFile = path.join(directory, 'ana', 'config', 'hoop', 'credentials');

    const headless = await ana.login(installation.url);
    assert.match(
      headless.stderr,
      /no credential store on this machine: the sign-in is kept in .*credentials \(mode 0600\)/,
    );
    assert.equal(json(await ana.hoop('whoami', '--json'), 0).credentialStore, 'file');
    assert.equal(statSync(credentialFile).mode & 0o777, 0o600);
    assert.equal((await ana.hoop('logout')).code, 0);
    rmSync(credentialFile);

    writeFileSync(path.join(directory, 'bus.conf'), busConfig);
    const busArguments = [`--config-file=${path.join(directory, 'bus.conf')}`, '--nofork', '--print-address'];
    const bus = new Running('dbus-daemon', busArguments, ana.env);
    running.push(bus);
    const [address] = await bus.says(/^unix:\S+/m);
    ana.env['DBUS_SESSION_BUS_ADDRESS'] = address;

    const keyring = async (unlock: boolean): Promise<Running> => {
      const flags = ['--foreground', '--components=secrets', ...(unlock ? ['--unlock'] : [])];
      const daemon = new Running('gnome-keyring-daemon', flags, ana.env, 'pipe');
      running.push(daemon);
      daemon.child.stdin!.end('password of the keyring');
      const asks = ['--session', '--print-reply', '--dest=org.freedesktop.DBus', '/'];
      const question = 'org.freedesktop.DBus.NameHasOwner';
      await eventually('the Secret Service answers', async () => {
        const answer = await run('dbus-send', [...asks, question, 'string:org.freedesktop.secrets'], {
          env: ana.env,
        });
        return answer.stdout.includes('true');
      });
      return daemon;
    };

    const unlocked = await keyring(true);
    const signedIn = await ana.login(installation.url);
    assert.doesNotMatch(signedIn.stderr, /credential store|credentials/);
    assert.equal(json(await ana.hoop('whoami', '--json'), 0).credentialStore, 'system');
    assert.ok(!existsSync(credentialFile));
    await unlocked.stop();

    const locked = await keyring(false);
    for (const args of [['whoami'], ['logout'], ['targets'], ['login']]) {
      const { error } = json(await ana.hoop(...args, '--json'), 4);
      assert.equal(error.code, 'keychain-locked', args[0]);
      assert.match(error.hint, /unlock it .* HOOP_KEYCHAIN=file/);
    }
    const before = await ana.hoop('login');
    assert.doesNotMatch(before.stderr, /enter {2}/, 'nobody is sent to a browser in vain');
    await locked.stop();

    const gone = json(await ana.hoop('whoami', '--json'), 4);
    assert.equal(gone.error.code, 'not-signed-in');
    ana.env['HOOP_KEYCHAIN'] = 'system';
    for (const command of ['whoami', 'login']) {
      const { error } = json(await ana.hoop(command, '--json'), 1);
      assert.equal(error.code, 'keychain-failed');
      assert.match(error.hint, /start one \(for example gnome-keyring\), or use HOOP_KEYCHAIN=file/);
    }
    ana.env['HOOP_KEYCHAIN'] = 'memory';
    assert.equal(json(await ana.hoop('whoami', '--json'), 2).error.code, 'keychain-unknown');
  },
);
