/**
 * Files and directories that belong to one user alone: secrets, sockets, the CLI's own settings.
 *
 * A directory is 0700, a file 0600, both ours and no symbolic link; anything else is refused rather than repaired,
 * because whoever could change the mode may already have read or planted the content. Writing replaces the file by
 * rename after fdatasync, so a reader sees the old or the new content, never a part.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { HoopError, hasErrno } from '../errors.ts';

export class PrivateFileError extends HoopError<'private-path-unsafe'> {}

/** True where the system has Unix owners and modes; elsewhere the user's profile directory is the protection. */
const hasOwners = process.getuid !== undefined;

async function refuseUnlessOurs(target: string, kind: 'file' | 'directory'): Promise<void> {
  const stat = await lstat(target);
  const rightKind = kind === 'file' ? stat.isFile() : stat.isDirectory();
  const ours = !hasOwners || (stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0);
  if (rightKind && ours) return;
  throw new PrivateFileError('private-path-unsafe', `${target} is not a ${kind} that only you can use`, {
    hint: `check who owns it, then: chmod ${kind === 'file' ? '600' : '700'} ${target}`,
  });
}

/**
 * Makes the directory (0700, parents as needed) or checks the one that is there.
 * @throws PrivateFileError `private-path-unsafe`
 */
export async function ensurePrivateDirectory(directory: string): Promise<void> {
  await mkdir(path.dirname(directory), { recursive: true });
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error;
  }
  await refuseUnlessOurs(directory, 'directory');
}

/**
 * The content, or null when there is no such file.
 * @throws PrivateFileError `private-path-unsafe`
 */
export async function readPrivateFile(file: string): Promise<Buffer | null> {
  try {
    await refuseUnlessOurs(file, 'file');
    const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

/**
 * Replaces the file as a whole; its directory is made as `ensurePrivateDirectory` does.
 * @throws PrivateFileError `private-path-unsafe`
 */
export async function writePrivateFile(file: string, content: string | Uint8Array): Promise<void> {
  await ensurePrivateDirectory(path.dirname(file));
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.datasync();
    await handle.close();
    await rename(temporary, file);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}
