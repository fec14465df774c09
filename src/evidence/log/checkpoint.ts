/**
 * Checkpoints, https://c2sp.org/tlog-checkpoint: a signed note whose text is `origin`, `size` and the root in base64, one
 * a line; lines after these three are extensions, kept in the signed text and not interpreted.
 */
import { EvidenceError } from '../error.ts';
import { openNote, type Note, type NoteVerifier } from './note.ts';
import { hashBytes, type TreeHead } from './tlog.ts';

export interface Checkpoint extends TreeHead {
  /** Identity of the log: the relay's host name and path without scheme; also the name of its key. */
  readonly origin: string;
}

export const formatCheckpoint = ({ origin, size, root }: Checkpoint): string =>
  `${origin}\n${size}\n${root.toString('base64')}\n`;

/** @throws EvidenceError `note-malformed` */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', size = '', root = '', ...rest] = text.split('\n');
  const hash = Buffer.from(root, 'base64');
  const wellFormed =
    text.endsWith('\n') &&
    origin !== '' &&
    /^(0|[1-9]\d{0,15})$/.test(size) &&
    Number.isSafeInteger(Number(size)) &&
    hash.length === hashBytes &&
    hash.toString('base64') === root &&
    rest.at(-1) === '' &&
    rest.slice(0, -1).every((line) => line !== '');
  if (!wellFormed) throw new EvidenceError('note-malformed', 'the text of a note is not a checkpoint');
  return { origin, size: Number(size), root: hash };
}

export const signCheckpoint = <Signed extends string | Promise<string>>(
  checkpoint: Checkpoint,
  signer: { sign(text: string): Signed },
): Signed => signer.sign(formatCheckpoint(checkpoint));

/**
 * @param bytes of any origin
 * @throws EvidenceError `note-malformed`, `note-unverified` (also when the origin is not the key's name)
 */
export function openCheckpoint(
  bytes: Uint8Array,
  verifier: NoteVerifier,
): { note: Note; checkpoint: Checkpoint } {
  const note = openNote(bytes, verifier);
  const checkpoint = parseCheckpoint(note.text);
  if (checkpoint.origin !== verifier.name)
    throw new EvidenceError('note-unverified', 'the checkpoint is of another log than the key');
  return { note, checkpoint };
}

/**
 * The first of the keys that signed a checkpoint, each tried in turn.
 * @throws EvidenceError `note-malformed`, `note-unverified` when none did
 */
export function openCheckpointByAny<Key extends { readonly verifier: NoteVerifier }>(
  bytes: Uint8Array,
  keys: readonly Key[],
): { readonly checkpoint: Checkpoint; readonly key: Key } {
  let refusal: unknown = new EvidenceError(
    'note-unverified',
    'there is no key to verify the checkpoint with',
  );
  for (const key of keys) {
    try {
      return { checkpoint: openCheckpoint(bytes, key.verifier).checkpoint, key };
    } catch (error) {
      if (!(error instanceof EvidenceError) || error.code !== 'note-unverified') throw error;
      refusal = error;
    }
  }
  throw refusal;
}
