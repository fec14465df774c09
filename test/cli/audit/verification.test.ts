/** `hoop audit verify` against a relay keeps a copy of the evidence only while it works. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A relay that never answers; the copy's directory is there when it is asked. */
const program = `
  import { verifyRelay } from ${JSON.stringify(new URL('../../../src/cli/audit/verification.ts', import.meta.url))};
  setInterval(() => {}, 1 << 30);
  const stream = () => new Promise(() => console.log('asked'));
  await verifyRelay({ client: { stream }, relay: 'https://relay.example' }, {}, {});
`;

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test(`${signal} while it fetches: the copy is removed`, async (context) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'hoop-interrupted-'));
    context.after(() => rmSync(directory, { recursive: true }));
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      env: { ...process.env, TMPDIR: directory },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    context.after(() => child.kill('SIGKILL'));
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    assert.equal(readdirSync(directory).length, 1);
    child.kill(signal);
    assert.deepEqual(await exit, [130, null]);
    assert.deepEqual(readdirSync(directory), []);
  });
