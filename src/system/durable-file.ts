/**
 * Files whose writes can be relied on after a lost machine: each method is one step that a crash may fall behind, so
 * that a caller states its order of steps and a test stops it after each of them.
 *
 * Deliberately no buffering and no retry: what a failed fdatasync left behind is unknown (the kernel may call the pages
 * clean), so a caller that wants to go on writes everything again into a new file.
 */
import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { hasErrno } from '../errors.ts';

/** An open file that only grows. One owner; calls do not overlap. */
export interface AppendFile {
  /** Resolves when the kernel has all bytes (they survive a killed process, not a lost machine). */
  append(bytes: Uint8Array): Promise<void>;
  /** fdatasync: everything appended before the call survives a lost machine. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Paths are absolute. Everything created is readable by the owner alone. */
export interface DurableFiles {
  /** The whole file; null when there is none. */
  read(file: string): Promise<Buffer | null>;
  /** An empty file in place of whatever was there. */
  create(file: string): Promise<AppendFile>;
  rename(from: string, to: string): Promise<void>;
  /** True when it did not exist; its name is durable only after `syncDirectory` of its parent. */
  makeDirectory(directory: string): Promise<boolean>;
  /** Makes names created, renamed or removed in the directory durable. */
  syncDirectory(directory: string): Promise<void>;
  /** A file, or a directory with all in it; nothing when it is absent. */
  remove(target: string): Promise<void>;
}

class NodeAppendFile implements AppendFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async append(bytes: Uint8Array): Promise<void> {
    // write(2) may take less than it was given (a nearly full disk); the next call then says why.
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, at, bytes.length - at, null);
      at += bytesWritten;
    }
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

export const durableFiles: DurableFiles = {
  async read(file) {
    try {
      return await readFile(file);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return null;
      throw error;
    }
  },

  async create(file) {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND;
    return new NodeAppendFile(await open(file, flags, 0o600));
  },

  rename: (from, to) => rename(from, to),

  async makeDirectory(directory) {
    try {
      await mkdir(directory, 0o700);
      return true;
    } catch (error) {
      if (hasErrno(error, 'EEXIST')) return false;
      throw error;
    }
  },

  async syncDirectory(directory) {
    const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },

  remove: (target) => rm(target, { recursive: true, force: true }),
};

/**
 * Puts a whole file in place: after a crash there is the old content or the new, never a part. The name is durable only
 * after `syncDirectory` of the directory, which the caller does (once for many files).
 */
export async function replaceFile(files: DurableFiles, file: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${file}.tmp`;
  const handle = await files.create(temporary);
  try {
    await handle.append(bytes);
    await handle.sync();
  } catch (error) {
    await handle.close();
    // On a full disk half a file is in the way of the next attempt.
    await files.remove(temporary).catch(() => undefined);
    throw error;
  }
  await handle.close();
  await files.rename(temporary, file);
}
