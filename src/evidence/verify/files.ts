/** Reading, and nothing else: verification leaves no trace. */
import { readFile } from 'node:fs/promises';
import { hasErrno } from '../../errors.ts';

/** Null when there is no such file. */
export async function readIfThere(file: string): Promise<Buffer | null> {
  try {
    return await readFile(file);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return null;
    throw error;
  }
}
