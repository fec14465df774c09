/**
 * `hoop connect` in its three ways, through the built binary against a real relay and a real PostgreSQL: what the
 * person sees, where the port is, and that nothing is left behind.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { hoop, run, startStage } from '../support/relay.ts';
import type { Stage } from '../support/relay.ts';

let stage: Stage;
before(async () => {
  stage = await startStage();
  await stage.lea.login(stage.installation.url);
});
after(() => stage.close());

const ulid = '[0-7][0-9A-HJKMNP-TV-Z]{25}';
const runtimeOfAna = () => path.join(String(stage.ana.env['XDG_RUNTIME_DIR']), 'hoop');

/** Live sessions as Lea sees them, who may end them. */
async function live(): Promise<string[]> {
  const { stdout } = await stage.lea.hoop('sessions', 'list', '--json');
  const { sessions } = JSON.parse(stdout) as { sessions: { session: string }[] };
  return sessions.map(({ session }) => session);
}

/** The relay ends a session in its own time after it was told; this asks until it has. */
async function gone(session: string): Promise<void> {
  while ((await live()).includes(session));
}

const select = (env: NodeJS.ProcessEnv, sql: string) => run('psql', ['-XAtc', sql], { env });
const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

test('foreground: the two lines, a port for any client, and Ctrl-C ends session and port', async () => {
  const { port, session, running, env } = await stage.connect(['--reason', 'ticket 4711', '--task', 'audit']);
  const [first, second] = running.stdout.split('\n');
  const until = String.raw`until (\d{4}-\d\d-\d\d )?\d\d:\d\d`;
  const relay = stage.installation.url;
  assert.match(
    first!,
    new RegExp(`^  db · PostgreSQL \\d+\\.\\d+ · session ${ulid} · ${until} · recorded by ${relay}$`),
  );
  assert.equal(
    second,
    `  psql "host=127.0.0.1 port=${port} user=ana dbname=app"        postgres://ana@127.0.0.1:${port}/app`,
  );
  assert.equal((await select(env, 'select 41 + 1')).stdout, '42\n');
  const { stdout } = await stage.ana.hoop('sessions', 'list', '--json');
  const [shown] = JSON.parse(stdout).sessions;
  assert.deepEqual([shown.session, shown.reason, shown.task], [session, 'ticket 4711', 'audit']);
  assert.equal(await running.stop('SIGINT'), 0);
  assert.equal(running.stderr, '');
  await gone(session);
  assert.equal(await isFree(port), true);
});

for (const signal of ['SIGTERM', 'SIGHUP'] as const)
  test(`${signal} ends it as cleanly`, async () => {
    const { session, running } = await stage.connect();
    assert.equal(await running.stop(signal), 0);
    await gone(session);
  });

test('--json: one document on stdout, with all that a program needs to connect', async () => {
  const running = stage.ana.start('connect', 'db', '--json');
  await running.says(/\}\n/);
  const view = JSON.parse(running.stdout);
  assert.equal(view.target, 'db');
  assert.equal(view.url, `postgres://ana@127.0.0.1:${view.port}/app`);
  await running.stop('SIGINT');
  assert.equal(running.stdout.trimEnd().split('\n').length, 1);
});

test('the port is the same next time, another while it is busy, and exact when asked for', async () => {
  const first = await stage.connect();
  const second = await stage.connect();
  assert.notEqual(second.port, first.port);
  const taken = await stage.ana.hoop('connect', 'db', '--port', String(first.port));
  assert.equal(taken.code, 2);
  assert.match(taken.stderr, /port-taken/);
  await first.running.stop('SIGINT');
  await second.running.stop('SIGINT');
  const third = await stage.connect();
  assert.equal(third.port, first.port);
  await third.running.stop('SIGINT');
});

test('around a client: its output, its exit code, its environment; the session ends with it', async () => {
  const answer = await stage.ana.hoop('connect', 'db', '--', 'psql', '-XAtc', 'select current_database()');
  assert.deepEqual([answer.code, answer.stdout, answer.stderr], [0, 'app\n', '']);
  const failed = await stage.ana.hoop('connect', 'db', '--', 'psql', '-XAtc', 'select broken');
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /column "broken" does not exist/);
  const script = 'echo "$PGHOST $PGUSER $PGDATABASE $PGSSLMODE $HOOP_SESSION $PGPASSWORD"; exit 7';
  const shell = await stage.ana.hoop('connect', 'db', '--', 'sh', '-c', script);
  assert.equal(shell.code, 7);
  const [, session] = new RegExp(`^127\\.0\\.0\\.1 ana app disable (${ulid}) \\n$`).exec(shell.stdout) ?? [];
  assert.ok(session !== undefined, shell.stdout);
  await gone(session);
  const killed = await stage.ana.hoop('connect', 'db', '--', 'sh', '-c', 'kill -TERM $$');
  assert.equal(killed.code, 143);
  const missing = await stage.ana.hoop('connect', 'db', '--', 'no-such-client');
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /client-not-found/);
  assert.deepEqual(await live(), []);
});

test('a signal to hoop reaches the client from its first instant, and its answer counts', async () => {
  // The client itself sends the signal as soon as it runs: hoop must have been listening before.
  const script = 'trap "exit 9" TERM; kill -TERM $PPID; while :; do sleep 0.05; done';
  const answer = await stage.ana.hoop('connect', 'db', '--', 'sh', '-c', script);
  assert.equal(answer.code, 9, answer.stderr);
});

test('in the background: served until it is disconnected, then nothing is left', async () => {
  const opened = await stage.ana.hoop('connect', 'db', '--detach', '--json');
  assert.equal(opened.code, 0, opened.stderr);
  const view = JSON.parse(opened.stdout);
  const socket = path.join(runtimeOfAna(), 'agent.sock');
  assert.equal(statSync(socket).mode & 0o777, 0o600);
  assert.equal(statSync(runtimeOfAna()).mode & 0o777, 0o700);
  const env = {
    ...stage.ana.env,
    PGHOST: '127.0.0.1',
    PGPORT: String(view.port),
    PGUSER: 'x',
    PGDATABASE: 'app',
  };
  assert.equal((await select(env, 'select 1')).stdout, '1\n');
  const status = await stage.ana.hoop('status');
  assert.match(
    status.stdout,
    new RegExp(`^target\tport\tsession.*\ndb\t${view.port}\t${view.session}\t.*\topen\t`),
  );
  const again = await stage.ana.hoop('connect', 'db', '--detach');
  assert.equal(again.code, 2);
  assert.match(again.stderr, /target-already-connected/);
  const refused = await stage.ana.hoop('connect', 'nowhere', '--detach', '--json');
  assert.deepEqual([refused.code, JSON.parse(refused.stdout).error.code], [2, 'target-unknown']);
  const ended = await stage.ana.hoop('disconnect', 'db', '--json');
  assert.deepEqual(
    JSON.parse(ended.stdout).disconnected.map((one: { target: string }) => one.target),
    ['db'],
  );
  await gone(view.session);
  assert.equal(await isFree(view.port), true);
  const nothing = await stage.ana.hoop('disconnect', 'db');
  assert.deepEqual([nothing.code, /target-not-connected/.test(nothing.stderr)], [2, true]);
});

test('an agent told to stop ends its sessions first; a second agent steps back', async () => {
  const agent = stage.ana.start('agent');
  await agent.says(/ready/);
  assert.equal((await stage.ana.hoop('agent')).stderr.includes('another agent is running'), true);
  const { stdout } = await stage.ana.hoop('connect', 'db', '--detach', '--json');
  const { session } = JSON.parse(stdout);
  assert.ok((await live()).includes(session));
  assert.equal(await agent.stop('SIGTERM'), 0);
  await gone(session);
  assert.equal(existsSync(path.join(runtimeOfAna(), 'agent.sock')), false);
  assert.equal((await stage.ana.hoop('status')).stderr, 'nothing is connected in the background\n');
});

test('a killed agent leaves a stale socket: the next one takes its place', async () => {
  const agent = stage.ana.start('agent');
  await agent.says(/ready/);
  await agent.stop('SIGKILL');
  assert.equal(existsSync(path.join(runtimeOfAna(), 'agent.sock')), true);
  const opened = await stage.ana.hoop('connect', 'db', '--detach', '--json');
  assert.equal(opened.code, 0, opened.stderr);
  assert.equal((await stage.ana.hoop('disconnect', '--all')).code, 0);
});

test('killed by somebody with the right to: told in one line, exit 3', async () => {
  const { session, running } = await stage.connect();
  const killed = await stage.lea.hoop('sessions', 'kill', session, '--reason', 'test');
  assert.equal(killed.code, 0, killed.stderr);
  assert.equal(await running.ended, 3);
  assert.equal(running.stderr, '  session ended: somebody with the right to do so stopped it\n');
  const denied = await stage.ana.hoop('sessions', 'kill', session);
  assert.notEqual(denied.code, 0);
});

test('the deadline ends it, exit 0', async () => {
  const { running } = await stage.connect(['--duration', '2s']);
  assert.equal(await running.ended, 0);
  assert.equal(running.stderr, '  session ended: its time is over\n');
});

test('the relay is killed and starts again: the port stays, clients meanwhile get an ordinary error, a new session follows', async () => {
  const { port, session, running, env } = await stage.connect();
  assert.equal((await select(env, 'select 1')).code, 0);
  await stage.installation.stop('SIGKILL');
  await running.says(/reconnecting/);
  const meanwhile = await select(env, 'select 1');
  assert.equal(meanwhile.code, 2);
  assert.match(meanwhile.stderr, new RegExp(`127\\.0\\.0\\.1.*port ${port} failed`));
  await stage.installation.start();
  const [, next] = await running.says(/connected again, session (\w+)/);
  assert.notEqual(next, session);
  assert.equal((await select(env, 'select 2')).stdout, '2\n');
  assert.equal(await running.stop('SIGINT'), 0);
});

test('a Unix socket in place of a port', async () => {
  const running = stage.ana.start('connect', 'db', '--socket', '--json');
  await running.says(/\}\n/);
  const view = JSON.parse(running.stdout);
  assert.equal(view.host, runtimeOfAna());
  const env = {
    ...stage.ana.env,
    PGHOST: view.host,
    PGPORT: String(view.port),
    PGUSER: 'x',
    PGDATABASE: 'app',
  };
  assert.equal((await select(env, 'select 3')).stdout, '3\n');
  await running.stop('SIGINT');
  assert.deepEqual(
    readdirSync(view.host).filter((file) => file.startsWith('.s.')),
    [],
  );
});

test('who may not: denied, exit 3, no session', async () => {
  const refused = await stage.lea.hoop('connect', 'db');
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /connect-denied/);
  const elsewhere = await stage.mallory.hoop('connect', 'db', '--relay', stage.installation.url, '--json');
  assert.deepEqual([elsewhere.code, JSON.parse(elsewhere.stdout).error.code], [4, 'not-signed-in']);
});

test('a runtime directory that others can enter is refused', async () => {
  const { XDG_RUNTIME_DIR: _, ...env } = stage.mallory.env;
  const runtime = path.join(stage.directory, 'open-runtime');
  mkdirSync(path.join(runtime, 'hoop'), { recursive: true, mode: 0o755 });
  const answer = await hoop(['status'], { env: { ...env, XDG_RUNTIME_DIR: runtime } });
  assert.equal(answer.code, 1);
  assert.match(answer.stderr, /private-path-unsafe/);
});
