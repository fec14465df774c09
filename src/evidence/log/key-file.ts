/** The log's signing key in a file of its own, C2SP text form, mode 0600. Kept apart from the log that it signs. */
import { constants } from 'node:fs';
import { link, open } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { durableFiles } from '../../system/durable-file.ts';
import { EvidenceError } from '../error.ts';
import { NoteSigner } from './note.ts';

/**
 * @throws EvidenceError `evidence-not-found`, `log-key-exposed` when others may read the file, `note-malformed`
 */
export async function readSigner(file: string): Promise<NoteSigner> {
  let handle;
  try {
    handle = await open(file, constants.O_RDONLY);
  } catch (cause) {
    if (!hasErrno(cause, 'ENOENT')) throw cause;
    throw new EvidenceError('evidence-not-found', 'the file of the log’s signing key is missing', { cause });
  }
  try {
    if (((await handle.stat()).mode & 0o077) !== 0) {
      throw new EvidenceError('log-key-exposed', 'the log’s signing key is readable by others', {
        hint: `run: chmod 600 ${file}; if others may have read it, start a new log with a new key`,
      });
    }
    return NoteSigner.parse(await handle.readFile('utf8'));
  } finally {
    await handle.close();
  }
}

/**
 * A new key in a new file.
 * @param name the log's origin
 * @throws EEXIST as a system error: a key is never replaced
 */
export async function createSigner(file: string, name: string): Promise<NoteSigner> {
  const signer = NoteSigner.generate(name);
  // Whole or not at all: half a key would keep the relay from starting. Unlike rename, link never replaces.
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(`${signer.exportSecret()}\n`);
    await handle.sync();
    await link(temporary, file);
  } finally {
    await handle.close();
    await durableFiles.remove(temporary);
  }
  // A checkpoint must never outlive the only key that verifies it.
  await durableFiles.syncDirectory(path.dirname(file));
  return signer;
}
