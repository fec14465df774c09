/**
 * Mutual exclusion between processes of one user. The lock is SQLite's on an empty database file: Node.js has no
 * flock of its own, and this one is released by the kernel when its holder dies, however it dies.
 */
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import path from 'node:path';
import { HoopError } from '../errors.ts';
import { ensurePrivateDirectory } from './private-file.ts';

export class ProcessLockError extends HoopError<'process-lock-timeout'> {}

/** Held until `release`; releasing twice is harmless. */
export interface ProcessLock {
  release(): void;
}

/** SQLITE_BUSY, primary result code. */
const busy = 5;

/** The lock if nobody holds it, else null. The file's directory becomes private to this user. */
export async function tryProcessLock(file: string): Promise<ProcessLock | null> {
  await ensurePrivateDirectory(path.dirname(file));
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === busy) return null;
    throw error;
  }
  let held = true;
  return {
    release: () => {
      if (held) database.close();
      held = false;
    },
  };
}

/**
 * Waits for the lock. Short waits only: it looks every few milliseconds, since SQLite cannot tell.
 * @throws ProcessLockError `process-lock-timeout`
 */
export async function processLock(file: string, timeoutMs: number): Promise<ProcessLock> {
  const started = performance.now();
  for (;;) {
    const lock = await tryProcessLock(file);
    if (lock !== null) return lock;
    if (performance.now() - started > timeoutMs)
      throw new ProcessLockError(
        'process-lock-timeout',
        `another hoop process has held ${file} for too long`,
        {
          hint: 'end that process, then try again',
        },
      );
    await delay(10 + Math.random() * 20);
  }
}

/** Runs `work` while holding the lock. */
export async function withProcessLock<T>(
  file: string,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await processLock(file, timeoutMs);
  try {
    return await work();
  } finally {
    lock.release();
  }
}
