/** The relay between real clients and a real PostgreSQL: what they see is what they see without it. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import postgres from 'postgres';
import { probePostgres } from '../../../src/protocols/postgres/probe.ts';
import { ScramKeys } from '../../../src/protocols/postgres/scram.ts';
import { passwordOf, postgresMissing, startPostgres } from '../../support/postgres.ts';
import type { PostgresServer } from '../../support/postgres.ts';
import { dialTo, listenRelay, targetOptions } from './support.ts';
import type { Policy, RelayServer } from './support.ts';

const run = promisify(execFile);
const options = { skip: postgresMissing };
let server: PostgresServer;
const relays: RelayServer[] = [];

before(async () => {
  if (postgresMissing === false) server = await startPostgres({ tls: true });
});
after(async () => {
  for (const relay of relays) await relay.stop();
  await server?.stop();
});

const target = targetOptions({ password: () => passwordOf('app') });

async function relayTo(
  overrides: Parameters<typeof targetOptions>[0] = {},
  more: Parameters<typeof listenRelay>[2] = {},
): Promise<RelayServer> {
  const relay = await listenRelay({ ...target, ...overrides }, server.port, more);
  relays.push(relay);
  return relay;
}

const environment = (relay: RelayServer) => ({
  ...server.env(),
  PGPORT: String(relay.port),
  PGUSER: 'ana',
  PGPASSWORD: '',
});
const clientOf = (relay: RelayServer): pg.Client =>
  new pg.Client({ host: '127.0.0.1', port: relay.port, user: 'ana', database: 'app' });

interface Ran {
  code: number;
  stdout: Buffer;
  stderr: string;
}

async function psql(env: NodeJS.ProcessEnv, script: string, ...flags: string[]): Promise<Ran> {
  const child = spawn(`${server.binDir}/psql`, ['-X', ...flags], { env });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.end(script);
  await once(child, 'close');
  return {
    code: child.exitCode ?? -1,
    stdout: Buffer.concat(stdout),
    stderr: Buffer.concat(stderr).toString(),
  };
}

const corpus = `
\\set VERBOSITY verbose
select 1 as a, null::text as b, 'é€𝄞' as c;
select 1; select 2\\; select 3;
;
select '\\x00ff'::bytea, now() > '2020-01-01', array[1,2,null], row(1,'x'), '{"a":[1]}'::jsonb, 1.50::numeric(10,3);
create temp table t (id int primary key, v text);
insert into t select g, repeat('x', g % 50) from generate_series(1, 5000) g;
update t set v = upper(v) where id < 10;
select * from t order by id limit 20;
delete from t where id > 4990 returning id;
copy t to stdout with (format csv, header);
copy t (id, v) from stdin;
9001	hello
9002	\\N
\\.
copy t from stdin;
nonsense
\\.
select count(*), sum(length(v)) from t;
select 1/0;
selec;
select * from nowhere;
begin; select 1; select 1/0; select 2; rollback;
begin; savepoint s; insert into t values (1, 'dup'); rollback to s; select 'alive'; commit;
do $$ begin raise notice 'note %', 1; raise warning 'warn'; end $$;
begin; declare c cursor for select * from t order by id; fetch 3 from c; move 2 in c; fetch 1 from c; close c; commit;
prepare q(int) as select $1 + 1; execute q(41); deallocate q;
select repeat('y', 300000);
select set_config('application_name', 'corpus', false);
show application_name;
set client_encoding to 'latin1'; select 'é'; reset client_encoding;
listen chan; notify chan, 'payload';
select lo_create(4711); select lo_unlink(4711);
explain (costs off) select * from t where id = 1;
\\d t
\\gset
select 1 as x \\gdesc
\\bind 5
select $1::int * 2 \\g
`;

/** Without what differs from connection to connection. */
const anonymous = (text: string): string =>
  text.replaceAll(/PID \d+/g, 'PID').replaceAll(/pg_temp_\d+/g, 'pg_temp');

test('a corpus of statements gives the same bytes through the relay as without it', options, async () => {
  const relay = await relayTo();
  const direct = await psql(server.env(), corpus);
  const relayed = await psql(environment(relay), corpus);
  assert.equal(anonymous(relayed.stdout.toString('latin1')), anonymous(direct.stdout.toString('latin1')));
  assert.equal(anonymous(relayed.stderr), anonymous(direct.stderr));
  assert.equal(relayed.code, direct.code);
  assert.ok(relayed.stdout.length > 300_000);
  for (const { text, outcomes } of relay.gates[0]!.commands) assert.equal(outcomes.length, 1, text);
});

test('pg: parameters, prepared statements, errors, notifications, many at once', options, async () => {
  const relay = await relayTo();
  const client = clientOf(relay);
  await client.connect();
  const { rows } = await client.query('select $1::int + 1 as n, $2::text as t', [41, 'x']);
  assert.deepEqual(rows, [{ n: 42, t: 'x' }]);
  for (let i = 0; i < 3; i++) {
    const again = await client.query({ name: 'again', text: 'select $1::int * 2 as n', values: [i] });
    assert.deepEqual(again.rows, [{ n: 2 * i }]);
  }
  await assert.rejects(client.query('select $1::int / 0', [1]), { code: '22012' });
  const notified = once(client, 'notification');
  await client.query('listen chan');
  await client.query("notify chan, 'hello'");
  assert.equal((await notified)[0].payload, 'hello');
  assert.deepEqual((await client.query('')).rows, []);
  await client.end();
  await relay.relays[0]!.closed;
  const gate = relay.gates[0]!;
  assert.deepEqual(gate.summary(), [
    'select $1::int + 1 as n, $2::text as t → succeeded SELECT 1 1 null',
    'select $1::int * 2 as n → succeeded SELECT 1 1 null',
    'select $1::int * 2 as n → succeeded SELECT 1 1 null',
    'select $1::int * 2 as n → succeeded SELECT 1 1 null',
    'select $1::int / 0 → failed null 0 22012',
    'listen chan → succeeded LISTEN 0 null',
    "notify chan, 'hello' → succeeded NOTIFY 0 null",
    ' → succeeded null 0 null',
  ]);
  assert.equal(gate.reason, 'terminated');
  assert.equal(gate.info!.parameters['user'], 'ana');
  assert.match(gate.info!.serverVersion!, /^1\d/);
});

test('postgres (porsager): pipelined prepared statements, cursors, COPY both ways', options, async () => {
  const relay = await relayTo();
  const sql = postgres({ host: '127.0.0.1', port: relay.port, user: 'ana', database: 'app', max: 1 });
  const sums = await Promise.all(Array.from({ length: 50 }, (_, i) => sql`select ${i}::int + 1 as n`));
  assert.deepEqual(
    sums.map((rows) => rows[0]!['n']),
    Array.from({ length: 50 }, (_, i) => i + 1),
  );
  const seen: number[] = [];
  await sql`select g from generate_series(1, 25) g`.cursor(10, (rows) => {
    seen.push(rows.length);
  });
  assert.deepEqual(seen, [10, 10, 5]);
  await sql`create temp table c (a int, b text)`;
  const writable = await sql`copy c from stdin`.writable();
  writable.end('1\tone\n2\ttwo\n');
  await once(writable, 'finish');
  const readable = await sql`copy c to stdout`.readable();
  const chunks: Buffer[] = [];
  for await (const chunk of readable) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), '1\tone\n2\ttwo\n');
  await sql.end();
  await relay.relays[0]!.closed;
  const gate = relay.gates[0]!;
  for (const { text, outcomes } of gate.commands) assert.equal(outcomes.length, 1, text);
  assert.ok(gate.summary().includes('select g from generate_series(1, 25) g → succeeded SELECT 5 25 null'));
  assert.match(Buffer.concat(gate.inputs.map(({ bytes }) => bytes)).toString('latin1'), /1\tone\n2\ttwo\n/);
});

test('pgbench in its three query modes, 16 clients: no transaction fails', options, async () => {
  const relay = await relayTo();
  await run(`${server.binDir}/pgbench`, ['-i', '-q', '-s', '1'], { env: environment(relay) });
  for (const mode of ['simple', 'extended', 'prepared']) {
    const flags = ['-n', '-M', mode, '-c', '16', '-t', '20'];
    const { stdout } = await run(`${server.binDir}/pgbench`, flags, { env: environment(relay) });
    assert.match(stdout, /number of transactions actually processed: 320\/320/);
    assert.match(stdout, /number of failed transactions: 0 /);
  }
});

test('Ctrl-C: psql cancels its query, by a key that is not the target’s', options, async () => {
  const relay = await relayTo();
  const child = spawn(`${server.binDir}/psql`, ['-X', '-At'], { env: environment(relay) });
  let [out, err] = ['', ''];
  child.stderr.on('data', (chunk) => (err += chunk));
  const started = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk) => {
      out += chunk;
      if (out.includes('begun')) resolve();
    });
  });
  child.stdin.write("select 'begun';\nselect pg_sleep(600);\n");
  await started;
  while (
    (await server.sql(
      "select count(*) from pg_stat_activity where query like 'select pg_sleep(600%' and state = 'active'",
    )) === '0'
  );
  child.kill('SIGINT');
  await new Promise<void>((resolve) => child.stderr.on('data', () => err.includes('canceling') && resolve()));
  child.stdin.on('error', () => undefined); // psql ends by itself when it is not in a terminal
  child.stdin.end();
  if (child.exitCode === null) await once(child, 'close');
  assert.match(err, /canceling statement due to user request/);
  assert.deepEqual(relay.gates[0]!.summary()[1], 'select pg_sleep(600); → cancelled null 0 57014');
});

test('a connection that ends in the middle of a query is cancelled at the target', options, async () => {
  const relay = await relayTo();
  const client = clientOf(relay);
  await client.connect();
  const failed = assert.rejects(client.query('select pg_sleep(601)'), { code: '57P01', hint: 'why' });
  client.on('error', () => undefined);
  const running =
    "select count(*) from pg_stat_activity where query = 'select pg_sleep(601)' and state = 'active'";
  while ((await server.sql(running)) === '0');
  relay.relays[0]!.fail({ sqlstate: '57P01', message: 'the session was ended', hint: 'why' });
  await failed;
  while ((await server.sql(running)) !== '0');
  assert.deepEqual(relay.gates[0]!.summary(), ['select pg_sleep(601) → cancelled null 0 57P01']);
});

test(
  'the target is stopped in the middle of a query: the client gets an ordinary error',
  options,
  async () => {
    const relay = await relayTo();
    const client = clientOf(relay);
    await client.connect();
    client.on('error', () => undefined);
    const { rows } = await client.query('select pg_backend_pid() as pid');
    const failed = assert.rejects(client.query('select pg_sleep(602)'), { code: '57P01' });
    while (
      (await server.sql("select count(*) from pg_stat_activity where query = 'select pg_sleep(602)'")) === '0'
    );
    await server.sql(`select pg_terminate_backend(${rows[0].pid})`);
    await failed;
    await relay.relays[0]!.closed;
    assert.equal(relay.gates[0]!.summary()[1], 'select pg_sleep(602) → failed null 0 57P01');
  },
);

const noDeletes: Policy = (text) =>
  /delete/i.test(text)
    ? { kind: 'deny', policies: ['no-deletes'], hint: 'Ask for access.' }
    : { kind: 'allow' };

test('a denied query is an ordinary error, and never leaves', options, async () => {
  const relay = await relayTo({}, { policy: noDeletes });
  const script = `
    create temp table d (a int); insert into d values (1);
    delete from d;
    select 'one', count(*) from d;
    begin; select 'in transaction'; delete from d; select 'not reached'; rollback;
    select 'two', count(*) from d;
    begin; savepoint s; delete from d; rollback to s; select 'three', count(*) from d; commit;`;
  const { stdout, stderr } = await psql(environment(relay), script, '-At');
  assert.deepEqual(
    stdout
      .toString()
      .split('\n')
      .filter((line) => /\|/.test(line)),
    ['one|1', 'two|1', 'three|1'],
  );
  assert.doesNotMatch(stdout.toString(), /not reached/);
  assert.match(
    stderr,
    /ERROR: {2}permission denied by policy\nDETAIL: {2}Policy: no-deletes\nHINT: {2}Ask for access\./,
  );
  assert.match(stderr, /current transaction is aborted/);
  const summary = relay.gates[0]!.summary().filter((line) => line.includes('delete'));
  assert.deepEqual(summary, Array(3).fill('delete from d; → blocked null 0 42501'));
  assert.doesNotMatch(server.log(), /delete from d/);
});

test(
  'a denied statement of a pipeline undoes what PostgreSQL would undo, and the next ones run',
  options,
  async () => {
    const relay = await relayTo({}, { policy: noDeletes });
    const sql = postgres({
      host: '127.0.0.1',
      port: relay.port,
      user: 'ana',
      database: 'app',
      max: 1,
      onnotice: () => undefined,
    });
    await sql`drop table if exists p`;
    await sql`create table p (a int)`;
    const results = await Promise.allSettled([
      sql`insert into p values (1)`,
      sql`delete from p`,
      sql`insert into p values (2)`,
      sql.begin((tx) => [tx`insert into p values (3)`, tx`delete from p where a = ${3}`]),
      sql`insert into p values (4)`,
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal((results[1] as PromiseRejectedResult).reason.code, '42501');
    assert.deepEqual(
      (await sql`select a from p order by a`).map(({ a }) => a),
      [1, 2, 4],
    );
    await sql.end();
  },
);

test('more than the limit: the query is refused and the connection goes on', options, async () => {
  const relay = await relayTo({}, { messageLimitBytes: 100_000 });
  const client = clientOf(relay);
  await client.connect();
  const long = 'x'.repeat(150_000);
  await assert.rejects(client.query(`select '${long}'`), { code: '54000' });
  await assert.rejects(client.query('select $1::text', [long]), { code: '54000' });
  assert.deepEqual((await client.query('select 1 as a')).rows, [{ a: 1 }]);
  await client.end();
  await relay.relays[0]!.closed;
  assert.deepEqual(relay.gates[0]!.summary(), ['select 1 as a → succeeded SELECT 1 1 null']);
});

const verified = () => ({ ca: readFileSync(server.caFile), servername: 'localhost' });

test('the target’s TLS and every way to authenticate', options, async () => {
  const ways = [
    { user: 'app', tls: 'verify-full', channelBinding: 'require' },
    { user: 'app', tls: 'verify-full', channelBinding: 'disable' },
    { user: 'app', tls: 'disable', channelBinding: 'prefer' },
    { user: 'app_md5', tls: 'disable', channelBinding: 'prefer' },
    { user: 'app_password', tls: 'verify-full', channelBinding: 'prefer' },
  ] as const;
  for (const way of ways) {
    const relay = await relayTo({ ...way, password: () => passwordOf(way.user) }, { tls: verified() });
    const client = clientOf(relay);
    await client.connect();
    const { rows } = await client.query(
      'select current_user as u, coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as s',
    );
    assert.deepEqual(rows, [{ u: way.user, s: way.tls === 'verify-full' }]);
    await client.end();
  }
});

test(
  'a password in the clear is not sent without TLS, and the client learns no credential',
  options,
  async () => {
    const cases = [
      [{ user: 'app_password', password: () => passwordOf('app_password') }, /without TLS/],
      [{ user: 'app', password: () => 'wrong-5ecret' }, /refused the relay’s credential/],
      [{ user: 'nobody-here', password: () => 'wrong-5ecret' }, /refused the relay’s credential/],
      [{ user: 'app', password: () => null }, /none is configured/],
      [{ user: 'app', tls: 'verify-full', password: () => passwordOf('app') }, /cannot be reached/],
    ] as const;
    for (const [overrides, expected] of cases) {
      const relay = await relayTo(
        { scramKeys: new ScramKeys(), ...overrides },
        { tls: { servername: 'localhost' } },
      );
      const { stderr, code } = await psql(environment(relay), 'select 1');
      assert.equal(code, 2);
      assert.match(stderr, expected);
      for (const secret of [
        'app_password',
        'nobody-here',
        'wrong-5ecret',
        passwordOf('app'),
        String(server.port),
      ])
        assert.ok(!stderr.includes(secret), `${secret} in ${stderr}`);
    }
  },
);

test('probe: connects, reads the version, leaves', options, async () => {
  const dial = dialTo(server.port, verified());
  const { serverVersion } = await probePostgres({ target, dial });
  assert.match(serverVersion, /^\d+\.\d+/);
  await assert.rejects(
    probePostgres({ target: { ...target, password: () => 'no', scramKeys: new ScramKeys() }, dial }),
    {
      code: 'postgres-authentication-refused',
    },
  );
});

test(
  'another database than offered is refused with the names that are; one of the list is served',
  options,
  async () => {
    const relay = await relayTo({ databases: ['postgres'] });
    const env = environment(relay);
    const wrong = await psql({ ...env, PGDATABASE: 'ana' }, 'select 1');
    assert.match(
      wrong.stderr,
      /FATAL: {2}database "ana" is not offered here\nHINT: {2}This target offers "app", "postgres"; .*Without a name psql/,
    );
    const right = await psql({ ...env, PGDATABASE: 'postgres' }, 'select current_database()', '-At');
    assert.equal(right.stdout.toString(), 'postgres\n');
    const replication = await psql(env, 'select 1', '-d', 'dbname=app replication=database');
    assert.match(replication.stderr, /FATAL: {2}replication connections are not served/);
  },
);
