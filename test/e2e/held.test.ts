/** Real clients whose command is held in the middle of what they do: drivers, pipelines, transactions, pgbench. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import postgres from 'postgres';
import { Running, run, startStage, type Connected } from '../support/relay.ts';

const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads") permit (principal in Group::"leads", action in [Action::"review", Action::"kill"], resource);
@id("deletes") @review("leads")
forbid (principal, action == Action::"execute", resource) when { context.effects.contains("delete") };
@id("no-ddl") forbid (principal, action == Action::"execute", resource) when { context.effects.contains("schema") };
`;
const stage = await startStage({ policy });
after(() => stage.close());
await stage.postgres.sql(`
  create table notes (id int primary key, body text);
  insert into notes select i, 'note ' || i from generate_series(1, 100) i;
  grant all on notes to app;`);
const { lea, installation } = stage;
await lea.login(installation.url);
const connected = await stage.connect();

const isReview = /hoop approve ([0-7][0-9A-HJKMNP-TV-Z]{25})/;

async function decide(review: string, ...decision: readonly string[]): Promise<void> {
  const [verb, ...flags] = decision;
  const done = await lea.hoop(verb!, review, ...flags);
  assert.equal(done.code, 0, done.output);
}

/** A client of `pg`, and the ids of the reviews that it is told of, one by one. */
async function open({ url }: Connected = connected) {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  const told: string[] = [];
  let waiting: (() => void) | null = null;
  client.on('notice', ({ message }) => {
    told.push(isReview.exec(message ?? '')![1]!);
    waiting?.();
  });
  await client.connect();
  const review = async (): Promise<string> => {
    if (told.length === 0) await new Promise<void>((resolve) => (waiting = resolve));
    waiting = null;
    return told.shift()!;
  };
  return { client, review };
}

const count = async (): Promise<number> => Number(await stage.postgres.sql('select count(*) from notes'));

test('in a transaction: held, approved, committed; nobody else waits, in this session or another', async () => {
  const { client, review } = await open();
  const [beside, other] = [await open(), await open(await stage.connect())];
  await client.query('begin');
  await client.query("insert into notes values (1001, 'mine')");
  const deletion = client.query('delete from notes where id = 1001');
  const id = await review();
  for (const { client: free } of [beside, other]) {
    assert.equal((await free.query('select 41 + 1 as a')).rows[0].a, 42);
    await free.end();
  }
  await decide(id, 'approve');
  assert.equal((await deletion).rowCount, 1);
  await client.query('commit');
  assert.equal(await count(), 100);
  await client.end();
});

test('a prepared statement: each execution is asked about anew; a rejection is an error like any other', async () => {
  const { client, review } = await open();
  const named = (id: number) =>
    client.query({ name: 'del', text: 'delete from notes where id = $1', values: [id] });
  const first = named(1);
  await decide(await review(), 'approve');
  assert.equal((await first).rowCount, 1);
  await client.query('begin');
  const second = named(2).catch((error: unknown) => error);
  await decide(await review(), 'reject', '--reason', 'not on a Friday');
  const error = await second;
  assert.ok(error instanceof pg.DatabaseError);
  assert.deepEqual([error.code, error.severity], ['42501', 'ERROR']);
  assert.match(`${error.message} ${error.detail} ${error.hint}`, /review .*deletes.*not on a Friday/);
  const failed = await client.query('select 1').catch((cause: unknown) => cause);
  assert.ok(failed instanceof pg.DatabaseError && failed.code === '25P02', 'the transaction has failed');
  await client.query('rollback');
  assert.equal((await client.query('select 1 as a')).rows[0].a, 1);
  assert.equal(await count(), 99);
  await client.end();
});

test('a pipeline: answers before it come, answers behind it wait, all in order', async () => {
  const told = Promise.withResolvers<string>();
  const sql = postgres(connected.url, {
    max: 1,
    fetch_types: false,
    onnotice: ({ message }) => told.resolve(isReview.exec(message ?? '')![1]!),
  });
  await sql`select 1`;
  const order: string[] = [];
  const note = async (name: string, query: PromiseLike<unknown>) => {
    await query;
    order.push(name);
  };
  const all = [
    note('before', sql`select ${1}::int`),
    note('held', sql`delete from notes where id = ${3}`),
    note('behind', sql`select ${2}::int`),
  ];
  const id = await told.promise;
  await all[0];
  assert.deepEqual(order, ['before']);
  await decide(id, 'approve');
  await Promise.all(all);
  assert.deepEqual(order, ['before', 'held', 'behind']);
  assert.equal(await count(), 98);
  await sql.end();
});

test('pgbench in each mode: the held transaction waits, the others run', async () => {
  const held = path.join(stage.directory, 'held.sql');
  writeFileSync(
    held,
    'begin;\nselect count(*) from notes;\ndelete from notes where id = 0;\nselect 1;\nend;\n',
  );
  const free = path.join(stage.directory, 'free.sql');
  writeFileSync(free, 'select body from notes where id = 50;\n');
  for (const mode of ['simple', 'extended', 'prepared']) {
    const waiting = new Running('pgbench', ['-n', '-M', mode, '-t', '1', '-f', held], connected.env);
    const [, id] = await waiting.says(isReview);
    const others = await run('pgbench', ['-n', '-M', mode, '-c', '4', '-t', '50', '-f', free], {
      env: connected.env,
    });
    assert.match(others.stdout, /processed: 200\/200/);
    await decide(id!, 'approve');
    assert.equal(await waiting.ended, 0, waiting.output);
    assert.match(waiting.stdout, /processed: 1\/1/);
  }
});

test('a client that is killed: the review is withdrawn, and nothing was deleted', async () => {
  const before = await count();
  const client = new Running('psql', ['-X', '-c', 'delete from notes'], connected.env);
  const [, id] = await client.says(isReview);
  await client.stop('SIGKILL');
  const watch = lea.start('reviews', 'show', id!, '--json');
  await watch.ended;
  assert.match(watch.stdout, /"withdrawn"/);
  assert.equal(await count(), before);
});

test('Ctrl-C in a transaction: 57014, and the transaction has failed', async () => {
  const client = new Running(
    'psql',
    [
      '-X',
      '-v',
      'VERBOSITY=verbose',
      '-c',
      'begin',
      '-c',
      'delete from notes',
      '-c',
      'select 1',
      '-c',
      'rollback',
    ],
    connected.env,
  );
  await client.says(isReview);
  client.child.kill('SIGINT');
  await client.ended;
  assert.match(client.stderr, /57014: canceling statement due to user request/);
});

test('the session is ended by somebody else: the client is told, the review withdrawn', async () => {
  const ending = await stage.connect();
  const client = new Running('psql', ['-X', '-c', 'delete from notes'], ending.env);
  const [, id] = await client.says(isReview);
  const killed = await lea.hoop('sessions', 'kill', ending.session);
  assert.equal(killed.code, 0, killed.output);
  await client.ended;
  assert.match(client.stderr, /ended by somebody/);
  assert.match((await lea.hoop('reviews', 'show', id!, '--json')).stdout, /"withdrawn"/);
});

test('what policy forbids is an error that names the policy', async () => {
  const { client } = await open();
  const error = await client.query('drop table notes').catch((cause: unknown) => cause);
  assert.ok(error instanceof pg.DatabaseError);
  assert.deepEqual([error.code, error.detail], ['42501', 'Policy: no-ddl']);
  assert.match(error.hint!, /hoop policy check/);
  await client.end();
});

test('the record verifies', async () => {
  const verified = await stage.verify();
  assert.equal(verified.code, 0, verified.output);
});
