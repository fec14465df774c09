/** The loads of memory.test.ts and, larger, of memory.long.ts. */
import assert from 'node:assert/strict';
import path from 'node:path';
import pg from 'pg';
import { residentKiB } from '../bench/usage.ts';
import { run, type Stage } from '../support/relay.ts';

/** Largest growth of each process's resident memory, in MiB, while `work` runs. */
async function growth(pids: Readonly<Record<string, number>>, work: () => Promise<void>) {
  const names = Object.keys(pids);
  const sample = () => names.map((name) => residentKiB([pids[name]!]) / 1024);
  const before = sample();
  const peak = [...before];
  const timer = setInterval(() => {
    for (const [i, value] of sample().entries()) peak[i] = Math.max(peak[i]!, value);
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Object.fromEntries(names.map((name, i) => [name, peak[i]! - before[i]!]));
}

const pidsOf = (stage: Stage, agent: { child: { pid?: number | undefined } }) => ({
  relay: stage.installation.relay.child.pid!,
  agent: agent.child.pid!,
});

export async function largeResult(stage: Stage, mebibytes: number): Promise<void> {
  const connected = await stage.connect();
  const sql = `SELECT repeat('0123456789abcdef', 64) FROM generate_series(1, ${mebibytes * 1024})`;
  const reader = path.join(import.meta.dirname, '../bench/raw-reader.ts');
  const args = [reader, String(connected.port), 'ana', 'app', sql];
  const grown = await growth(pidsOf(stage, connected.running), async () => {
    const { code, stdout, stderr } = await run(process.execPath, args, { env: connected.env });
    assert.equal(code, 0, stderr);
    assert.ok(Number(stdout.split(' ')[0]) > mebibytes * 1024 * 1024, stdout);
  });
  // The same bound for every size: what a process may hold does not depend on what passes through it.
  for (const [name, value] of Object.entries(grown))
    assert.ok(value < 160, `${name} grew by ${value.toFixed(0)} MiB`);
  await connected.running.stop('SIGINT');
}

export async function largeStatement(stage: Stage, mebibytes: number): Promise<void> {
  const connected = await stage.connect();
  const client = new pg.Client({ host: '127.0.0.1', port: connected.port, user: 'ana', database: 'app' });
  await client.connect();
  const text = 'x'.repeat(mebibytes * 1024 * 1024);
  const grown = await growth(pidsOf(stage, connected.running), async () => {
    const { rows } = await client.query(`SELECT length('${text}')::int AS n`);
    assert.equal(rows[0].n, text.length);
  });
  // A statement is decided as a whole, so the relay holds it (and a copy on the way); the agent never does.
  assert.ok(grown['relay']! < 160 + 3 * mebibytes, `relay grew by ${grown['relay']!.toFixed(0)} MiB`);
  assert.ok(grown['agent']! < 160, `agent grew by ${grown['agent']!.toFixed(0)} MiB`);
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
  await client.end();
  await connected.running.stop('SIGINT');
}
