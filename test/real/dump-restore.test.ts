import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { missing } from '../support/programs.ts';
import { run, startStage } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage();
after(() => stage?.close());

test('pg_dump | pg_restore through the relay: every type arrives as it was', { skip }, async () => {
  const { postgres, connect, directory } = stage!;
  const program = (name: string) => path.join(postgres.binDir, name);
  const filled = await run(
    program('psql'),
    ['-Xq', '-v', 'ON_ERROR_STOP=1', '-f', path.join(import.meta.dirname, 'types.sql')],
    {
      env: postgres.env(),
    },
  );
  assert.equal(filled.code, 0, filled.stderr);
  await postgres.sql('CREATE DATABASE restored OWNER app');
  const connected = await connect();
  const dump = path.join(directory, 'dump');
  const dumped = await run(program('pg_dump'), ['-Fc', '-f', dump], { env: connected.env });
  assert.equal(dumped.code, 0, dumped.stderr);
  const restored = await run(program('pg_restore'), ['-e', '-d', 'restored', '--schema=shop', dump], {
    env: { ...connected.env, PGDATABASE: 'restored' },
  });
  // --schema does not bring the schema itself
  assert.notEqual(restored.code, 0);
  const whole = await run(program('pg_restore'), ['-e', '-d', 'restored', dump], { env: connected.env });
  assert.equal(whole.code, 0, whole.stderr);

  const text = async (database: string) => {
    const args = ['--no-owner', '--no-acl', database];
    const result = await run(program('pg_dump'), args, {
      env: { ...postgres.env('postgres'), PGDATABASE: database },
    });
    assert.equal(result.code, 0, result.stderr);
    return result.stdout.replaceAll(/^\\(un)?restrict .*$/gm, '');
  };
  const before = await text('app');
  assert.match(before, /it''s a comment/);
  assert.equal(await text('restored'), before);
  await connected.running.stop('SIGINT');
});
