/** A result of a gigabyte, a value of 300 MB and a statement of 60 MB through the relay: its memory stays flat. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import pg from 'pg';
import { passwordOf, postgresMissing, startPostgres } from '../../support/postgres.ts';
import { listenRelay, targetOptions } from './support.ts';

test('flat memory', { skip: postgresMissing }, async (t) => {
  const server = await startPostgres();
  t.after(() => server.stop());
  const relay = await listenRelay(targetOptions({ password: () => passwordOf('app') }), server.port, {
    keep: false,
  });
  t.after(() => relay.stop());
  const env = { ...server.env(), PGPORT: String(relay.port) };
  const before = process.memoryUsage.rss();
  let peak = before;
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20);
  t.after(() => clearInterval(watch));
  const texts = [
    "copy (select repeat('abcdefghij', 20) from generate_series(1, 5000000)) to stdout",
    "select repeat('x', 300000000)",
  ];
  for (const text of texts) {
    const stdio: ['ignore', 'ignore', 'inherit'] = ['ignore', 'ignore', 'inherit'];
    const child = spawn(`${server.binDir}/psql`, ['-X', '-At', '-c', text], { env, stdio });
    assert.deepEqual(await once(child, 'close'), [0, null]);
  }
  clearInterval(watch);
  assert.ok(peak - before < 120_000_000, `${Math.round((peak - before) / 1e6)} MB more`);
  const client = new pg.Client({ host: '127.0.0.1', port: relay.port, user: 'ana', database: 'app' });
  await client.connect();
  const { rows } = await client.query(`select length('${'x'.repeat(60_000_000)}') as n`);
  assert.deepEqual(rows, [{ n: 60_000_000 }]);
  await client.end();
});
