/**
 * How a log's key is handed over to the next one, so that whoever knows the old key comes to trust the new one through the
 * log itself. Pure: bytes in, proof out.
 *
 * The log holds an entry `log.key-rotated` (entries/log-key.ts). A *hand-over* is the proof of it for those who may not
 * read the log: a C2SP tlog-proof (https://c2sp.org/tlog-proof) with the entry as its extra data, and the checkpoint
 * that the old key signed over exactly the tree that ends with the entry:
 *
 *     c2sp.org/tlog-proof@v1
 *     extra <base64 of the entry>
 *     index <its place>
 *     <inclusion proof>
 *
 *     <checkpoint of size index + 1, signed by the old key>
 *
 * That size is the rule by which everybody tells which key counts: the old key signs trees up to the entry, the new one
 * larger trees and this one again. A key is handed over once and never comes back, so the proof is found by the old key's
 * name: `handover/<SHA-256 of its vkey>`.
 */
import { hash } from 'node:crypto';
import { decodeEntry, type EntryOf } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { openCheckpoint, type Checkpoint } from './checkpoint.ts';
import { NoteVerifier, parseNote, type CheckpointSigner } from './note.ts';
import { hashBytes, leafHash, verifyInclusion, type Hash } from './tlog.ts';

export type RotationEntry = EntryOf<'log.key-rotated'>;

const firstLine = 'c2sp.org/tlog-proof@v1';
/** An entry, 63 hashes and a checkpoint; a hand-over is far shorter. */
export const maxHandoverBytes = 256 * 1024;
/** Nobody rotates a key so often; a chain that was made to be long is not followed. */
export const maxHandovers = 1000;

/** Path below the log's directory, and below `/log/`. @param vkey of the key that was handed over */
export const handoverPath = (vkey: string): string => `handover/${hash('sha256', vkey, 'hex')}`;

/**
 * What the new key signs. Its first line cannot be a log's origin with a size after it: this signature is no checkpoint.
 */
export const handoverStatement = (from: NoteVerifier, to: NoteVerifier): string =>
  `hoop log key hand-over v1\n${from.toString()}\n${to.toString()}\n`;

/**
 * The new key's signature over the hand-over, base64.
 * @throws what the signer throws
 */
export async function signPossession(from: NoteVerifier, to: CheckpointSigner): Promise<string> {
  const note = await to.sign(handoverStatement(from, to.verifier));
  const [line] = parseNote(Buffer.from(note)).signatures;
  return line!.signature.toString('base64');
}

/** The two keys that an entry names, once what it says is proven. @throws EvidenceError `handover-invalid` */
export function checkRotation(entry: RotationEntry): { from: NoteVerifier; to: NoteVerifier } {
  const [from, to] = [verifierOf(entry.from), verifierOf(entry.to)];
  if (from.name !== to.name) throw invalid('the new key is that of another log');
  if (from.samePublicKey(to)) throw invalid('the old key and the new one are the same');
  const signature = Buffer.from(entry.possession, 'base64');
  const line = { name: to.name, keyId: to.keyId, signature };
  if (to.check(handoverStatement(from, to), line) === null)
    throw invalid('the new key did not sign the hand-over');
  return { from, to };
}

function verifierOf(vkey: string): NoteVerifier {
  const verifier = NoteVerifier.parse(vkey);
  if (verifier.cosigns || verifier.toString() !== vkey)
    throw invalid('it names something else than a log’s key');
  return verifier;
}

/** A hand-over whose every claim is proven, given that its old key is trusted. */
export interface Handover {
  /** Place of the entry. */
  readonly index: number;
  /** The leaf as the log has it. */
  readonly leaf: Buffer;
  readonly from: NoteVerifier;
  readonly to: NoteVerifier;
  /** Of `index + 1` entries, signed by `from`. */
  readonly checkpoint: Checkpoint;
}

/** @param proof of inclusion of `leaf` as the last of the tree @param checkpoint signed note of the old key */
export function formatHandover(
  leaf: Buffer,
  index: number,
  proof: readonly Hash[],
  checkpoint: string,
): string {
  const hashes = proof.map((each) => `${each.toString('base64')}\n`).join('');
  return `${firstLine}\nextra ${leaf.toString('base64')}\nindex ${index}\n${hashes}\n${checkpoint}`;
}

/**
 * @param bytes of any origin
 * @param from the key that is trusted up to here
 * @throws EvidenceError `handover-invalid`, `note-malformed`, `note-unverified`
 */
export function openHandover(bytes: Uint8Array, from: NoteVerifier): Handover {
  const { leaf, index, proof, note } = parseProof(bytes);
  const decoded = decodeEntry(leaf);
  if (decoded.state !== 'known' || decoded.entry.kind !== 'log.key-rotated')
    throw invalid('it is of an entry that hands nothing over');
  const keys = checkRotation(decoded.entry);
  if (decoded.entry.from !== from.toString()) throw invalid('it hands over another key');
  const { checkpoint } = openCheckpoint(note, from);
  if (checkpoint.size !== index + 1)
    throw invalid('its checkpoint is not of the tree that ends with the entry');
  if (!verifyInclusion(proof, { index, size: checkpoint.size }, leafHash(leaf), checkpoint.root))
    throw invalid('the checkpoint that the old key signed does not cover it');
  return { index, leaf, ...keys, checkpoint };
}

function parseProof(bytes: Uint8Array): { leaf: Buffer; index: number; proof: Hash[]; note: Buffer } {
  if (bytes.length > maxHandoverBytes) throw invalid('it is too long');
  const text = Buffer.from(bytes).toString('utf8');
  const end = text.indexOf('\n\n');
  const [first, extra, place, ...hashes] = text.slice(0, Math.max(end, 0)).split('\n');
  const leaf = decode(/^extra (\S+)$/.exec(extra ?? '')?.[1]);
  const index = Number(/^index (0|[1-9]\d{0,14})$/.exec(place ?? '')?.[1] ?? Number.NaN);
  const proof = hashes.map(decode);
  if (
    first !== firstLine ||
    leaf === null ||
    Number.isNaN(index) ||
    !proof.every(isHash) ||
    proof.length > 63
  )
    throw invalid('it is not in the form of a tlog-proof');
  return { leaf, index, proof, note: Buffer.from(text.slice(end + 2)) };
}

const isHash = (bytes: Buffer | null): bytes is Hash => bytes?.length === hashBytes;

function decode(base64: string | undefined): Buffer | null {
  const bytes = Buffer.from(base64 ?? '', 'base64');
  return base64 !== undefined && bytes.toString('base64') === base64 ? bytes : null;
}

/**
 * Follows hand-overs from a trusted key as far as they go, oldest first.
 * @param read the file of a path; null when there is none
 * @throws EvidenceError `handover-invalid`, `note-malformed`, `note-unverified` at the first that proves nothing
 */
export async function* followHandovers(
  trusted: NoteVerifier,
  read: (path: string) => Promise<Uint8Array | null>,
): AsyncGenerator<Handover> {
  let [key, before] = [trusted, -1];
  for (let followed = 0; followed < maxHandovers; followed++) {
    const bytes = await read(handoverPath(key.toString()));
    if (bytes === null) return;
    const handover = openHandover(bytes, key);
    if (handover.index <= before) throw invalid('it is older than the one before it');
    yield handover;
    [key, before] = [handover.to, handover.index];
  }
  throw invalid('there are too many');
}

const invalid = (why: string): EvidenceError =>
  new EvidenceError('handover-invalid', `a hand-over of the log’s key proves nothing: ${why}`);
