/** The signing key of a log, or of a witness, in a file of its own, C2SP text form, mode 0600. Kept apart from the log. */
import { constants } from 'node:fs';
import { link, mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { durableFiles } from '../../system/durable-file.ts';
import { EvidenceError } from '../error.ts';
import { Cosigner, NoteSigner } from './note.ts';

/**
 * @throws EvidenceError `evidence-not-found`, `log-key-exposed` when others may read the file, `note-malformed`
 */
export const readSigner = async (file: string): Promise<NoteSigner> => NoteSigner.parse(await readKey(file));

async function readKey(file: string): Promise<string> {
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
    return await handle.readFile('utf8');
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
  await writeKey(file, signer.exportSecret());
  return signer;
}

/**
 * The key of a witness, made at its first start.
 * @throws EvidenceError `log-key-exposed`, `note-malformed` (also when it is of a witness with another name)
 */
export async function openWitnessKey(file: string, name: string): Promise<Cosigner> {
  let cosigner: Cosigner;
  try {
    cosigner = Cosigner.parse(await readKey(file));
  } catch (error) {
    if (!(error instanceof EvidenceError) || error.code !== 'evidence-not-found') throw error;
    cosigner = Cosigner.generate(name);
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeKey(file, cosigner.exportSecret());
  }
  if (cosigner.verifier.name === name) return cosigner;
  throw new EvidenceError('note-malformed', `${file} is the key of the witness ${cosigner.verifier.name}`);
}

async function writeKey(file: string, secret: string): Promise<void> {
  // Whole or not at all: half a key would keep the relay from starting. Unlike rename, link never replaces.
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(`${secret}\n`);
    await handle.sync();
    await link(temporary, file);
  } finally {
    await handle.close();
    await durableFiles.remove(temporary);
  }
  // A checkpoint must never outlive the only key that verifies it.
  await durableFiles.syncDirectory(path.dirname(file));
}
