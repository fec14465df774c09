/** Waiting for a lock between processes of one user: short critical sections, such as replacing a settings file. */
import { setTimeout as delay } from 'node:timers/promises';
import path from 'node:path';
import { HoopError } from '../errors.ts';
import { tryLock } from './file-lock.ts';
import type { FileLock } from './file-lock.ts';
import { ensurePrivateDirectory } from './private-file.ts';

export class ProcessLockError extends HoopError<'process-lock-timeout'> {}

/**
 * Runs `work` while holding the lock; not reentrant, also within one process. Looks every few
 * milliseconds, since nobody tells when it becomes free.
 * @throws ProcessLockError `process-lock-timeout`; what `work` throws
 */
export async function withProcessLock<T>(
  file: string,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<T> {
  await ensurePrivateDirectory(path.dirname(file));
  const lock = await waitForLock(file, timeoutMs);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

async function waitForLock(file: string, timeoutMs: number): Promise<FileLock> {
  const started = performance.now();
  for (;;) {
    const lock = tryLock(file);
    if (lock !== null) return lock;
    if (performance.now() - started > timeoutMs)
      throw new ProcessLockError(
        'process-lock-timeout',
        `another hoop process has held ${file} for too long`,
        {
          hint: 'end that process, then try again',
        },
      );
    await delay(5 + Math.random() * 20);
  }
}
