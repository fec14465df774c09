/**
 * What is on disk → the state to go on from. The one path by which a log is opened, after a clean end as after a crash.
 *
 * The checkpoint names a prefix; its tiles are on disk (publication's order). The journal holds every acknowledged entry
 * from some index at or before the checkpoint's size, perhaps followed by unacknowledged ones. So the history is: the
 * checkpoint's entries, then the journal's from there on. It extends what was signed and cannot fork it. When the two do
 * not meet, something other than a crash happened and nothing is appended.
 */
import path from 'node:path';
import type { DurableFiles } from '../../system/durable-file.ts';
import { decodeEntry } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { openCheckpointByAny, type Checkpoint } from './checkpoint.ts';
import { decodeJournal, type Journal } from './journal.ts';
import type { CheckpointSigner } from './note.ts';
import { frameEntry, splitBundle, splitTile, TreeEdge, tilePath, tilesAt, tileWidth } from './tile.ts';
import { leafHash, type Hash } from './tlog.ts';

export interface Recovered {
  /** The checkpoint on disk, as a note; empty when the log is new. */
  readonly note: string;
  /** Who signed it. */
  readonly signer: CheckpointSigner;
  /** The last entry that it names; null when there is none. */
  readonly lastPublished: Buffer | null;
  /** Size of the checkpoint on disk. */
  readonly published: number;
  /** The tree under that checkpoint. */
  readonly edge: TreeEdge;
  /** Framed entries of the bundle that `published` falls into. */
  readonly framed: readonly Buffer[];
  /** Entries of the journal from `published` on, to be appended to both. */
  readonly entries: readonly Buffer[];
  /** Bytes of unacknowledged, torn records at the journal's end. */
  readonly torn: number;
  /** Of the last entry, in milliseconds since the epoch; 0 when there is none. */
  readonly lastTimeMs: number;
}

function damaged(what: string, cause?: unknown): EvidenceError {
  return new EvidenceError('log-damaged', what, {
    cause,
    hint: 'nothing was changed; run hoop audit verify on the directory, and restore the log or start a new one with a new key',
  });
}

/**
 * @param signers keys that the checkpoint may be signed by
 * @returns null when there is no log in the directory yet
 * @throws EvidenceError `log-damaged`
 */
export async function recover(
  files: DurableFiles,
  directory: string,
  signers: readonly CheckpointSigner[],
): Promise<Recovered | null> {
  const signed = await files.read(path.join(directory, 'checkpoint'));
  const journalBytes = await files.read(path.join(directory, 'journal'));
  if (signed === null) {
    // A new log's first checkpoint is durable before its journal is made.
    if (journalBytes !== null) throw damaged('the log has a journal and no checkpoint');
    return null;
  }
  const { checkpoint, key: signer } = readCheckpoint(signed, signers);
  const note = signed.toString();
  const { size } = checkpoint;
  const edge = await readEdge(files, directory, checkpoint);
  const framed = await readBundle(files, directory, size, edge.partial(0));
  if (journalBytes === null) {
    if (size > 0) throw damaged('the log’s journal is missing');
    return {
      note,
      signer,
      lastPublished: null,
      published: 0,
      edge,
      framed,
      entries: [],
      torn: 0,
      lastTimeMs: 0,
    };
  }
  const journal = decodeJournal(journalBytes);
  if (journal === null || journal.damaged) throw damaged('the log’s journal is not whole');
  if (journal.base > size || journal.base + journal.entries.length < size)
    throw damaged('the log’s journal does not reach its checkpoint');
  await compareOverlap(files, directory, journal, edge);
  const entries = journal.entries.slice(size - journal.base);
  const lastPublished = framed.at(-1)?.subarray(2) ?? (await readLast(files, directory, size));
  const lastTimeMs = timeOf(entries.at(-1) ?? lastPublished);
  const { torn } = journal;
  return { note, signer, lastPublished, published: size, edge, framed, entries, torn, lastTimeMs };
}

/** The last entry of a tree whose last bundle is full. */
async function readLast(files: DurableFiles, directory: string, size: number): Promise<Buffer | null> {
  if (size === 0) return null;
  const name = tilePath('entries', size / tileWidth - 1);
  try {
    return splitBundle(await readTile(files, directory, name), tileWidth).at(-1) ?? null;
  } catch (cause) {
    throw cause instanceof EvidenceError
      ? cause
      : damaged(`the log’s file ${name} is not an entry bundle`, cause);
  }
}

function timeOf(bytes: Buffer | null): number {
  if (bytes === null) return 0;
  const decoded = decodeEntry(bytes);
  if (decoded.state === 'malformed') throw damaged('the log’s last entry cannot be read');
  return Date.parse(decoded.state === 'known' ? decoded.entry.time : decoded.time);
}

function readCheckpoint(
  signed: Buffer,
  signers: readonly CheckpointSigner[],
): { readonly checkpoint: Checkpoint; readonly key: CheckpointSigner } {
  try {
    return openCheckpointByAny(signed, signers);
  } catch (cause) {
    throw damaged('the log’s checkpoint is not signed by this relay’s key', cause);
  }
}

async function readTile(files: DurableFiles, directory: string, name: string): Promise<Buffer> {
  const bytes = await files.read(path.join(directory, name));
  if (bytes === null) throw damaged(`the log’s file ${name} is missing`);
  return bytes;
}

async function readHashes(
  files: DurableFiles,
  directory: string,
  level: number,
  size: number,
): Promise<Hash[]> {
  const { full, partial } = tilesAt(level, size);
  if (partial === 0) return [];
  const name = tilePath(level, full, partial);
  try {
    return splitTile(await readTile(files, directory, name), partial);
  } catch (cause) {
    throw cause instanceof EvidenceError ? cause : damaged(`the log’s file ${name} is not a tile`, cause);
  }
}

async function readEdge(
  files: DurableFiles,
  directory: string,
  { size, root }: Checkpoint,
): Promise<TreeEdge> {
  const levels: Hash[][] = [];
  for (let level = 0; tilesAt(level, size).full + tilesAt(level, size).partial > 0; level++) {
    levels.push(await readHashes(files, directory, level, size));
  }
  const edge = TreeEdge.restore(size, levels);
  if (!edge.root().equals(root)) throw damaged('the log’s tiles do not give the root of its checkpoint');
  return edge;
}

async function readBundle(
  files: DurableFiles,
  directory: string,
  size: number,
  hashes: readonly Hash[],
): Promise<Buffer[]> {
  if (hashes.length === 0) return [];
  const name = tilePath('entries', Math.floor(size / tileWidth), hashes.length);
  const bytes = await readTile(files, directory, name);
  let entries: Buffer[];
  try {
    entries = splitBundle(bytes, hashes.length);
  } catch (cause) {
    throw damaged(`the log’s file ${name} is not an entry bundle`, cause);
  }
  if (!entries.every((entry, i) => leafHash(entry).equals(hashes[i]!)))
    throw damaged(`the log’s file ${name} has another entry than the checkpoint`);
  return entries.map(frameEntry);
}

/** The journal must tell the same history as the checkpoint where both tell it. */
async function compareOverlap(
  files: DurableFiles,
  directory: string,
  journal: Journal,
  edge: TreeEdge,
): Promise<void> {
  const lastFull = Math.floor(edge.size / tileWidth);
  let tile: readonly Hash[] = [];
  let loaded = -1;
  for (let index = journal.base; index < edge.size; index++) {
    const n = Math.floor(index / tileWidth);
    if (n !== loaded) {
      loaded = n;
      tile =
        n === lastFull
          ? edge.partial(0)
          : splitTile(await readTile(files, directory, tilePath(0, n)), tileWidth);
    }
    if (!leafHash(journal.entries[index - journal.base]!).equals(tile[index % tileWidth]!))
      throw damaged('the log’s journal and its checkpoint tell different histories');
  }
}
