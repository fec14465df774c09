/**
 * A signal sent to a program on the server, by `hoop exec` and by SSH's own request. OpenSSH delivers signals only to
 * programs of another user than root, so an account with a shell is signed in that the server's package brings.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { missing } from '../support/programs.ts';
import { startSshStage, type SshStage } from '../support/ssh-stage.ts';

const account = 'postgres';
const there = new RegExp(`^${account}:.*:/bin/(ba|da)?sh$`, 'm').test(readFileSync('/etc/passwd', 'utf8'));
const skip =
  missing('openssh') ||
  missing('postgresql') ||
  ((process.getuid?.() !== 0 || !there) && `needs root, and the account ${account}`);
let stage: SshStage;

before(async () => {
  // The account has no password; without PAM, OpenSSH takes that for locked.
  if (skip === false)
    stage = await startSshStage({ sshd: { config: ['UsePAM yes'] }, target: { user: account } });
});
after(() => stage?.close());

for (const signal of ['INT', 'TERM'] as const)
  test(`SIG${signal} reaches the program, which ends as it likes`, { skip }, async () => {
    const script = `trap "echo told; exit 7" ${signal}; echo started; while :; do sleep 0.1; done`;
    const running = stage.ana.start('exec', 'server', '--shell', '--', script);
    await running.says(/started/);
    running.child.kill(`SIG${signal}`);
    assert.equal(await running.ended, 7, running.output);
    assert.match(running.stdout, /told/);
  });
