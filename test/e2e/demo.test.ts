/** The README's first command, as a machine runs it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hoop, Running } from '../support/relay.ts';

/** A temporary directory of its own, open to the database's user, so that what is left in it is ours. */
function temporary(): string {
  return mkdtempSync(path.join(tmpdir(), 'hoop-demo-test-'));
}

async function inOwnTmp(use: (env: NodeJS.ProcessEnv) => Promise<void>): Promise<void> {
  const directory = temporary();
  const { chmodSync } = await import('node:fs');
  chmodSync(directory, 0o755);
  try {
    await use({ ...process.env, TMPDIR: directory, NO_COLOR: '1' });
    const left = readdirSync(directory).filter((name) => name.startsWith('hoop-'));
    assert.deepEqual(left, [], 'nothing is left behind');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

for (const database of ['installed', 'pglite'])
  test(`hoop demo --once --database ${database}: every step holds and nothing is left`, () =>
    inOwnTmp(async (env) => {
      const { code, stdout, stderr } = await hoop(['demo', '--once', '--database', database], { env });
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /Every step held/);
      assert.doesNotMatch(stdout, /does not hold/);
    }));

test('hoop demo interrupted in the middle cleans up', () =>
  inOwnTmp(async (env) => {
    const demo = Running.hoop(['demo', '--once'], env);
    await demo.says(/signs in/);
    demo.child.kill('SIGINT');
    assert.notEqual(await demo.ended, 0);
  }));
