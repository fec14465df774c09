/**
 * What editors do over ssh: VS Code's Remote-SSH runs `ssh -T -D PORT … HOST bash`, writes a script to it that starts a server at
 * the target and prints its port, and talks to that through the same connection for hours; JetBrains Gateway multiplexes
 * programs, sftp and forwarded ports over one connection. OpenSSH's own client and server; the server is a small one of ours.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { run, Running } from '../support/relay.ts';
import { startSshStage, type SshPort, type SshStage } from '../support/ssh-stage.ts';

const options = { skip: missing('openssh') };
let stage: SshStage;
let port: SshPort;
let env: NodeJS.ProcessEnv;

const policy = `
permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute", Action::"forward"], resource);
permit (principal in Group::"leads", action == Action::"readEvidence", resource);
`;

/** Echoes what it gets, upper case, to any number of clients, and says once where it listens. */
const server = `
const server = require('node:net').createServer((socket) => {
  socket.on('error', () => undefined);
  socket.on('data', (bytes) => socket.write(bytes.toString('latin1').toUpperCase(), 'latin1'));
  socket.on('end', () => socket.end());
});
server.listen(0, '127.0.0.1', () => console.log('listening on ' + server.address().port));
`;

/** As Remote-SSH's: the server is put behind, in a session of its own, and waited for by its log. */
const script = (directory: string): string => `
set -u
cat > ${directory}/server.js <<'END'
${server}
END
setsid '${process.execPath}' ${directory}/server.js > ${directory}/server.log 2>&1 < /dev/null &
server=$!
trap 'kill $server' EXIT
for i in $(seq 100); do
  listening=$(sed -n 's/^listening on //p' ${directory}/server.log)
  [ -n "$listening" ] && break
  sleep 0.1
done
echo "start"
echo "listeningOn==$listening=="
echo "osArch==$(uname -m)=="
echo "end"
`;

before(async () => {
  if (options.skip !== false) return;
  stage = await startSshStage({ policy });
  port = await stage.connect();
  env = { PATH: process.env['PATH'], HOME: stage.directory };
});
after(async () => {
  if (options.skip === false) await stage.close();
});

const at = (...args: readonly string[]): string[] => [...port.options, '-p', String(port.port), ...args];

/** Through SOCKS 5 at `socks` (RFC 1928) to the target's own `to`. */
async function through(socks: number, to: number): Promise<Socket> {
  const socket = connect(socks, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(Buffer.from([5, 1, 0]));
  await once(socket, 'data');
  socket.write(Buffer.from([5, 1, 0, 3, 9, ...Buffer.from('127.0.0.1'), to >> 8, to & 255]));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.equal(answer[1], 0, 'the connection was refused');
  return socket;
}

/** Says it and ends; resolves with everything that came back. */
async function answered(socket: Socket, text: Buffer): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => void pieces.push(piece));
  socket.end(text);
  await once(socket, 'end');
  return Buffer.concat(pieces);
}

const upper = (bytes: Buffer): Buffer => Buffer.from(bytes.toString('latin1').toUpperCase(), 'latin1');
const text = (bytes: number): Buffer => Buffer.from(randomBytes(bytes).toString('hex'));

const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

test(
  'VS Code: bash with a script on stdin starts a server, and -D leads to it while the session stays',
  options,
  async () => {
    const socks = await freePort();
    const first = ['-T', '-D', `${socks}`, '-o', 'ConnectTimeout=15', '127.0.0.1', 'bash'];
    const session = new Running('ssh', at(...first), env, 'pipe');
    session.child.stdin!.write(script(stage.sshd.directory));
    const [, listening] = await session.says(/listeningOn==(\d+)==[^]*end\n/);
    // The connection that carries the editor's protocol all the time, with others that come and go beside it.
    const lasting = await through(socks, Number(listening));
    lasting.write('before');
    assert.equal(String((await once(lasting, 'data'))[0]), 'BEFORE');
    const others = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const said = text(1000 * 2 ** i);
        return (await answered(await through(socks, Number(listening)), said)).equals(upper(said));
      }),
    );
    assert.deepEqual(
      others,
      Array.from({ length: 8 }, () => true),
    );
    lasting.write('after');
    assert.equal(String((await once(lasting, 'data'))[0]), 'AFTER');
    // The shell that was there first still reads what it is sent.
    session.child.stdin!.write('echo still $((40 + 2))\n');
    await session.says(/still 42\n/);
    lasting.destroy();
    session.child.stdin!.end('exit 7\n');
    assert.equal(await session.ended, 7);
  },
);

test('JetBrains: programs, sftp and a forwarded port over one connection', options, async () => {
  const control = path.join(stage.directory, 'gateway');
  const master = new Running('ssh', at('-M', '-S', control, '-T', '127.0.0.1', 'bash'), env, 'pipe');
  master.child.stdin!.write(script(stage.sshd.directory));
  const [, listening] = await master.says(/listeningOn==(\d+)==[^]*end\n/);
  const [uploaded, there] = [path.join(stage.directory, 'ide'), path.join(stage.sshd.directory, 'ide')];
  writeFileSync(uploaded, randomBytes(3_000_000));
  const local = await freePort();
  const forward = await run(
    'ssh',
    ['-S', control, '-O', 'forward', '-L', `${local}:127.0.0.1:${listening}`, 'x'],
    { env },
  );
  assert.equal(forward.code, 0, forward.output);
  const [sftp, kernel, said] = await Promise.all([
    run('sftp', ['-o', `ControlPath=${control}`, '-b', '-', 'x'], {
      env,
      input: `put ${uploaded} ${there}\n`,
    }),
    run('ssh', ['-S', control, 'x', 'uname -s'], { env }),
    eventually('the port answers', async () => {
      const bytes = text(100_000);
      const socket = connect(local, '127.0.0.1');
      await once(socket, 'connect');
      return (await answered(socket, bytes)).equals(upper(bytes));
    }),
  ]);
  assert.deepEqual([sftp.code, kernel.stdout, said], [0, 'Linux\n', true], sftp.output);
  assert.equal(sha256(there), sha256(uploaded));
  master.child.stdin!.end();
  assert.equal(await master.ended, 0);
});

test('what they did is in the record, and it verifies', options, async () => {
  await port.running.stop('SIGINT');
  await stage.lea.login(stage.installation.url);
  const { stdout } = await stage.lea.hoop('audit', 'export', '--format', 'jsonl', '--session', port.session);
  const commands = stdout
    .split('\n')
    .filter((line) => line.includes('"kind":"command"'))
    .map((line) => JSON.parse(line) as { text: string; outcome: string });
  const ended = commands.map((command) => `${command.text} ${command.outcome}`);
  assert.ok(ended.includes('bash failed') && ended.includes('bash succeeded'), ended.join('\n'));
  const forwards = ended.filter((line) => /^forward local 127\.0\.0\.1:\d+ succeeded$/.test(line));
  assert.ok(forwards.length >= 10, ended.join('\n'));
  assert.ok(
    ended.some((line) => line.startsWith('put ') && line.endsWith('succeeded')),
    ended.join('\n'),
  );
  assert.equal((await stage.verify()).code, 0);
});
