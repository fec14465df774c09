/** Large and many things over SSH: 1 GB each way with flat memory, 10,000 files, 100 execs at once. Prints what it measured. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { missing } from '../support/programs.ts';
import { run } from '../support/relay.ts';
import { startSshStage, type SshPort, type SshStage } from '../support/ssh-stage.ts';

const options = { skip: missing('openssh') };
const megabyte = 1e6;
let stage: SshStage;
let port: SshPort;
let env: NodeJS.ProcessEnv;
/** scp's options of both ways to the same server. */
let direct: string[];
let through: string[];

before(async () => {
  if (options.skip !== false) return;
  stage = await startSshStage();
  port = await stage.connect();
  env = { PATH: process.env['PATH'], HOME: stage.directory };
  const known = path.join(stage.directory, 'known-direct');
  writeFileSync(known, `[127.0.0.1]:${stage.sshd.port} ${stage.sshd.hostKey}\n`);
  direct = ['-F', '/dev/null', '-o', `UserKnownHostsFile=${known}`, '-o', 'BatchMode=yes'];
  direct.push('-i', stage.sshd.keyFile, '-P', String(stage.sshd.port));
  through = [...port.options, '-P', String(port.port)];
});
after(async () => {
  if (options.skip === false) await stage.close();
});

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function copy(flags: readonly string[], from: string, to: string): Promise<number> {
  const started = performance.now();
  const { code, stderr } = await run('scp', ['-q', ...flags, from, to], { env });
  assert.equal(code, 0, stderr);
  return performance.now() - started;
}

const residentMegabytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;

test('1 GB each way: whole, in flat memory', options, async (context) => {
  const big = path.join(stage.directory, 'big');
  const made = await run('sh', ['-c', `head -c ${1000 * megabyte} /dev/urandom > ${big}`], { env });
  assert.equal(made.code, 0);
  const expected = await digest(big);
  const remote = (name: string): string => `127.0.0.1:${stage.sshd.directory}/${name}`;
  const processes = [stage.installation.relay.child.pid!, port.running.child.pid!];
  // What the first transfer brings: compiled code, and garbage up to V8's mark. A tenth is enough for it.
  const little = path.join(stage.directory, 'little');
  await run('sh', ['-c', `head -c ${100 * megabyte} ${big} > ${little}`], { env });
  await copy(through, little, remote('warm-up'));
  const before = processes.map(residentMegabytes);
  const up = [await copy(direct, big, remote('direct')), await copy(through, big, remote('through'))];
  const down = [
    await copy(direct, remote('direct'), path.join(stage.directory, 'direct')),
    await copy(through, remote('through'), path.join(stage.directory, 'through')),
  ];
  assert.equal(await digest(path.join(stage.directory, 'through')), expected);
  const grown = processes.map((pid, at) => residentMegabytes(pid) - before[at]!);
  context.diagnostic(
    `up ${(up[0]! / up[1]!).toFixed(2)} × direct, down ${(down[0]! / down[1]!).toFixed(2)} × direct`,
  );
  context.diagnostic(`memory grew by ${grown.map((each) => each.toFixed(0)).join(' and ')} MB`);
  for (const each of grown) assert.ok(each < 64, `memory grew by ${each} MB`);
});

test('10,000 small files by sftp', options, async (context) => {
  const here = path.join(stage.directory, 'small');
  mkdirSync(here);
  for (let i = 0; i < 10_000; i++) writeFileSync(path.join(here, `${i}`), `file ${i}`);
  const put = async (flags: readonly string[], name: string): Promise<number> => {
    const there = path.join(stage.sshd.directory, name);
    const started = performance.now();
    const input = `mkdir ${there}\nput ${here}/* ${there}/\n`;
    const { code, stderr } = await run('sftp', ['-q', ...flags, '-b', '-', '127.0.0.1'], { env, input });
    assert.equal(code, 0, stderr);
    assert.equal(readdirSync(there).length, 10_000);
    assert.equal(readFileSync(path.join(there, '9999'), 'utf8'), 'file 9999');
    return performance.now() - started;
  };
  const [alone, relayed] = [await put(direct, 'small-direct'), await put(through, 'small')];
  context.diagnostic(`10,000 files: ${(relayed / alone).toFixed(1)} times the time of direct`);
});

test('every exit code', options, async () => {
  const ssh = [...port.options, '-p', String(port.port), '127.0.0.1'];
  for (let first = 0; first < 256; first += 32) {
    const codes = Array.from({ length: 32 }, (_, i) => first + i);
    const ended = await Promise.all(codes.map((code) => run('ssh', [...ssh, `exit ${code}`], { env })));
    assert.deepEqual(
      ended.map(({ code }) => code),
      codes,
    );
  }
});

test('100 execs at once', options, async () => {
  const ssh = [...port.options, '-p', String(port.port), '127.0.0.1'];
  const ended = await Promise.all(
    Array.from({ length: 100 }, (_, i) => run('ssh', [...ssh, `echo ${i}; exit ${i}`], { env })),
  );
  assert.deepEqual(
    ended.map(({ code, stdout }) => `${code} ${stdout.trim()}`),
    Array.from({ length: 100 }, (_, i) => `${i} ${i}`),
  );
});

test('all of it is in the record', options, async () => {
  await port.running.stop('SIGINT');
  const { code, output } = await stage.verify();
  assert.equal(code, 0, output);
});
