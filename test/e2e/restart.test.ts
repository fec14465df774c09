/** The relay goes away, in order and by force, while people work. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { run, Running, startStage } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage({ config: { sessions: { drain: '1s' } } });
after(() => stage?.close());

test(
  'after a restart of the relay the same port works again; meanwhile clients get a connection error',
  { skip },
  async () => {
    const { installation, postgres, connect } = stage!;
    const connected = await connect();
    const psql = () => run(path.join(postgres.binDir, 'psql'), ['-XAtc', 'SELECT 1'], { env: connected.env });
    assert.equal((await psql()).code, 0);
    await installation.stop();
    const meanwhile = await psql();
    assert.equal(meanwhile.code, 2);
    assert.notEqual(meanwhile.stderr, '');
    await installation.start();
    await eventually('the port works again', async () => (await psql()).code === 0);
    await connected.running.stop('SIGINT');
    const verified = await stage!.verify();
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  },
);

test(
  'kill -9 of the relay under load: after the restart the record verifies and says interrupted',
  { skip },
  async () => {
    const { installation, postgres, connect, lea } = stage!;
    const connected = await connect();
    const pgbench = path.join(postgres.binDir, 'pgbench');
    assert.equal((await run(pgbench, ['-i', '-q'], { env: connected.env })).code, 0);
    const load = new Running(pgbench, ['-n', '-c', '8', '-T', '600', '-P', '1'], connected.env);
    await load.says(/progress: 2/);
    await installation.stop('SIGKILL');
    assert.notEqual(await load.ended, 0);
    await installation.start();
    const verified = await stage!.verify();
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    await lea.login(installation.url);
    const sessions = await lea.hoop('audit', 'sessions', '--json');
    assert.match(sessions.stdout, /interrupted/);

    // What the server did is in the record: every history row comes from a recorded INSERT.
    const done = Number(await postgres.sql('SELECT count(*) FROM pgbench_history'));
    const events = await lea.hoop('audit', 'export', '--format', 'jsonl');
    const inserts = events.stdout
      .split('\n')
      .filter((line) => line.includes('INSERT INTO pgbench_history')).length;
    assert.ok(done > 0 && inserts >= done, `${inserts} recorded, ${done} done`);
    await connected.running.stop('SIGINT');
  },
);
