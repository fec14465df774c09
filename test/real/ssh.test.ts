/** OpenSSH's own clients through the built relay, in front of a real OpenSSH server. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { missing } from '../support/programs.ts';
import { run, type Finished } from '../support/relay.ts';
import { startSshStage, type SshPort, type SshStage } from '../support/ssh-stage.ts';

const options = { skip: missing('openssh') };
let stage: SshStage;
let port: SshPort;
let env: NodeJS.ProcessEnv;

before(async () => {
  if (options.skip !== false) return;
  stage = await startSshStage();
  port = await stage.connect();
  env = { PATH: process.env['PATH'], HOME: stage.directory };
});
after(async () => {
  if (options.skip !== false) return;
  await stage.close();
});

const ssh = (args: readonly string[], input: string | Buffer = ''): Promise<Finished> =>
  run('ssh', [...port.options, '-p', String(port.port), '127.0.0.1', ...args], { env, input });

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

test('an exec has its own output, errors and exit code, all of them', options, async () => {
  const { code, stdout, stderr } = await ssh(['echo out; echo err >&2; exit 7']);
  assert.deepEqual([code, stdout, stderr], [7, 'out\n', 'err\n']);
  const codes = [0, 1, 2, 42, 126, 127, 128, 200, 254, 255];
  const ended = await Promise.all(codes.map((exit) => ssh([`exit ${exit}`])));
  assert.deepEqual(
    ended.map((each) => each.code),
    codes,
  );
});

test('quotes, line breaks and Unicode arrive as they were sent', options, async () => {
  const command = `printf '%s|' "a b" 'it'"'"'s' "Ünï—😀" '$HOME' "two
lines"`;
  assert.equal((await ssh([command])).stdout, "a b|it's|Ünï—😀|$HOME|two\nlines|");
});

test('standard input is binary, and its end is seen', options, async () => {
  const bytes = randomBytes(3_000_000);
  const { stdout } = await ssh(['sha256sum'], bytes);
  assert.equal(stdout.slice(0, 64), sha256(bytes));
});

test('a program that a signal ended is told as such', options, async () => {
  assert.equal((await ssh(['kill -TERM $$'])).code, 255);
});

test('many execs at once', options, async () => {
  const ended = await Promise.all(Array.from({ length: 30 }, (_, i) => ssh([`echo ${i}; exit ${i % 7}`])));
  assert.deepEqual(
    ended.map(({ code, stdout }) => [code, stdout]),
    Array.from({ length: 30 }, (_, i) => [i % 7, `${i}\n`]),
  );
});

test('many channels of one connection at once', options, async () => {
  const socket = path.join(stage.directory, 'control');
  const shared = ['-S', socket, '-o', 'ControlMaster=auto', '-o', 'ControlPersist=20'];
  await ssh([...shared.slice(0, 2), '-o', 'ControlMaster=no', 'true']);
  const through = (command: string): Promise<Finished> =>
    run('ssh', [...port.options, ...shared, '-p', String(port.port), '127.0.0.1', command], { env });
  await through('true');
  const ended = await Promise.all(Array.from({ length: 20 }, (_, i) => through(`sleep 0.2; exit ${i}`)));
  assert.deepEqual(
    ended.map(({ code }) => code),
    Array.from({ length: 20 }, (_, i) => i),
  );
  await run('ssh', [...port.options, '-S', socket, '-O', 'exit', '127.0.0.1'], { env });
});

test('scp and sftp, both ways', options, async () => {
  const local = path.join(stage.directory, 'files');
  const remote = path.join(stage.sshd.directory, 'files');
  mkdirSync(local);
  mkdirSync(remote);
  const bytes = randomBytes(2_000_000);
  writeFileSync(path.join(local, 'with blank.bin'), bytes);
  const at = ['-P', String(port.port), ...port.options];
  const there = `127.0.0.1:${remote}/`;
  for (const legacy of [[], ['-O']]) {
    const copied = await run('scp', [...legacy, ...at, path.join(local, 'with blank.bin'), `${there}a.bin`], {
      env,
    });
    assert.equal(copied.code, 0, copied.stderr);
    assert.equal(sha256(readFileSync(path.join(remote, 'a.bin'))), sha256(bytes));
    const back = path.join(local, `back${legacy.length}.bin`);
    assert.equal((await run('scp', [...legacy, ...at, `${there}a.bin`, back], { env })).code, 0);
    assert.equal(sha256(readFileSync(back)), sha256(bytes));
  }
  const batch = `put "${local}/with blank.bin" ${remote}/b.bin\nmkdir ${remote}/d\nrename ${remote}/b.bin ${remote}/d/c.bin\nls -l ${remote}/d\nget ${remote}/d/c.bin ${local}/c.bin\nrm ${remote}/d/c.bin\n`;
  const ftp = await run('sftp', [...at, '-b', '-', '127.0.0.1'], { env, input: batch });
  assert.equal(ftp.code, 0, ftp.stderr);
  assert.equal(sha256(readFileSync(path.join(local, 'c.bin'))), sha256(bytes));
});

test('rsync and git go through it unchanged', { skip: options.skip || missing('transfers') }, async () => {
  const [local, remote] = [path.join(stage.directory, 'tree'), path.join(stage.sshd.directory, 'tree')];
  mkdirSync(local);
  for (let i = 0; i < 50; i++) writeFileSync(path.join(local, `${i}.txt`), `file ${i}\n`.repeat(i * 20));
  const shell = ['ssh', ...port.options, '-p', String(port.port)].join(' ');
  const there = { ...env, GIT_SSH_COMMAND: shell, GIT_CONFIG_GLOBAL: '/dev/null' };
  const synced = await run('rsync', ['-a', '-e', shell, `${local}/`, `127.0.0.1:${remote}/`], { env });
  assert.equal(synced.code, 0, synced.stderr);
  assert.equal(readFileSync(path.join(remote, '49.txt'), 'utf8').length, 'file 49\n'.length * 980);
  await run('git', ['init', '-q', remote], { env: there });
  const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', `safe.directory=${remote}`];
  await run('git', ['-C', remote, 'add', '.'], { env: there });
  const committed = await run('git', ['-C', remote, ...identity, 'commit', '-qm', 'one'], { env: there });
  assert.equal(committed.code, 0, committed.stderr);
  const clone = path.join(stage.directory, 'clone');
  const cloned = await run('git', ['clone', '-q', `ssh://127.0.0.1${remote}`, clone], { env: there });
  assert.equal(cloned.code, 0, cloned.stderr);
  assert.equal(readFileSync(path.join(clone, '7.txt'), 'utf8'), 'file 7\n'.repeat(140));
});

test('a host key that is not the relay’s is refused by the client', options, async () => {
  const known = path.join(stage.directory, 'other-known-hosts');
  writeFileSync(known, `server.hoop ${stage.sshd.hostKey}\n`);
  const first = ['-o', `UserKnownHostsFile=${known}`, '-o', 'LogLevel=INFO', '-p', String(port.port)];
  const { code, stderr } = await run('ssh', [...first, ...port.options, '127.0.0.1', 'true'], { env });
  assert.equal(code, 255);
  assert.match(stderr, /REMOTE HOST IDENTIFICATION HAS CHANGED|verification failed/);
});

test('forwards are refused unless a policy permits them', options, async () => {
  const echo = createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  const address = echo.address();
  assert.ok(typeof address === 'object' && address !== null);
  const refused = await run(
    'ssh',
    [...port.options, '-W', `127.0.0.1:${address.port}`, '-p', String(port.port), '127.0.0.1'],
    { env, input: 'hello\n' },
  );
  assert.notEqual(refused.code, 0);
  assert.equal(refused.stdout, '');
  const remote = ['-o', 'ExitOnForwardFailure=yes', '-R', `0:127.0.0.1:${address.port}`];
  const listened = await run(
    'ssh',
    [...port.options, ...remote, '-p', String(port.port), '127.0.0.1', 'true'],
    {
      env,
    },
  );
  assert.notEqual(listened.code, 0);
  echo.close();
});

test('what happened is in the record, and it verifies', options, async () => {
  await ssh(['echo remembered-command']);
  await port.running.stop('SIGINT');
  const { code, stdout } = await stage.verify();
  assert.equal(code, 0, stdout);
  port = await stage.connect();
});

test('a server that shows another host key than the pinned one gets nobody', options, async () => {
  const file = path.join(stage.directory, 'never');
  writeFileSync(file, '');
  chmodSync(file, 0o600);
  await stage.sshd.rekey();
  const { code, stderr } = await stage.ana.hoop('connect', 'server', '--', 'true');
  assert.equal(code, 5, stderr);
  assert.match(stderr, /another host key/);
});
