/** How a session ends, and that it does: while a statement runs in it that would take ten minutes. */
import { after, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { hoop, Running, startStage, type Connected } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage();
after(() => stage?.close());
beforeEach(() =>
  stage?.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'"),
);

/** psql with a statement in progress. */
async function busy({ env }: Connected): Promise<Running> {
  const psql = new Running(
    path.join(stage!.postgres.binDir, 'psql'),
    ['-X', '-c', 'SELECT pg_sleep(600)'],
    env,
  );
  await eventually('the statement runs', () =>
    stage!.postgres.sql(
      "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active' AND usename = 'app'",
    ),
  );
  return psql;
}

interface Recorded {
  readonly session: string;
  readonly outcome: string;
}

/** How a session ended, once the record says that it did. */
async function outcomeOf(session: string): Promise<string> {
  const { lea } = stage!;
  return eventually(`session ${session} is closed in the record`, async () => {
    const { stdout, code } = await lea.hoop('audit', 'sessions', '--json');
    if (code !== 0) return null;
    const { sessions }: { sessions: Recorded[] } = JSON.parse(stdout);
    const outcome = sessions.find((row) => row.session === session)?.outcome;
    return outcome !== 'open' && outcome;
  });
}

test('the record can be read by those who may, and by nobody else', { skip }, async () => {
  const { lea, ana, mallory, installation } = stage!;
  await lea.login(installation.url);
  await mallory.login(installation.url);
  assert.equal((await lea.hoop('audit', 'sessions')).code, 0);
  assert.equal((await ana.hoop('audit', 'sessions', '--person', 'lea@example.com')).code, 3);
  assert.equal((await mallory.hoop('audit', 'sessions')).code, 3);
});

test('no group, no access: an account alone opens nothing', { skip }, async () => {
  const { mallory, ana } = stage!;
  const refused = await mallory.hoop('connect', 'db', '--', 'true');
  assert.equal(refused.code, 3, refused.stderr);
  const targets = await mallory.hoop('targets', '--json');
  assert.doesNotMatch(targets.stdout, /"allowed":true/);
  assert.equal((await ana.hoop('connect', 'no-such-target', '--', 'true')).code, 2);
});

test(
  'connect NAME -- client: its output and exit code, and the session is over with it',
  { skip },
  async () => {
    const { ana, postgres } = stage!;
    const psql = path.join(postgres.binDir, 'psql');
    const ok = await ana.hoop('connect', 'db', '--', psql, '-XAtc', 'SELECT 6 * 7');
    assert.deepEqual([ok.code, ok.stdout], [0, '42\n'], ok.stderr);
    const failed = await ana.hoop(
      'connect',
      'db',
      '--',
      psql,
      '-X',
      '-v',
      'ON_ERROR_STOP=1',
      '-c',
      'SELECT 1/0',
    );
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /division by zero/);
  },
);

test('a session ends at its deadline, in the middle of a statement', { skip }, async () => {
  const connected = await stage!.connect(['--duration', '3s']);
  const psql = await busy(connected);
  assert.notEqual(await psql.ended, 0);
  assert.notEqual(await connected.running.ended, null);
  assert.equal(await outcomeOf(connected.session), 'deadline');
});

test('hoop sessions kill ends it before a second has passed at the server', { skip }, async () => {
  const { lea, postgres, connect } = stage!;
  const connected = await connect();
  const psql = await busy(connected);
  const order: string[] = [];
  const killed = await lea.hoop('sessions', 'kill', connected.session, '--reason', 'test');
  assert.equal(killed.code, 0, killed.stderr);
  const second = postgres.sql('SELECT pg_sleep(1)').then(() => order.push('a second later'));
  await psql.ended.then(() => order.push('psql ended'));
  await second;
  assert.deepEqual(order, ['psql ended', 'a second later']);
  await connected.running.ended;
  assert.equal(await outcomeOf(connected.session), 'killed');
  const left = await eventually(
    'the statement is gone at the server',
    async () =>
      (await postgres.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND usename = 'app'",
      )) === '0',
  );
  assert.ok(left);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  test(`${signal} ends the local agent, its port and the session`, { skip }, async () => {
    const connected = await stage!.connect();
    const psql = await busy(connected);
    await connected.running.stop(signal);
    assert.notEqual(await psql.ended, 0);
    assert.equal(await outcomeOf(connected.session), 'ended');
  });

for (const streams of [['stdout'], ['stderr', 'stdout']] as const)
  test(`nobody reads ${streams.join(' and ')} any more: the session ends in order`, { skip }, async () => {
    const { ana, lea } = stage!;
    const ids = async () => {
      const { stdout } = await lea.hoop('audit', 'sessions', '--json');
      return (JSON.parse(stdout) as { sessions: Recorded[] }).sessions.map(({ session }) => session);
    };
    const before = new Set(await ids());
    const running = ana.start('connect', 'db');
    for (const stream of streams) running.child[stream]?.destroy();
    assert.equal(await running.ended, 0);
    const opened = (await ids()).filter((session) => !before.has(session));
    assert.equal(opened.length, 1);
    assert.equal(await outcomeOf(opened[0]!), 'ended');
  });

test('--detach serves the port from the background; status and disconnect', { skip }, async () => {
  const { ana } = stage!;
  const detached = await ana.hoop('connect', 'db', '--detach', '--json');
  assert.equal(detached.code, 0, detached.stderr);
  const port = /"port":(\d+)/.exec(detached.stdout)?.[1];
  assert.ok(port);
  const status = await ana.hoop('status', '--json');
  assert.match(status.stdout, new RegExp(`"port":${port}`));
  const env = { ...ana.env, PGHOST: '127.0.0.1', PGPORT: port, PGUSER: 'ana', PGDATABASE: 'app' };
  const psql = new Running(path.join(stage!.postgres.binDir, 'psql'), ['-XAtc', 'SELECT 1'], env);
  assert.equal(await psql.ended, 0, psql.stderr);
  assert.equal((await ana.hoop('disconnect', 'db')).code, 0);
  await eventually(
    'nothing is served any more',
    async () => !(await ana.hoop('status', '--json')).stdout.includes(`"port":${port}`),
  );
});

// Last: Ana's account is gone after it.
test('a removed person loses live sessions', { skip }, async () => {
  const { installation, connect } = stage!;
  const connected = await connect();
  const psql = await busy(connected);
  const args = ['admin', 'users', 'remove', 'ana@example.com', '--config', installation.configFile];
  const removed = await hoop(args, { env: installation.env });
  assert.equal(removed.code, 0, removed.stderr);
  assert.notEqual(await psql.ended, 0);
  await connected.running.ended;
  assert.equal(await outcomeOf(connected.session), 'access-ended');
  assert.notEqual((await stage!.ana.hoop('connect', 'db', '--', 'true')).code, 0);
});
