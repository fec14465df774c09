/** A local port serves the user who opened it, and nobody else on the machine. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { findProgram, missing } from '../support/programs.ts';
import { run, startStage } from '../support/relay.ts';

const reasons = [
  process.platform !== 'linux' && 'the peer’s uid is read on Linux only',
  process.getuid?.() !== 0 && 'a second Unix user can only be had by root',
  findProgram('setpriv') === null && 'setpriv is not installed',
  missing('postgresql'),
];
const skip = reasons.find((reason) => reason !== false) ?? false;
const stage = skip ? null : await startStage();
after(() => stage?.close());

test('another Unix user cannot use the port; its owner can, before and after', { skip }, async () => {
  const { postgres, connect } = stage!;
  const connected = await connect();
  const psql = [path.join(postgres.binDir, 'psql'), '-XAtc', 'SELECT 7 * 6'];
  const env = { ...connected.env, HOME: '/nonexistent' };
  const own = () => run(psql[0]!, psql.slice(1), { env });
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--', ...psql];
  assert.equal((await own()).stdout, '42\n');
  for (let i = 0; i < 5; i++) {
    const foreign = await run('setpriv', nobody, { env, cwd: '/' });
    assert.notEqual(foreign.code, 0);
    assert.equal(foreign.stdout, '');
  }
  assert.equal((await own()).stdout, '42\n');
  await connected.running.stop('SIGINT');
});
