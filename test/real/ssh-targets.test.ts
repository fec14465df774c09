/** How a server is reached: jump hosts, who signs in as whom, and which host keys are trusted. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { hoop, type Finished } from '../support/relay.ts';
import { missing } from '../support/programs.ts';
import { startSshStage, type SshStage } from '../support/ssh-stage.ts';
import { startSshd, type SshServer } from '../support/sshd.ts';

const options = { skip: missing('openssh') };
let bastion: SshServer;
let stage: SshStage;

before(async () => {
  if (options.skip !== false) return;
  bastion = await startSshd();
  const hop = {
    host: '127.0.0.1',
    port: bastion.port,
    user: bastion.user,
    privateKey: `file:${bastion.keyFile}`,
  };
  stage = await startSshStage({
    target: {
      hostKeys: undefined,
      user: undefined,
      logins: [{ group: 'engineering', user: bastion.user }],
      jump: [hop],
    },
  });
});
after(async () => {
  if (options.skip !== false) return;
  await stage.close();
  await bastion.stop();
});

const trust = (...flags: readonly string[]): Promise<Finished> =>
  hoop(['relay', 'trust', 'server', '--config', stage.installation.configFile, ...flags], {
    env: stage.installation.env,
  });
const fingerprintOf = (server: SshServer): string =>
  execFileSync('ssh-keygen', ['-lf', '-'], { input: server.hostKey, encoding: 'utf8' }).split(' ')[1]!;

test('nobody gets to a server whose key, or whose jump host’s key, is not pinned', options, async () => {
  const { code, stderr } = await stage.ana.hoop('exec', 'server', '--', 'true');
  assert.equal(code, 5, stderr);
  assert.match(stderr, /no host key is pinned/);
});

test('trust needs a yes: the fingerprint, of each server on the way', options, async () => {
  const unanswered = await trust();
  assert.equal(unanswered.code, 1);
  assert.ok(unanswered.stderr.includes(fingerprintOf(bastion)));
  const wrong = await trust('--fingerprint', fingerprintOf(stage.sshd));
  assert.match(wrong.stderr, /another key/);
  await trust('--fingerprint', fingerprintOf(bastion));
  const pinned = await trust('--fingerprint', fingerprintOf(stage.sshd));
  assert.equal(pinned.code, 0, pinned.stderr);
  const file = path.join(stage.directory, 'relay', 'keys', 'target_host_keys');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(
    readFileSync(file, 'utf8').trim().split('\n').toSorted(),
    [`server ${stage.sshd.hostKey}`, `server/1 ${bastion.hostKey}`].toSorted(),
  );
});

test('through the jump host, as the login of the person’s group', options, async () => {
  const { code, stdout, stderr } = await stage.ana.hoop(
    'exec',
    'server',
    '--',
    'printenv',
    'SSH_CLIENT',
    'USER',
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, new RegExp(`^127\\.0\\.0\\.1 \\d+ ${stage.sshd.port}\\n${stage.sshd.user}\\n$`));
});

test('a jump host that was set up anew stops it', options, async () => {
  const key = await bastion.rekey();
  const { code, stderr } = await stage.ana.hoop('exec', 'server', '--', 'true');
  assert.equal(code, 5, stderr);
  assert.match(stderr, /another host key/);
  const fingerprint = execFileSync('ssh-keygen', ['-lf', '-'], { input: key, encoding: 'utf8' }).split(
    ' ',
  )[1]!;
  const again = await trust('--fingerprint', fingerprint);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /NOT the key that is pinned/);
  assert.equal((await stage.ana.hoop('exec', 'server', '--', 'true')).code, 0);
});
