import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import pg from 'pg';
import postgresjs from 'postgres';
import { missing } from '../support/programs.ts';
import { startStage } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage();
const connected = await stage?.connect();
after(() => stage?.close());

const options = () => ({ host: '127.0.0.1', port: connected!.port, user: 'ana', database: 'app' });

test('pg: parameters, named statements, errors, transactions', { skip }, async () => {
  const client = new pg.Client(options());
  await client.connect();
  const { rows } = await client.query(
    'SELECT $1::int + 1 AS n, $2::text AS t, $3::bytea AS b, $4::jsonb AS j',
    [41, 'é', Buffer.from([0, 255]), { a: [1] }],
  );
  assert.deepEqual(rows, [{ n: 42, t: 'é', b: Buffer.from([0, 255]), j: { a: [1] } }]);
  for (let i = 0; i < 5; i++) {
    const named = await client.query({ name: 'square', text: 'SELECT $1::int * $1::int AS s', values: [i] });
    assert.equal(named.rows[0].s, i * i);
  }
  await assert.rejects(client.query('SELECT 1/0'), { code: '22012' });
  await client.query('BEGIN');
  await assert.rejects(client.query('SELECT $1::int', ['x']), { code: '22P02' });
  await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
  await client.query('ROLLBACK');
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
  await client.end();
});

test('pg: 300 queries in flight on one connection come back in order', { skip }, async () => {
  const client = new pg.Client(options());
  await client.connect();
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, i) => client.query('SELECT $1::int AS i, repeat($2, $1) AS t', [i, 'x'])),
  );
  for (const [i, { rows }] of answers.entries()) assert.deepEqual(rows, [{ i, t: 'x'.repeat(i) }]);
  await client.end();
});

test('pg: LISTEN and NOTIFY between two connections', { skip }, async () => {
  const [listener, notifier] = [new pg.Client(options()), new pg.Client(options())];
  await listener.connect();
  await notifier.connect();
  const heard = new Promise((resolve) =>
    listener.once('notification', (message) => resolve(message.payload)),
  );
  await listener.query('LISTEN news');
  await notifier.query("NOTIFY news, 'payload é'");
  assert.equal(await heard, 'payload é');
  await listener.end();
  await notifier.end();
});

test('pg: 200 connections through one port at once', { skip }, async () => {
  const clients = Array.from({ length: 200 }, () => new pg.Client(options()));
  await Promise.all(clients.map((client) => client.connect()));
  const counted = await clients[0]!.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'app' AND backend_type = 'client backend'",
  );
  assert.ok(counted.rows[0].n >= 200);
  const answers = await Promise.all(clients.map((client, i) => client.query('SELECT $1::int AS i', [i])));
  assert.deepEqual(
    answers.map(({ rows }) => rows[0].i),
    clients.map((_, i) => i),
  );
  await Promise.all(clients.map((client) => client.end()));
});

test(
  'postgres: prepared statements, cursors, pipelined transactions, streams of COPY',
  { skip },
  async () => {
    const sql = postgresjs({ ...options(), max: 4, onnotice: () => {} });
    assert.deepEqual([...(await sql`SELECT ${41}::int + 1 AS n, ${'é'} AS t`)], [{ n: 42, t: 'é' }]);

    const seen: number[] = [];
    for await (const rows of sql`SELECT g FROM generate_series(1, 1000) g`.cursor(64))
      for (const row of rows) seen.push(row['g']);
    assert.deepEqual(
      seen,
      Array.from({ length: 1000 }, (_, i) => i + 1),
    );

    await sql`CREATE TABLE IF NOT EXISTS streamed (id int, v text)`;
    const writable = await sql`COPY streamed FROM STDIN`.writable();
    await new Promise<void>((resolve, reject) => {
      writable.on('error', reject).on('finish', resolve);
      for (let i = 0; i < 5000; i++) writable.write(`${i}\tvalue ${i}\n`);
      writable.end();
    });
    const readable = await sql`COPY (SELECT * FROM streamed ORDER BY id) TO STDOUT`.readable();
    let text = '';
    for await (const chunk of readable) text += String(chunk);
    assert.equal(text.split('\n').length, 5001);

    const result = await sql.begin(async (transaction) => {
      await transaction`INSERT INTO streamed VALUES (-1, 'in')`;
      return transaction`SELECT count(*)::int AS n FROM streamed WHERE id < 0`;
    });
    assert.equal(result[0]!['n'], 1);
    await assert.rejects(sql`SELECT * FROM nowhere`, { code: '42P01' });

    const slow = sql`SELECT pg_sleep(600)`.execute();
    const cancelled = assert.rejects(slow, { code: '57014' });
    for (;;) {
      const [row] =
        await sql`SELECT count(*)::int AS n FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'`;
      if (row!['n'] > 0) break;
    }
    slow.cancel();
    await cancelled;
    await sql.end();
  },
);
