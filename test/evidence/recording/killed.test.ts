/**
 * A relay that dies at any step of recording, sealing or recovery. What a dying process leaves is what is on disk at that
 * moment, so one run is photographed around every step, and every photograph is recovered; some runs are really killed.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { interruptCalls } from './interrupted-calls.ts';
import { appendTo, checkRecord, recordSession, recoverSession } from './recording-run.ts';

interface Photograph {
  readonly directory: string;
  readonly delivered: readonly number[];
}

/** Runs `work` in `directory` and photographs it around every step. */
async function photographed(
  base: string,
  directory: string,
  work: (append: Parameters<typeof recordSession>[1], delivered: (command: number) => void) => Promise<void>,
): Promise<Photograph[]> {
  const photographs: Photograph[] = [];
  const delivered: number[] = [];
  using calls = interruptCalls(() => {
    const copy = mkdtempSync(path.join(base, 'photograph-'));
    cpSync(directory, copy, { recursive: true });
    photographs.push({ directory: copy, delivered: [...delivered] });
  });
  await work(
    (entry) => calls.step(async () => appendTo(directory, entry)),
    (command) => delivered.push(command),
  );
  return photographs;
}

test('dead at any step of recording and sealing, and again at any step of recovery: the record becomes whole', async () => {
  const base = mkdtempSync(path.join(tmpdir(), 'hoop-killed-'));
  try {
    const directory = mkdtempSync(path.join(base, 'run-'));
    const photographs = await photographed(base, directory, (append, delivered) =>
      recordSession(directory, append, delivered),
    );
    await checkRecord(directory, [1, 2, 3, 4, 5, 6]);
    assert.ok(photographs.length > 40, `only ${photographs.length} steps`);
    for (const [at, { directory: found, delivered }] of photographs.entries()) {
      // Every ninth recovery is itself photographed around its steps, and each photograph recovered.
      if (at % 9 === 0) {
        const again = await photographed(base, found, (append) => recoverSession(found, append));
        for (const second of again) {
          await recoverSession(second.directory);
          await checkRecord(second.directory, delivered);
          rmSync(second.directory, { recursive: true });
        }
      } else await recoverSession(found);
      await checkRecord(found, delivered);
      await recoverSession(found);
      await checkRecord(found, delivered);
      rmSync(found, { recursive: true });
    }
  } finally {
    rmSync(base, { recursive: true });
  }
});

for (const at of [3, 17, 30, 38])
  test(`really killed at step ${at}: recovery makes the record whole`, async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'hoop-killed-'));
    try {
      const child = path.join(import.meta.dirname, 'killed-child.ts');
      const running = spawn(process.execPath, [child, directory, String(at)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let out = '';
      running.stdout.on('data', (bytes) => (out += String(bytes)));
      const signal = await new Promise((resolve) => running.on('close', (_code, how) => resolve(how)));
      assert.equal(signal, 'SIGKILL');
      await recoverSession(directory);
      await checkRecord(
        directory,
        out
          .split('\n')
          .filter((line) => line !== '')
          .map(Number),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
