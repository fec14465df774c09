/** Signing in where no browser can open, and where one can: a program in its place writes down what it was asked to open. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { confirmDevice } from '../../src/cli/demo/browser.ts';
import { stopAll } from '../../src/cli/demo/hoop.ts';
import { Installation } from '../../src/cli/demo/installation.ts';
import { eventually } from '../support/eventually.ts';
import { Running } from '../support/relay.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-ssh-login-'));
after(async () => {
  await stopAll();
  rmSync(directory, { recursive: true, force: true });
});

const installation = await Installation.create({ directory, targets: {}, policy: '' });
const ana = await installation.addPerson('ana', 'ana@example.com', ['engineering']);
await installation.start();
const opened = path.join(directory, 'opened');
const browser = path.join(directory, 'browser');
writeFileSync(browser, `#!/bin/sh\nprintf %s "$1" > '${opened}.new' && mv '${opened}.new' '${opened}'\n`);
chmodSync(browser, 0o755);
// No data directories: the machine’s own browsers are not found.
const desktop = { ...ana.env, DISPLAY: ':77', XDG_DATA_DIRS: directory, BROWSER: browser };

async function signIn(env: NodeJS.ProcessEnv, opens: boolean): Promise<string> {
  // Stdin is no terminal, and stays empty.
  const login = Running.hoop(['login', installation.url, '--json'], env);
  const [, uri, userCode] = await login.says(/Open (https?:\/\/\S+) and enter {2}([A-Z]{4}-[A-Z]{4})/);
  if (opens) await login.says(/opened in your browser/);
  await confirmDevice(uri!, { email: ana.email, password: ana.password, userCode: userCode! });
  assert.equal(await login.ended, 0, login.output);
  const { principal } = JSON.parse(login.stdout);
  assert.deepEqual(principal.groups, ['engineering']);
  assert.equal(login.stderr.includes('opened in your browser'), opens);
  return userCode!;
}

test(
  'at a desktop the page opens with the code in it',
  { skip: process.platform === 'linux' ? false : 'needs xdg-open' },
  async () => {
    const code = await signIn(desktop, true);
    await eventually('the browser was started', () => existsSync(opened));
    assert.equal(readFileSync(opened, 'utf8'), `${installation.url}/idp/device?user_code=${code}`);
    rmSync(opened);
  },
);

test('over SSH nothing is opened, also with a display forwarded; address and code are said, stdin is not needed', async () => {
  await signIn({ ...desktop, SSH_CONNECTION: '192.0.2.1 50000 192.0.2.2 22' }, false);
  await signIn({ ...desktop, SSH_TTY: '/dev/pts/7' }, false);
  await signIn(ana.env, false);
  assert.ok(!existsSync(opened));
});
