/** OpenSSH's own clients, rsync and git in front of a real sshd: through `hoop ssh-config`, and around `hoop connect`. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { hoop, run } from '../support/relay.ts';
import { findProgram, missing } from '../support/programs.ts';
import { startSshStage, type SshStage } from '../support/ssh-stage.ts';

const skip = missing('openssh');
const without = (name: string) => skip || (findProgram(name) === null && `${name} is not installed`);
let stage: SshStage;
let home: string;
let config: string;
let work: string;

before(async () => {
  if (skip !== false) return;
  stage = await startSshStage();
  home = stage.ana.env['HOME']!;
  config = path.join(home, '.ssh', 'config');
  work = path.join(stage.directory, 'work');
  mkdirSync(work);
});
after(() => stage?.close());

/** As the person; ssh reads its own home whatever HOME says, so it is told the file. */
const ssh = (...args: string[]) =>
  run('ssh', ['-F', config, '-o', 'BatchMode=yes', ...args], { env: stage.ana.env });

test(
  'ssh-config --write: one Include line in front, every other byte as it was, once',
  { skip },
  async () => {
    const real = path.join(home, 'dotfiles-config');
    const before = Buffer.concat([Buffer.from('# mine\r\nHost other\n  User x'), Buffer.from([0xff, 0xfe])]);
    mkdirSync(path.dirname(config), { mode: 0o700 });
    writeFileSync(real, before, { mode: 0o640 });
    chmodSync(real, 0o640);
    symlinkSync(real, config);
    const first = await stage.ana.hoop('ssh-config', '--write', '--json');
    assert.equal(first.code, 0, first.output);
    assert.equal(JSON.parse(first.stdout).changed, true);
    const after = readFileSync(real);
    const [line] = after.toString('latin1').split('\n', 1);
    assert.match(line!, /^Include .*ssh_config$/);
    assert.deepEqual(after.subarray(line!.length + 1), before);
    assert.ok(lstatSync(config).isSymbolicLink());
    assert.equal(statSync(real).mode & 0o777, 0o640);
    const second = await stage.ana.hoop('ssh-config', '--write', '--json');
    assert.equal(JSON.parse(second.stdout).changed, false);
    assert.deepEqual(readFileSync(real), after);
    const printed = await stage.ana.hoop('ssh-config');
    assert.match(printed.stdout, /^Host \*\.hoop$/m);
  },
);

test('ssh server.hoop: output, exit code, the pinned key and no other', { skip }, async () => {
  writeFileSync(realpathSync(config), `${readFileSync(config, 'utf8').split('\n', 1)[0]}\n`);
  const { code, stdout, stderr } = await ssh('server.hoop', 'echo hello; exit 5');
  assert.deepEqual([code, stdout, stderr], [5, 'hello\n', '']);
  const knownHosts = path.join(stage.ana.env['XDG_CONFIG_HOME']!, 'hoop', 'known_hosts');
  assert.match(readFileSync(knownHosts, 'utf8'), /^server\.hoop ssh-ed25519 \S+\n$/);
  assert.equal(statSync(knownHosts).mode & 0o777, 0o600);
  const denied = await ssh('nothing.hoop', 'true');
  assert.equal(denied.code, 255);
  assert.match(denied.stderr, /target-unknown/);
});

test('many at once learn the key without a broken file', { skip }, async () => {
  const knownHosts = path.join(stage.ana.env['XDG_CONFIG_HOME']!, 'hoop', 'known_hosts');
  writeFileSync(knownHosts, 'other.hoop ssh-ed25519 AAAA\nserver.hoop ssh-ed25519 AAAAold\n', {
    mode: 0o600,
  });
  const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => ssh('server.hoop', `echo ${i}`)));
  assert.deepEqual(
    answers.map(({ code, stdout }) => [code, stdout]),
    answers.map((_, i) => [0, `${i}\n`]),
  );
  const lines = readFileSync(knownHosts, 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, 2);
  assert.equal(lines[0], 'other.hoop ssh-ed25519 AAAA');
});

test('scp and sftp: there and back', { skip }, async () => {
  const bytes = randomBytes(1024 * 1024);
  const [here, there, again] = ['here', 'there', 'again'].map((name) => path.join(work, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(here, bytes);
  const options = { env: stage.ana.env };
  const up = await run('scp', ['-q', '-F', config, here, `server.hoop:${there}`], options);
  assert.equal(up.code, 0, up.output);
  const legacy = await run('scp', ['-q', '-O', '-F', config, `server.hoop:${there}`, again], options);
  assert.equal(legacy.code, 0, legacy.output);
  assert.deepEqual(readFileSync(again), bytes);
  const sftp = await run('sftp', ['-q', '-F', config, '-b', '-', 'server.hoop'], {
    ...options,
    input: `get ${there} ${again}-2\n`,
  });
  assert.equal(sftp.code, 0, sftp.output);
  assert.deepEqual(readFileSync(`${again}-2`), bytes);
});

test('rsync and git over server.hoop', { skip: without('rsync') || without('git') }, async () => {
  const options = {
    env: { ...stage.ana.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_SSH_COMMAND: `ssh -F ${config}` },
    cwd: work,
  };
  mkdirSync(path.join(work, 'tree'));
  writeFileSync(path.join(work, 'tree', 'a file'), 'content');
  const rsync = await run(
    'rsync',
    ['-a', '-e', `ssh -F ${config}`, 'tree/', `server.hoop:${work}/copy/`],
    options,
  );
  assert.equal(rsync.code, 0, rsync.output);
  assert.equal(readFileSync(path.join(work, 'copy', 'a file'), 'utf8'), 'content');
  const made = await run('git', ['init', '-q', '--bare', 'bare.git'], options);
  assert.equal(made.code, 0, made.output);
  await run('git', ['init', '-q', '-b', 'main', 'mine'], options);
  const inMine = { ...options, cwd: path.join(work, 'mine') };
  const author = ['-c', 'user.name=a', '-c', 'user.email=a@example.com'];
  await run('git', [...author, 'commit', '-q', '--allow-empty', '-m', 'first'], inMine);
  const pushed = await run('git', ['push', '-q', `server.hoop:${work}/bare.git`, 'main'], inMine);
  assert.equal(pushed.code, 0, pushed.output);
  const cloned = await run(
    'git',
    ['clone', '-q', '-b', 'main', `server.hoop:${work}/bare.git`, 'theirs'],
    options,
  );
  assert.equal(cloned.code, 0, cloned.output);
});

test(
  'hoop connect server -- CLIENT: ssh, scp, rsync and git are led to the port',
  { skip: without('rsync') || without('git') },
  async () => {
    const around = (...client: string[]) =>
      hoop(['connect', 'server', '--', ...client], {
        env: { ...stage.ana.env, GIT_CONFIG_GLOBAL: '/dev/null' },
        cwd: work,
      });
    const direct = await around('ssh', 'server', 'echo $((6*7)); exit 3');
    assert.deepEqual([direct.code, direct.stdout, direct.stderr], [3, '42\n', '']);
    writeFileSync(path.join(work, 'report'), 'figures');
    const scp = await around('scp', '-q', 'report', `server.hoop:${work}/report-2`);
    assert.equal(scp.code, 0, scp.output);
    const rsync = await around('rsync', '-a', `server:${work}/report-2`, 'report-3');
    assert.equal(rsync.code, 0, rsync.output);
    assert.equal(readFileSync(path.join(work, 'report-3'), 'utf8'), 'figures');
    const git = await around('git', 'ls-remote', `server:${work}/bare.git`);
    assert.equal(git.code, 0, git.output);
    assert.match(git.stdout, /refs\/heads\/main/);
  },
);

test('the banner of a port is a command that works', { skip }, async () => {
  const running = stage.ana.start('connect', 'server');
  const [, line] = await running.says(/^ {2}(ssh -p .*127\.0\.0\.1)/m);
  assert.match(running.stdout, /ssh server\.hoop$/m);
  const words = line!.split(' ').slice(1);
  const answer = await run('ssh', ['-F', '/dev/null', '-o', 'BatchMode=yes', ...words, 'echo works'], {
    env: stage.ana.env,
  });
  assert.deepEqual([answer.code, answer.stdout], [0, 'works\n'], answer.output);
  await running.stop();
  const socket = await stage.ana.hoop('connect', 'server', '--socket');
  assert.equal(socket.code, 2);
});

test('all of it verifies', { skip }, async () => {
  const verified = await stage.verify();
  assert.equal(verified.code, 0, verified.output);
});
