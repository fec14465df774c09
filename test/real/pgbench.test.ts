import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { missing } from '../support/programs.ts';
import { run, startStage } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage();
after(() => stage?.close());

test(
  'pgbench in each query mode with 16 clients: every transaction succeeds and the books balance',
  { skip },
  async () => {
    const { postgres, connect } = stage!;
    const connected = await connect();
    const pgbench = path.join(postgres.binDir, 'pgbench');
    const filled = await run(pgbench, ['-i', '-q'], { env: connected.env });
    assert.equal(filled.code, 0, filled.stderr);
    for (const mode of ['simple', 'extended', 'prepared']) {
      const args = ['-n', '-M', mode, '-c', '16', '-j', '2', '-t', '40'];
      const result = await run(pgbench, args, { env: connected.env });
      assert.equal(result.code, 0, result.stderr);
      assert.match(result.stdout, /number of transactions actually processed: 640\/640/);
      assert.match(result.stdout, /number of failed transactions: 0/);
    }
    const sums =
      await postgres.sql(`SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history),
    (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history),
    (SELECT count(*) FROM pgbench_history)`);
    assert.equal(sums, 't|t|1920');
    await connected.running.stop('SIGINT');
  },
);
