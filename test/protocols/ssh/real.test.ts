/** OpenSSH's sftp, scp and sftp-server, and ssh2's client, with an exchange between them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import type { SFTPWrapper } from 'ssh2';
import { missing } from '../../support/programs.ts';
import { startBridge } from './bridge.ts';
import type { Bridge } from './bridge.ts';
import { allow, deny, names, review } from './support.ts';
import type { FileGate } from './support.ts';

const skip = missing('sftp');
const run = promisify(execFile);

let scratch = '';
let [here, there] = ['', ''];
let bridge: Bridge;
const settings = [
  'StrictHostKeyChecking=no',
  'UserKnownHostsFile=/dev/null',
  'LogLevel=ERROR',
  'BatchMode=yes',
];
const options = ['-F', 'none', ...settings.flatMap((setting) => ['-o', setting])];

/** Plays the reviewers of the gate that holds next. */
let whenHeld: (gate: FileGate) => void = () => undefined;

before(async () => {
  if (skip !== false) return;
  scratch = mkdtempSync(path.join(tmpdir(), 'hoop-sftp-'));
  [here, there] = [path.join(scratch, 'here'), path.join(scratch, 'there')];
  for (const directory of [here, there, path.join(there, 'secret'), path.join(there, 'held')])
    mkdirSync(directory);
  bridge = await startBridge(
    there,
    (facts) =>
      names(path.join(there, 'secret/'))(facts)
        ? deny
        : names(path.join(there, 'held/'))(facts)
          ? review
          : allow,
    (gate) => {
      const ask = gate.review.bind(gate);
      gate.review = (given, listener) => {
        ask(given, listener);
        setImmediate(() => {
          listener.held({ review: '01R', needed: ['leads (1)'], expiresAtMs: 0 });
          whenHeld(gate);
        });
      };
    },
  );
});

after(() => {
  if (skip !== false) return;
  bridge.stop();
  assert.deepEqual(bridge.errors, []);
  rmSync(scratch, { recursive: true });
});

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function program(name: string, args: readonly string[], input = ''): Promise<Ran> {
  const running = run(name, [...options, '-P', String(bridge.port), ...args], {
    maxBuffer: 64 * 1024 * 1024,
  });
  running.child.stdin!.end(input);
  try {
    const { stdout, stderr } = await running;
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as Ran;
    return { code, stdout, stderr };
  }
}

/** A batch of commands of sftp. */
const sftp = (...lines: string[]): Promise<Ran> =>
  program('sftp', ['-b', '-', 'ana@127.0.0.1'], lines.join('\n'));
const summary = (): string[] => bridge.gates.at(-1)!.summary();
const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

async function ssh2Client<T>(work: (sftp: SFTPWrapper) => Promise<T>): Promise<T> {
  const client = new ssh2.Client();
  await new Promise<void>((resolve, reject) => {
    client.once('ready', resolve).once('error', reject);
    client.connect({ host: '127.0.0.1', port: bridge.port, username: 'ana' });
  });
  const wrapper = await promisify(client.sftp.bind(client))();
  try {
    return await work(wrapper as SFTPWrapper);
  } finally {
    client.end();
  }
}

test('sftp: put, get, ls, rename, chmod, ln, cp, df, rm', { skip }, async () => {
  writeFileSync(path.join(here, 'a'), 'hello');
  const { code, stdout, stderr } = await sftp(
    `put ${here}/a a`,
    'ls -l',
    'rename a b',
    'chmod 600 b',
    'ln -s b c',
    'ln b d',
    `get b ${here}/b`,
    'cp b e',
    'df',
    'mkdir f',
    'rmdir f',
    'rm c',
    'rm d',
    'rm e',
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /a$/m);
  assert.equal(readFileSync(path.join(here, 'b'), 'utf8'), 'hello');
  const digest = createHash('sha256').update('hello').digest('hex');
  const expected = [
    `put ${there}/a → succeeded 5 bytes sha256:${digest} 0 null`,
    `rename ${there}/a ${there}/b → succeeded null 0 null`,
    `setstat ${there}/b mode=0600 → succeeded null 0 null`,
    `symlink b ${there}/c → succeeded null 0 null`,
    `hardlink ${there}/b ${there}/d → succeeded null 0 null`,
    `get ${there}/b → succeeded 5 bytes sha256:${digest} 0 null`,
    `mkdir ${there}/f → succeeded null 0 null`,
    `rmdir ${there}/f → succeeded null 0 null`,
    `remove ${there}/c → succeeded null 0 null`,
    `copy ${there}/b ${there}/e → succeeded null 0 null`,
  ];
  for (const line of expected) assert.ok(summary().includes(line), `${line} in\n${summary().join('\n')}`);
});

test('200 MB: the digest in the record is that of the file', { skip }, async () => {
  const file = path.join(here, 'large');
  writeFileSync(file, randomBytes(200 * 1024 * 1024));
  const digest = sha256(file);
  assert.equal((await sftp(`put ${file} large`)).code, 0);
  assert.match(
    summary()[0]!,
    new RegExp(`^put .*/large → succeeded 209715200 bytes sha256:${digest} 0 null$`),
  );
  assert.equal((await sftp(`get large ${file}.back`)).code, 0);
  assert.match(
    summary()[0]!,
    new RegExp(`^get .*/large → succeeded 209715200 bytes sha256:${digest} 0 null$`),
  );
  assert.equal(sha256(`${file}.back`), digest);
  for (const name of ['back1', 'back2'])
    await ssh2Client(async (sftp) => {
      if (name === 'back1') await promisify(sftp.fastGet.bind(sftp))(`${there}/large`, `${file}.${name}`);
      else await promisify(sftp.fastPut.bind(sftp))(file, `${there}/large2`);
      const [line] = summary();
      assert.match(line!, new RegExp(`succeeded 209715200 bytes sha256:${digest}`), line);
    });
  assert.equal(sha256(`${file}.back1`), digest);
  assert.equal(sha256(`${there}/large2`), digest);
});

test('10,000 small files, there and listed', { skip }, async () => {
  const many = path.join(here, 'many');
  mkdirSync(many);
  for (let i = 0; i < 10_000; i++) writeFileSync(path.join(many, `file ${i}`), `${i}`);
  const { code, stderr } = await sftp(`put -r ${many}`, `ls -1 many`);
  assert.equal(code, 0, stderr);
  assert.equal(readdirSync(path.join(there, 'many')).length, 10_000);
  const texts = summary();
  assert.equal(texts.filter((line) => line.startsWith("put '")).length, 10_000);
  assert.ok(texts.every((line) => !line.startsWith('put ') || line.includes(' → succeeded ')));
  const digest = createHash('sha256').update('17').digest('hex');
  assert.ok(texts.includes(`put '${there}/many/file 17' → succeeded 2 bytes sha256:${digest} 0 null`));
  assert.ok(texts.includes(`list ${there}/many/ → succeeded 10002 names 0 null`), texts.slice(-2).join('\n'));
});

test('a denied path is denied to every program, and nothing of it arrives', { skip }, async () => {
  writeFileSync(path.join(there, 'secret/key'), 'secret');
  writeFileSync(path.join(here, 'x'), 'x');
  for (const line of [
    `get secret/key ${here}/key`,
    `put ${here}/x secret/x`,
    'ls secret',
    'rename secret open',
    'ln -s secret open',
    `ln secret/key open`,
    'rm secret/key',
  ]) {
    const { code, stderr } = await sftp(line);
    assert.equal(code, 1, line);
    assert.match(stderr, /permission denied by policy no-secrets/, line);
  }
  for (const flag of ['-O', '-s'])
    for (const args of [
      [`ana@127.0.0.1:${there}/secret/key`, `${here}/key`],
      [`${here}/x`, `ana@127.0.0.1:${there}/secret/x`],
    ]) {
      const { code, stderr } = await program('scp', [flag, ...args]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /permission denied by policy no-secrets/);
    }
  assert.deepEqual(readdirSync(path.join(there, 'secret')), ['key']);
  assert.ok(!readdirSync(here).includes('key') || readFileSync(path.join(here, 'key'), 'utf8') === '');
});

test('a held path waits for people and then arrives', { skip }, async () => {
  writeFileSync(path.join(there, 'held/f'), 'held');
  whenHeld = (gate) => gate.decide(allow);
  const got = await sftp(`get held/f ${here}/held`);
  assert.equal(got.code, 0, got.stderr);
  assert.match(got.stderr, /^get \S*held\/f is held for review 01R/m);
  assert.equal(readFileSync(path.join(here, 'held'), 'utf8'), 'held');
  assert.equal(bridge.gates.at(-1)!.held.length, 1, 'people are asked once');
  const put = await program('scp', ['-O', `${here}/held`, `ana@127.0.0.1:${there}/held/g`]);
  assert.equal(put.code, 0, put.stderr);
  assert.equal(readFileSync(path.join(there, 'held/g'), 'utf8'), 'held');
  whenHeld = (gate) => gate.decide(deny);
  const refused = await sftp(`get held/f ${here}/held2`);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /permission denied in review 01R/);
});

test('scp, as sftp and as of old, with directories', { skip }, async () => {
  const tree = path.join(here, 'tree');
  mkdirSync(path.join(tree, 'deep/er'), { recursive: true });
  writeFileSync(path.join(tree, 'one'), '1');
  writeFileSync(path.join(tree, 'deep/er/two'), randomBytes(300_000));
  for (const flag of ['-O', '-s']) {
    const name = `tree${flag}`;
    const up = await program('scp', [flag, '-r', '-p', tree, `ana@127.0.0.1:${there}/${name}`]);
    assert.equal(up.code, 0, up.stderr);
    assert.equal(sha256(`${there}/${name}/deep/er/two`), sha256(`${tree}/deep/er/two`));
    assert.ok(
      summary().some((line) => line.includes(`300000 bytes sha256:${sha256(`${tree}/deep/er/two`)}`)),
    );
    const down = await program('scp', [flag, '-r', `ana@127.0.0.1:${name}`, `${here}/back${flag}`]);
    assert.equal(down.code, 0, down.stderr);
    assert.equal(sha256(`${here}/back${flag}/deep/er/two`), sha256(`${tree}/deep/er/two`));
    assert.ok(
      summary().some((line) => line.startsWith(`get ${there}/${name}/deep/er/two → succeeded 300000 bytes`)),
      summary().join('\n'),
    );
  }
});
