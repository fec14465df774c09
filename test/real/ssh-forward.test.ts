/** Forwarded ports, sockets and agents, where a policy permits them: OpenSSH's own client and server. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import path from 'node:path';
import { freePort } from '../../src/cli/demo/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { run, Running, type Finished } from '../support/relay.ts';
import { startSshStage, type SshPort, type SshStage } from '../support/ssh-stage.ts';

const options = { skip: missing('openssh') };
let stage: SshStage;
let port: SshPort;
let env: NodeJS.ProcessEnv;
let echo: Server;
let echoPort: number;

const policy = (destinations: string): string => `
permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
permit (principal in Group::"engineering", action == Action::"forward", resource)
when { context.destinations.containsAny([${destinations}]) };
permit (principal in Group::"leads", action == Action::"readEvidence", resource);
`;

before(async () => {
  if (options.skip !== false) return;
  echo = createServer((socket) => socket.pipe(socket).on('error', () => undefined));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  echoPort = (echo.address() as AddressInfo).port;
  stage = await startSshStage({ policy: policy(`"127.0.0.1:${echoPort}", "agent", "localhost:0"`) });
  port = await stage.connect();
  env = { PATH: process.env['PATH'], HOME: stage.directory };
});
after(async () => {
  if (options.skip !== false) return;
  await stage.close();
  echo.close();
});

const ssh = (args: readonly string[], input = '', more: NodeJS.ProcessEnv = {}): Promise<Finished> =>
  run('ssh', [...port.options, '-p', String(port.port), ...args], { env: { ...env, ...more }, input });

/** What comes back; empty when the connection is refused. */
function said(to: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(to, '127.0.0.1');
    socket.write(text);
    socket.once('data', (answer) => {
      resolve(String(answer));
      socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(''));
  });
}

test('-W and -L reach what the policy names, and nothing else', options, async () => {
  const through = await ssh(['-W', `127.0.0.1:${echoPort}`, '127.0.0.1'], 'over and back\n');
  assert.equal(through.stdout, 'over and back\n');
  const [allowed, other] = [await freePort(), await freePort()];
  const ways = ['-L', `${allowed}:127.0.0.1:${echoPort}`, '-L', `${other}:127.0.0.1:${stage.sshd.port}`];
  const running = new Running(
    'ssh',
    [...port.options, '-p', String(port.port), '-N', ...ways, '127.0.0.1'],
    env,
  );
  await eventually('the port forwards', async () => (await said(allowed, 'ping')) === 'ping');
  assert.equal(await said(other, 'x'), '');
  await running.stop('SIGTERM');
});

test('-D is decided for each destination', options, async () => {
  const socks = await freePort();
  const running = new Running(
    'ssh',
    [...port.options, '-p', String(port.port), '-N', '-D', `${socks}`, '127.0.0.1'],
    env,
  );
  const ask = async (to: number): Promise<string> => {
    const socket = connect(socks, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(Buffer.from([5, 1, 0]));
    await once(socket, 'data');
    socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, to >> 8, to & 255]));
    const [answer] = (await Promise.race([
      once(socket, 'data'),
      once(socket, 'close').then(() => [[1, 1]]),
    ])) as [Buffer];
    if (answer[1] !== 0) return 'refused';
    socket.write('through');
    const [text] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return String(text);
  };
  await eventually('it listens', () =>
    ask(echoPort).then(
      () => true,
      () => false,
    ),
  );
  assert.equal(await ask(echoPort), 'through');
  assert.equal(await ask(stage.sshd.port), 'refused');
  await running.stop('SIGTERM');
});

test('-R: the target listens, and its connections come back', options, async () => {
  const running = new Running(
    'ssh',
    [
      '-o',
      'LogLevel=INFO',
      ...port.options,
      '-p',
      String(port.port),
      '-N',
      '-R',
      `0:127.0.0.1:${echoPort}`,
      '127.0.0.1',
    ],
    env,
  );
  const [, listening] = await running.says(/Allocated port (\d+)/);
  assert.equal(await said(Number(listening), 'from the other side'), 'from the other side');
  await running.stop('SIGTERM');
});

test('an agent is reached from the target', options, async () => {
  const socket = path.join(stage.directory, 'agent.sock');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  after(() => agent.kill());
  const own = { SSH_AUTH_SOCK: socket };
  await eventually('the agent has the key', async () => {
    const added = await run('ssh-add', [stage.sshd.keyFile], { env: { ...env, ...own } });
    return added.code === 0;
  });
  const listed = execFileSync('ssh-add', ['-l'], { env: { ...env, ...own }, encoding: 'utf8' });
  const seen = await ssh(['-A', '127.0.0.1', 'ssh-add -l'], '', own);
  assert.equal(seen.stdout, listed, seen.stderr);
});

test('every forwarded connection is a command of the record', options, async () => {
  await port.running.stop('SIGINT');
  await stage.lea.login(stage.installation.url);
  const { stdout } = await stage.lea.hoop('audit', 'export', '--format', 'jsonl', '--session', port.session);
  const texts = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { kind: string; text: string | null; outcome: string | null })
    .filter(({ kind }) => kind === 'command');
  const ended = texts.map(({ text, outcome }) => `${text} ${outcome}`);
  assert.ok(ended.includes(`forward local 127.0.0.1:${echoPort} succeeded`), ended.join('\n'));
  assert.ok(ended.includes(`forward local 127.0.0.1:${stage.sshd.port} blocked`));
  assert.ok(ended.includes('forward agent succeeded'));
  assert.equal((await stage.verify()).code, 0);
});
