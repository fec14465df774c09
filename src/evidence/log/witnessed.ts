/**
 * What witnesses have said of the log, kept beside it: for each witness the newest checkpoint that it cosigned, a signed
 * note with the log's own signature and the witness's, at `witnessed/<SHA-256 of the witness's vkey>`. The checkpoint of
 * the log has the cosignatures of its own size alone, and is replaced each second; this says up to where each witness vouches.
 */
import { hash } from 'node:crypto';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { parseNote, type NoteVerifier } from './note.ts';

/** Path below the log's directory, and below `/log/`. */
export const witnessedPath = (vkey: string): string => `witnessed/${hash('sha256', vkey, 'hex')}`;

/** A witness's statement: at that time this was the log's largest tree that it knew. */
export interface Cosigned {
  readonly checkpoint: Checkpoint;
  /** Since the epoch. */
  readonly seconds: number;
  readonly note: string;
}

/**
 * The statement of a witness in a note; null when the note has no valid cosignature of its key.
 * @param bytes of any origin
 * @throws EvidenceError `note-malformed`
 */
export function readCosigned(bytes: Uint8Array, witness: NoteVerifier): Cosigned | null {
  const note = parseNote(bytes);
  for (const line of note.signatures) {
    const seconds = witness.check(note.text, line);
    if (seconds !== null)
      return { checkpoint: parseCheckpoint(note.text), seconds, note: Buffer.from(bytes).toString() };
  }
  return null;
}
