/**
 * What it costs to tell what a statement does: `node test/bench/classifier.ts`. Instructions are what counts (they do not
 * depend on what else the machine does); without `perf` only the time is shown. Each row runs in a process of its own.
 */
import { spawnSync } from 'node:child_process';
import { openClassifier } from '../../src/protocols/postgres/sql/classifier.ts';

/** By name: a text for each number. */
const texts: Readonly<Record<string, (index: number) => string>> = {
  'simple, literals inline': (index) =>
    `SELECT abalance FROM pgbench_accounts WHERE aid = ${10_000 + index};`,
  prepared: () => 'SELECT abalance FROM pgbench_accounts WHERE aid = $1',
  update: (index) => `UPDATE pgbench_accounts SET abalance = abalance + ${index} WHERE aid = ${index * 7};`,
  begin: () => 'BEGIN;',
  'with a comment': () => '/* app */ SELECT abalance FROM pgbench_accounts WHERE aid = $1',
  'insert of 100 rows': (index) =>
    `INSERT INTO t (a, b, c) VALUES ${Array.from({ length: 100 }, (_, row) => `(${index + row}, 'name ${row}', now())`).join(', ')}`,
  'never seen before': (index) => `/* ${index} */ SELECT a${index} FROM t WHERE b = 1`,
};

const rounds = { short: 200, long: 1200 };

if (process.argv.length > 3) await work(process.argv[2]!, Number(process.argv[3]));
else for (const name of Object.keys(texts)) report(name);

async function work(name: string, count: number): Promise<void> {
  const classifier = await openClassifier();
  const fresh = name === 'never seen before';
  const kept = Array.from({ length: 1000 }, (_, index) => Buffer.from(texts[name]!(index)));
  for (let round = 0; round < count; round += 1)
    if (fresh) classifier.classify(Buffer.from(texts[name]!(round)));
    else for (let index = 0; index < 1000; index += 1) classifier.classify(kept[index]!);
}

function measure(name: string, count: number): { ms: number; instructions: number } {
  const start = performance.now();
  const command = [process.execPath, import.meta.filename, name, String(count)];
  const perf = spawnSync('perf', ['stat', '-x,', '-e', 'instructions:u', ...command], { encoding: 'utf8' });
  if (perf.error !== undefined) spawnSync(command[0]!, command.slice(1));
  const instructions = Number(/^(\d+),,instructions/m.exec(perf.stderr ?? '')?.[1] ?? Number.NaN);
  return { ms: performance.now() - start, instructions };
}

/** The difference of two runs is free of the start of the process. */
function report(name: string): void {
  const scale = name === 'insert of 100 rows' ? 0.05 : 1;
  const unit = name === 'never seen before' ? 1 : 1000;
  const [few, many] = [rounds.short * scale, rounds.long * scale].map((count) =>
    measure(name, unit === 1 ? count * 10 : count),
  );
  const calls = (rounds.long - rounds.short) * scale * (unit === 1 ? 10 : 1000);
  const instructions = ((many!.instructions - few!.instructions) / calls).toFixed(0);
  const us = (((many!.ms - few!.ms) * 1000) / calls).toFixed(2);
  process.stdout.write(`${name.padEnd(26)} ${instructions.padStart(9)} instructions ${us.padStart(8)} µs\n`);
}
