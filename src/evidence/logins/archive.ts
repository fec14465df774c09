/**
 * Keeps what `layout.ts` describes. A file is on disk, under its final name, before the entry that names it is appended: an
 * entry never promises what a crash could take away.
 */
import { hash } from 'node:crypto';
import path from 'node:path';
import { durableFiles, replaceFile } from '../../system/durable-file.ts';
import type { KeptProofKind } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { keySetPath, proofPath } from './layout.ts';

/**
 * Keeps the text of an ID token, an assertion or a SAML response, readable by the relay alone, under today's date (UTC).
 * @param directory the evidence directory
 * @param digest SHA-256 of the text, hexadecimal
 * @throws EvidenceError `log-write-failed`: then nothing that rests on it may be appended; `entry-invalid` when the digest is another's
 */
export function keepProof(
  directory: string,
  digest: string,
  kind: KeptProofKind,
  text: string,
): Promise<void> {
  return keep(directory, proofPath(Date.now(), { kind, digest }), digest, text);
}

/** Keeps a key set that is too large for an entry. @param text canonical JSON @throws as `keepProof` */
export function keepKeySet(directory: string, digest: string, text: string): Promise<void> {
  return keep(directory, keySetPath(digest), digest, text);
}

async function keep(directory: string, name: string, digest: string, text: string): Promise<void> {
  if (hash('sha256', text, 'hex') !== digest)
    throw new EvidenceError('entry-invalid', 'what should be kept has another digest than its name');
  const file = path.join(directory, name);
  try {
    await makeDirectories(directory, path.dirname(file));
    await replaceFile(durableFiles, file, Buffer.from(text));
    await durableFiles.syncDirectory(path.dirname(file));
  } catch (cause) {
    throw new EvidenceError('log-write-failed', 'what proves a sign-in could not be kept', { cause });
  }
}

/**
 * Each name is durable before anything is put below it. Synced also where it was there already: whoever made it may not have
 * come as far.
 */
async function makeDirectories(root: string, directory: string): Promise<void> {
  if (directory === root) return;
  const parent = path.dirname(directory);
  await makeDirectories(root, parent);
  await durableFiles.makeDirectory(directory);
  await durableFiles.syncDirectory(parent);
}
