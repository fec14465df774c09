/** A file of the evidence directory on its way to the archive. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { ArchiveError } from './error.ts';
import type { ArchivedFile } from './store.ts';

const pieceBytes = 4 * 1024 * 1024;

/** With the digest that it has now; null when there is none. @param name below the evidence directory */
export async function localFile(evidence: string, name: string): Promise<ArchivedFile | null> {
  const file = path.join(evidence, name);
  const digest = createHash('sha256');
  let bytes = 0;
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      // Most files are small, and a large buffer for each costs more than reading them.
      const piece = Buffer.allocUnsafe(Math.min(pieceBytes, size + 1));
      for (;;) {
        const { bytesRead } = await handle.read(piece, 0, piece.length, bytes);
        if (bytesRead === 0) break;
        digest.update(piece.subarray(0, bytesRead));
        bytes += bytesRead;
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
  return {
    name,
    sha256: digest.digest('hex'),
    bytes,
    read: (offset, length) => readAt(file, offset, length),
  };
}

async function readAt(file: string, offset: number, length: number): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const piece = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await handle.read(piece, filled, length - filled, offset + filled);
      if (bytesRead === 0)
        throw new ArchiveError('archive-mismatch', 'a file became shorter on its way to the archive');
      filled += bytesRead;
    }
    return piece;
  } finally {
    await handle.close();
  }
}

/** A file that is in memory. */
export function memoryFile(name: string, content: Buffer): ArchivedFile {
  return {
    name,
    sha256: createHash('sha256').update(content).digest('hex'),
    bytes: content.length,
    read: (offset, length) => Promise.resolve(content.subarray(offset, offset + length)),
  };
}
