/**
 * Reading evidence, and nothing else: it leaves no trace. Who prepared the directory is not trusted: only regular files
 * are read (a named pipe would hold the reader for ever), and no more of them than they may be long.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { hasErrno } from '../errors.ts';
import type { Location } from './location.ts';

/** A signed note is some hundred bytes for each signature. */
export const noteBytes = 1024 * 1024;
/** The journal is replaced at 1 MiB; one that never could be, because the disk refused, is longer. */
export const journalBytes = 1024 * 1024 * 1024;

/**
 * Null when there is no such regular file. Of one that is longer than `limitBytes`, these and one byte more: enough to
 * see that it is not what it should be.
 */
export async function readIfThere(file: Location, limitBytes: number): Promise<Buffer | null> {
  if (typeof file !== 'string') return file.files.read(file.name, limitBytes);
  let handle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR', 'ENXIO')) return null;
    throw error;
  }
  try {
    const status = await handle.stat();
    if (!status.isFile()) return null;
    const bytes = Buffer.allocUnsafeSlow(Math.min(status.size, limitBytes + 1));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } finally {
    await handle.close();
  }
}
