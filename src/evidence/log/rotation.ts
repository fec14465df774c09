/** Which key is in force, as the log's own entries say; and which may be next. */
import path from 'node:path';
import type { DurableFiles } from '../../system/durable-file.ts';
import { decodeEntry } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { handoverPath } from './handover.ts';
import type { CheckpointSigner, NoteVerifier } from './note.ts';
import type { Recovered } from './recovery.ts';

/**
 * The key that signs from here on: the one that signed the checkpoint on disk, unless the last entry under it hands over
 * to another (the relay ended between the old key's last signature and the new key's first).
 * @param keys those at hand
 * @returns `renew`: the checkpoint on disk is the old key's last
 * @throws EvidenceError `log-key-superseded`
 */
export function keysOf(
  { signer, lastPublished }: Recovered,
  keys: readonly CheckpointSigner[],
): { readonly inForce: CheckpointSigner; readonly renew: boolean } {
  const next = lastPublished === null ? null : rotationIn(lastPublished, signer.verifier, keys);
  return { inForce: next ?? signer, renew: next !== null };
}

/**
 * The key that an entry hands over to; null for every other entry.
 * @param from the key in force before it
 * @throws EvidenceError `log-key-superseded` when that key is not at hand
 */
export function rotationIn(
  leaf: Buffer,
  from: NoteVerifier,
  keys: readonly CheckpointSigner[],
): CheckpointSigner | null {
  if (!leaf.includes('"log.key-rotated"')) return null;
  const decoded = decodeEntry(leaf);
  if (decoded.state !== 'known' || decoded.entry.kind !== 'log.key-rotated') return null;
  const { entry } = decoded;
  if (entry.from !== from.toString()) return null;
  const next = keys.find(({ verifier }) => verifier.toString() === entry.to);
  if (next !== undefined) return next;
  throw new EvidenceError('log-key-superseded', `the log was handed over to the key ${entry.to}`, {
    hint: 'name that key in log.key (or log.nextKey), or restore its file beside the old one',
  });
}

/** @throws EvidenceError `rotation-refused` */
export async function refuseRotation(
  { files, directory }: { readonly files: DurableFiles; readonly directory: string },
  from: NoteVerifier,
  to: NoteVerifier,
): Promise<void> {
  if (to.cosigns || to.name !== from.name) refuse(`the new key is not one of the log ${from.name}`);
  if (to.samePublicKey(from)) refuse('the new key is the one in force');
  const over = await files.read(path.join(directory, handoverPath(to.toString())));
  if (over !== null) refuse('the new key was in force before; a key that was handed over never comes back');
}

function refuse(why: string): never {
  throw new EvidenceError('rotation-refused', why);
}
