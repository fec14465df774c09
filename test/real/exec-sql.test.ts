/** `hoop exec` at a real PostgreSQL through the built binary. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { hoop, startStage, type Stage } from '../support/relay.ts';
import { missing } from '../support/programs.ts';

const skip = missing('postgresql');
const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("no-drops") forbid (principal, action == Action::"execute", resource) when { context.effects.contains("schema") && context has task && context.task == "nightly" };
@id("ask") @review("leads") forbid (principal, action == Action::"execute", resource)
  when { context has task && context.task == "careful" };
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"kill", Action::"review"], resource);
`;
let stage: Stage;
before(async () => {
  if (skip === false) stage = await startStage({ policy });
});
after(() => stage?.close());

const exec = (...args: string[]) => stage.ana.hoop('exec', 'db', ...args);

test('piped it is CSV as COPY writes it; nulls and empty texts differ', { skip }, async () => {
  const { code, stdout, stderr } = await exec(
    '--',
    `select 1 as id, 'a,"b"' as t, null as n, '' as e, e'x\\ny' as l`,
  );
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(stdout, 'id,t,n,e,l\n1,"a,""b""",,"","x\ny"\n');
});

test('as JSON: numbers as they are, json inside, names told apart', { skip }, async () => {
  const sql = `select 9223372036854775807 as big, 1.50 as n, 'NaN'::float8 as nan, true as b, '{"k": [1]}'::jsonb as j, null as x, 1 as x; select 2 where false`;
  const { code, stdout } = await exec('--format', 'json', '--', sql);
  assert.equal(code, 0);
  assert.equal(
    stdout,
    '[{"big":9223372036854775807,"n":1.50,"nan":"NaN","b":true,"j":{"k": [1]},"x":null,"x_2":1}]\n[]\n',
  );
  const whole = await exec('--json', '--', sql);
  const result = JSON.parse(whole.stdout);
  assert.deepEqual([result.exitCode, result.results[0].tag, result.results.length], [0, 'SELECT 1', 2]);
  assert.match(whole.stdout, /"big":9223372036854775807/);
});

test('as a table, and tags of what returns no rows', { skip }, async () => {
  const sql = `create temp table t (i int); insert into t values (1), (22); select i, 'x' as word from t order by i`;
  const { code, stdout } = await exec('--format', 'table', '--', sql);
  assert.equal(code, 0);
  assert.equal(stdout, 'CREATE TABLE\nINSERT 0 2\n  i | word\n----+------\n  1 | x\n 22 | x\n(2 rows)\n');
  const csv = await exec('--', 'create temp table t (i int)');
  assert.deepEqual([csv.stdout, csv.stderr], ['', 'CREATE TABLE\n']);
});

test('from stdin and from a file', { skip }, async () => {
  const piped = await hoop(['exec', 'db'], { env: stage.ana.env, input: 'select 1 as a;\nselect 2 as b;\n' });
  assert.deepEqual([piped.code, piped.stdout], [0, 'a\n1\n\nb\n2\n']);
  const file = path.join(stage.directory, 'q.sql');
  writeFileSync(file, "select 'from a file' as f");
  const read = await exec('-f', file);
  assert.equal(read.stdout, 'f\nfrom a file\n');
  assert.equal((await exec('-f', `${file}.none`)).code, 2);
  const copied = await exec('--', `copy (select 1, 'x') to stdout`);
  assert.equal(copied.stdout, '1\tx\n');
  const into = await exec('--', 'create temp table c (i int); copy c from stdin');
  assert.equal(into.code, 1);
});

test('an error: SQLSTATE on stderr, exit 1, what came before it stands', { skip }, async () => {
  const { code, stdout, stderr } = await exec('--', 'select 1 as a; select 1/0; select 3');
  assert.deepEqual([code, stdout], [1, 'a\n1\n']);
  assert.match(stderr, /^ERROR: {2}division by zero \(22012\)$/m);
  const json = JSON.parse((await exec('--json', '--', 'select 1/0')).stdout);
  assert.deepEqual([json.exitCode, json.sqlError.sqlstate], [1, '22012']);
});

test('denied: exit 3; held: told on stderr, then it runs', { skip }, async () => {
  const denied = await exec('--task', 'nightly', '--', 'drop table customers');
  assert.equal(denied.code, 3, denied.output);
  await stage.lea.login(stage.installation.url);
  const held = stage.ana.start('exec', 'db', '--task', 'careful', '--', 'select 7 as seven');
  const [, review] = await held.says(/held for review (\S+);/);
  assert.equal((await stage.lea.hoop('approve', review!)).code, 0);
  assert.equal(await held.ended, 0);
  assert.equal(held.stdout, 'seven\n7\n');
  assert.match(held.stderr, /^NOTICE: /m);
});

test('Ctrl-C cancels at the server; a time limit: exit 124', { skip }, async () => {
  const running = stage.ana.start(
    'exec',
    'db',
    '--',
    "do $$ begin raise notice 'started'; perform pg_sleep(60); end $$",
  );
  await running.says(/started/);
  running.child.kill('SIGINT');
  assert.equal(await running.ended, 130);
  assert.match(running.stderr, /57014/);
  assert.equal((await exec('--timeout', '1s', '--', 'select pg_sleep(60)')).code, 124);
});

test('a large result streams, and its reader may leave', { skip }, async () => {
  const { code, stdout } = await exec('--', 'select i from generate_series(1, 300000) i');
  assert.equal(code, 0);
  assert.equal(
    stdout.length,
    'i\n'.length +
      Array.from({ length: 300_000 }, (_, i) => String(i + 1).length + 1).reduce((a, b) => a + b),
  );
  const odd = await exec('-t', '--', 'select 1');
  assert.equal(odd.code, 2);
  assert.match(odd.stderr, /target-unsuitable/);
});
