/**
 * A lock between processes that the kernel releases when its holder dies, however it dies. Node.js has no flock(2) or
 * fcntl(2), so SQLite takes its own POSIX lock on an empty database for us; unlike flock's it does not pass to children.
 * Works on one machine; on network file systems it is as good as their POSIX locks.
 */
import { DatabaseSync } from 'node:sqlite';

const sqliteBusy = 5;

export interface FileLock {
  /** Idempotent. */
  release(): void;
}

/**
 * @param file created when absent; it stays empty and must not be removed while it may be held
 * @returns null when it is held, by another process or by this one
 */
export function tryLock(file: string): FileLock | null {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    // Nothing is ever written, so no rollback journal is wanted beside the lock (OFF is not allowed by Node's defaults).
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy) return null;
    throw error;
  }
  let held = true;
  return {
    release() {
      if (held) database.close();
      held = false;
    },
  };
}
