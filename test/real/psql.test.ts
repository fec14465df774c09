import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { run, Running, startStage, type Finished } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage();
after(() => stage?.close());

/** The number of the server's own slot is in the name of a temporary schema; nothing else may differ. */
const plain = ({ code, stdout, stderr }: Finished): string[] =>
  [code, stdout, stderr].map((part) => String(part).replaceAll(/pg_temp_\d+/g, 'pg_temp_N'));

test(
  'psql prints the same bytes through the relay as directly, statement by statement',
  { skip },
  async () => {
    const { postgres, connect } = stage!;
    const connected = await connect();
    const file = path.join(import.meta.dirname, 'corpus.sql');
    const args = ['-X', '-e', '-f', file];
    const psql = path.join(postgres.binDir, 'psql');
    const direct = await run(psql, args, { env: postgres.env() });
    const through = await run(psql, args, { env: connected.env });
    assert.match(direct.stdout, /the end/);
    assert.deepEqual(plain(through), plain(direct));
    await connected.running.stop('SIGINT');
  },
);

test('each statement alone by -c, with its exit code', { skip }, async () => {
  const { postgres, connect } = stage!;
  const connected = await connect();
  const psql = path.join(postgres.binDir, 'psql');
  for (const sql of [
    'SELECT 1',
    'SELECT 1/0',
    'SELEC',
    '',
    "SELECT 1; DO $$ BEGIN RAISE 'x'; END $$; SELECT 2",
  ]) {
    const args = ['-X', '-v', 'ON_ERROR_STOP=1', '-c', sql];
    const [direct, through] = [
      await run(psql, args, { env: postgres.env() }),
      await run(psql, args, { env: connected.env }),
    ];
    assert.deepEqual(through, direct, sql);
  }
  await connected.running.stop('SIGINT');
});

test('\\copy carries a file to the server and back unchanged', { skip }, async () => {
  const { postgres, connect, directory } = stage!;
  const connected = await connect();
  const psql = path.join(postgres.binDir, 'psql');
  mkdirSync(path.join(directory, 'copy'), { recursive: true });
  const [source, back] = [path.join(directory, 'copy/source'), path.join(directory, 'copy/back')];
  const rows = Array.from({ length: 50_000 }, (_, i) => `${i}\t${'text '.repeat(i % 40)}é${i}`);
  writeFileSync(source, `${rows.join('\n')}\n`);
  const script = `CREATE TABLE copied (id int, v text);
\\copy copied from ${source}
\\copy (SELECT * FROM copied ORDER BY id) to ${back}
`;
  const result = await run(psql, ['-X', '-v', 'ON_ERROR_STOP=1'], { env: connected.env, input: script });
  assert.equal(result.code, 0, result.stderr);
  assert.ok(readFileSync(source).equals(readFileSync(back)));
  await connected.running.stop('SIGINT');
});

test('Ctrl-C in psql cancels the statement, as it does directly', { skip }, async () => {
  const { postgres, connect } = stage!;
  const connected = await connect();
  const interrupted = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const psql = new Running(path.join(postgres.binDir, 'psql'), ['-X', '-c', 'SELECT pg_sleep(600)'], env);
    const sleeping =
      "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'";
    await eventually('the statement runs', () => postgres.sql(sleeping));
    psql.child.kill('SIGINT');
    return `${await psql.ended} ${psql.output}`;
  };
  const through = await interrupted(connected.env);
  assert.match(through, /canceling statement due to user request/);
  assert.equal(through, await interrupted(postgres.env()));
  await connected.running.stop('SIGINT');
});
