/** The machine dies at any step: whatever part of the unsynced writes it lost, the log goes on from what was told. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { relayActor, type NewEntry } from '../../../src/evidence/entry.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { readEntries } from '../../../src/evidence/log/read.ts';
import { verify } from '../../../src/evidence/verify/index.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { LossyFiles } from './lossy-files.ts';

const signer = NoteSigner.generate('relay.example/log');
const vkey = signer.verifier.toString();
const options = { signer, clock: systemClock, checkpointMs: 1, journalBytes: 2000 };

const entry = (n: number): NewEntry => ({
  kind: 'config.changed',
  actor: relayActor,
  configDigest: n.toString(16).padStart(64, '0'),
  previousDigest: null,
});

/** Groups of appends; a negative number publishes after that many. Sizes cross the edge of a tile now and then. */
const groups = fc.array(fc.oneof(fc.integer({ min: -3, max: 5 }), fc.constant(130)), {
  minLength: 1,
  maxLength: 6,
});

async function write(
  log: Log,
  sizes: readonly number[],
  told: (index: number, n: number) => void,
): Promise<void> {
  let n = 0;
  for (const size of sizes) {
    const group = Array.from({ length: Math.abs(size) }, () => {
      const mine = n++;
      return log.append(entry(mine)).then(({ index }) => told(index, mine));
    });
    await Promise.all(group);
    if (size < 0) await log.checkpoint();
  }
  await log.close();
}

async function surviveOnce(
  root: string,
  sizes: readonly number[],
  diesAt: number,
  chance: () => number,
): Promise<boolean> {
  const [before, after] = [path.join(root, 'before'), path.join(root, 'after')];
  await mkdir(before);
  const files = new LossyFiles(before, diesAt);
  const told = new Map<number, number>();
  const written = (async () => {
    const log = await Log.open({ ...options, directory: path.join(before, 'log'), files });
    await write(log, sizes, (index, n) => told.set(index, n));
    return 'ended';
  })();
  const fate = await Promise.race([written, files.died.then(() => 'died')]);
  // Steps of several tasks may still be under way up to the one that stops them: let those come to rest.
  await new Promise((resolve) => setImmediate(resolve));
  files.image(after, chance);
  await checkSurvivor(after, told);
  return fate === 'died';
}

async function checkSurvivor(after: string, told: ReadonlyMap<number, number>): Promise<void> {
  await mkdir(path.join(after, 'log'), { recursive: true });
  const signed = path.join(after, 'log/checkpoint');
  const since = existsSync(signed) ? await readFile(signed) : undefined;
  const log = await Log.open({ ...options, directory: path.join(after, 'log') });
  await log.append(entry(9999));
  await log.close();
  const { findings } = await verify({ directory: after, vkey, ...(since === undefined ? {} : { since }) });
  assert.deepEqual(findings, []);
  const found: string[] = [];
  for await (const { bytes } of readEntries(path.join(after, 'log'))) found.push(bytes.toString());
  for (const [index, n] of told)
    assert.ok(found[index]?.includes(n.toString(16).padStart(64, '0')), `entry ${index}`);
}

test('no image that a lost machine leaves loses or changes what was told, or forks what was signed', async () => {
  let died = 0;
  await fc.assert(
    fc.asyncProperty(
      groups,
      fc.nat({ max: 150 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      async (sizes, diesAt, chances) => {
        const root = await mkdtemp(path.join(tmpdir(), 'hoop-lost-'));
        try {
          if (await surviveOnce(root, sizes, diesAt + 1, () => chances.next().value ?? 0)) died += 1;
        } finally {
          await rm(root, { recursive: true, force: true });
        }
      },
    ),
    { numRuns: 100 },
  );
  assert.ok(died > 20, `only ${died} runs died on the way`);
});
