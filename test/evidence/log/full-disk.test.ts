/** Writes that fail or never come back: refused at once, told later, and the log goes on. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decodeEntry, relayActor, type EntryOf, type NewEntry } from '../../../src/evidence/entry.ts';
import type { EvidenceError } from '../../../src/evidence/error.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { readEntries } from '../../../src/evidence/log/read.ts';
import { verify } from '../../../src/evidence/verify/index.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { durableFiles, type AppendFile, type DurableFiles } from '../../../src/system/durable-file.ts';

const signer = NoteSigner.generate('relay.example/log');
const big: NewEntry = {
  kind: 'issuer.keys',
  actor: relayActor,
  issuer: 'https://idp.example',
  jwksDigest: '0'.repeat(64),
  jwks: { keys: 'k'.repeat(20_000) },
};

interface Opened {
  readonly log: Log;
  readonly failures: EvidenceError[];
  readonly repaired: Promise<void>;
}

async function openLog(
  evidence: string,
  files: DurableFiles = durableFiles,
  stallMs = 10_000,
): Promise<Opened> {
  const failures: EvidenceError[] = [];
  const { promise: repaired, resolve } = Promise.withResolvers<void>();
  const log = await Log.open({
    directory: path.join(evidence, 'log'),
    signer,
    clock: systemClock,
    files,
    checkpointMs: 10,
    retryMs: 20,
    stallMs,
    onFailure: (error) => failures.push(error),
    onRepaired: resolve,
  });
  return { log, failures, repaired };
}

async function gaps(evidence: string): Promise<EntryOf<'gap'>[]> {
  const found: EntryOf<'gap'>[] = [];
  for await (const { bytes } of readEntries(path.join(evidence, 'log'))) {
    const decoded = decodeEntry(bytes);
    if (decoded.state === 'known' && decoded.entry.kind === 'gap') found.push(decoded.entry);
  }
  return found;
}

/** Everything told is there, the refusals are counted, and verification has no finding. */
async function checkAfter(
  evidence: string,
  log: Log,
  told: readonly number[],
  refused: number,
): Promise<void> {
  await log.close();
  const report = await verify({ directory: evidence, vkey: signer.verifier.toString() });
  assert.deepEqual(report.findings, []);
  const kinds: string[] = [];
  for await (const { bytes } of readEntries(path.join(evidence, 'log'))) {
    const decoded = decodeEntry(bytes);
    kinds.push(decoded.state === 'known' ? decoded.entry.kind : decoded.state);
  }
  for (const index of told) assert.equal(kinds[index], 'issuer.keys');
  const counted = (await gaps(evidence)).reduce((sum, { count }) => sum + count, 0);
  assert.equal(counted, refused);
}

test('a really full disk: entries are refused, and counted once there is room again', async (t) => {
  const evidence = await mkdtemp(path.join(tmpdir(), 'hoop-log-full-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', evidence], {
    encoding: 'utf8',
  });
  if (mounted.status !== 0) {
    t.skip(`cannot mount a small tmpfs here: ${mounted.error?.message ?? mounted.stderr.trim()}`);
    await rm(evidence, { recursive: true });
    return;
  }
  try {
    const ballast = path.join(evidence, 'ballast');
    await writeFile(ballast, Buffer.alloc(1_500_000));
    const { log, failures, repaired } = await openLog(evidence);
    const told: number[] = [];
    let refused = 0;
    while (refused < 3) {
      const result = await log.append(big).catch((error: unknown) => error);
      if (result instanceof Error) {
        assert.ok('code' in result && result.code === 'log-write-failed', String(result));
        refused += 1;
      } else told.push((result as { index: number }).index);
    }
    assert.ok(told.length > 0);
    assert.equal(failures.length, 1);
    assert.match(failures[0]!.hint ?? '', /free space/);
    assert.equal(log.ready, false);
    await rm(ballast);
    await repaired;
    assert.equal((await gaps(evidence))[0]?.reason, 'disk-full');
    told.push((await log.append(big)).index);
    await checkAfter(evidence, log, told, refused);
  } finally {
    assert.equal(spawnSync('umount', [evidence]).status, 0);
    await rm(evidence, { recursive: true });
  }
});

/** Real files, but while `broken` says so each new or open file of that name is /dev/full. */
function onFullDevice(broken: (file: string) => boolean): DurableFiles {
  const full = async (file: string): Promise<boolean> => {
    if (!broken(file)) return false;
    const device = await open('/dev/full', 'w');
    try {
      await device.write('x');
      return false;
    } finally {
      await device.close();
    }
  };
  return {
    ...durableFiles,
    async create(file) {
      const real = await durableFiles.create(file);
      const guarded: AppendFile = {
        append: async (bytes) => {
          await full(file);
          await real.append(bytes);
        },
        sync: () => real.sync(),
        close: () => real.close(),
      };
      return guarded;
    },
  };
}

for (const name of ['journal', 'checkpoint', 'tile']) {
  test(`no space for the ${name}: refused, then repaired (/dev/full)`, async () => {
    const evidence = await mkdtemp(path.join(tmpdir(), 'hoop-log-full-'));
    try {
      let isFull = false;
      const { log, failures, repaired } = await openLog(
        evidence,
        onFullDevice((file) => isFull && path.relative(path.join(evidence, 'log'), file).startsWith(name)),
      );
      const told = [(await log.append(big)).index];
      await log.checkpoint();
      isFull = true;
      let refused = 0;
      const appended = await log.append(big).catch((error: unknown) => error);
      if (appended instanceof Error) refused += 1;
      else told.push((appended as { index: number }).index);
      await log.checkpoint().catch(() => undefined);
      assert.equal(failures.length, 1);
      assert.equal(refused, name === 'journal' ? 1 : 0, 'what is in the journal was told, whatever follows');
      await assert.rejects(log.append(big), { code: 'log-write-failed' });
      isFull = false;
      await repaired;
      told.push((await log.append(big)).index);
      await checkAfter(evidence, log, told, refused + 1);
    } finally {
      await rm(evidence, { recursive: true });
    }
  });
}

test('a stalled write is a failed write: refused within the bound, and not in the log afterwards', async () => {
  const evidence = await mkdtemp(path.join(tmpdir(), 'hoop-stalled-'));
  try {
    let stalled: Promise<void> | null = null;
    const files: DurableFiles = {
      ...durableFiles,
      async create(file) {
        const real = await durableFiles.create(file);
        return {
          append: (bytes) => real.append(bytes),
          close: () => real.close(),
          async sync() {
            await stalled;
            await real.sync();
          },
        };
      },
    };
    // Long enough for a busy machine's ordinary writes.
    const { log, failures, repaired } = await openLog(evidence, files, 1500);
    const told = [(await log.append(big)).index];
    await log.checkpoint();
    const { promise, resolve } = Promise.withResolvers<void>();
    stalled = promise;
    const waiting = [log.append(big), log.append(big)];
    for (const one of waiting) await assert.rejects(one, { code: 'log-write-failed' });
    assert.equal(failures.length, 1);
    stalled = null;
    resolve();
    await repaired;
    assert.equal(log.size, 2, 'the first entry and the gap');
    await checkAfter(evidence, log, told, 2);
  } finally {
    await rm(evidence, { recursive: true });
  }
});
