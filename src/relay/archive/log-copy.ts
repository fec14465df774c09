/**
 * The log in the archive: its tiles and its bundles first, the checkpoint that names them last, so that what stands there is a
 * log at any moment. Full tiles never change; what is partial is taken together with its checkpoint.
 */
import { publishedSize } from '../../evidence/log/read.ts';
import { parseCheckpoint, type Checkpoint } from '../../evidence/log/checkpoint.ts';
import { parseNote } from '../../evidence/log/note.ts';
import { overTiles } from '../../evidence/log/proofs.ts';
import { rootAt } from '../../evidence/log/tlog.ts';
import { bundleBytes, parseTilePath, tileWidth } from '../../evidence/log/tile.ts';
import { tilesOf } from '../../evidence/read/files.ts';
import path from 'node:path';
import { noteBytes, readIfThere } from '../../evidence/regular-file.ts';
import { ArchiveError } from './error.ts';
import { keep } from './keep.ts';
import { localFile, memoryFile } from './local-file.ts';
import { inParallel } from './parallel.ts';
import type { ArchivedFile, ArchiveStore } from './store.ts';

/** A checkpoint with the partial tiles that it needs. */
export interface LogSnapshot {
  readonly origin: string;
  readonly size: number;
  readonly checkpoint: ArchivedFile;
  readonly partial: readonly ArchivedFile[];
}

const tries = 20;

/** As it is published now; null when it changed under the hand each time. */
export async function snapshotOf(evidence: string): Promise<LogSnapshot | null> {
  for (let i = 0; i < tries; i++) {
    const note = await readIfThere(path.join(evidence, 'log/checkpoint'), noteBytes);
    if (note === null) return null;
    const { origin, size } = parseCheckpoint(parseNote(note).text);
    const partial = await partialTiles(evidence, size);
    if (partial !== null) return { origin, size, checkpoint: memoryFile('log/checkpoint', note), partial };
  }
  return null;
}

/** Null: one of them was replaced by a wider one meanwhile. */
async function partialTiles(evidence: string, size: number): Promise<ArchivedFile[] | null> {
  const files: ArchivedFile[] = [];
  for (const tile of tilesOf(size, size)) {
    if (parseTilePath(tile)?.width === tileWidth) continue;
    const bytes = await readIfThere(path.join(evidence, 'log', tile), bundleBytes);
    if (bytes === null) return null;
    files.push(memoryFile(`log/${tile}`, bytes));
  }
  return files;
}

/** What the archive says the log is; null when it has none. Whose word that is, its signature would tell. */
export async function archivedHead(store: ArchiveStore): Promise<Checkpoint | null> {
  const note = await store.read('log/checkpoint', noteBytes);
  if (note === null) return null;
  try {
    return parseCheckpoint(parseNote(note).text);
  } catch {
    // It is put anew.
    return null;
  }
}

/** Whether the log of `ours` begins with what `theirs` names: by the tiles here, not by a name. */
export async function isBeginning(evidence: string, ours: LogSnapshot, theirs: Checkpoint): Promise<boolean> {
  if (theirs.origin !== ours.origin || theirs.size > ours.size) return false;
  const read = async (tile: string): Promise<Buffer | null> => {
    const partial = ours.partial.find(({ name }) => name === `log/${tile}`);
    if (partial !== undefined) return partial.read(0, partial.bytes);
    return readIfThere(path.join(evidence, 'log', tile), bundleBytes);
  };
  return theirs.root.equals(await overTiles(ours.size, read, (nodes) => rootAt(theirs.size, nodes)));
}

/**
 * Size of the log that the archive has; 0 when it has none.
 * @throws ArchiveError `archive-foreign`: it has another log, or more of this one than there is here. Going on would put one log
 * over the other.
 */
export async function archivedSize(
  evidence: string,
  store: ArchiveStore,
  ours: LogSnapshot,
): Promise<number> {
  const theirs = await archivedHead(store);
  if (theirs === null) return 0;
  if (await isBeginning(evidence, ours, theirs)) return theirs.size;
  const what =
    theirs.origin !== ours.origin
      ? 'the log of another relay'
      : theirs.size > ours.size
        ? 'more of the log than there is here'
        : 'another log of the same name';
  throw new ArchiveError('archive-foreign', `${store.text} has ${what}`, {
    hint: 'each relay needs a place of its own; was the evidence restored from an older copy?',
  });
}

interface LogCopy {
  readonly evidence: string;
  readonly store: ArchiveStore;
  /** Size of the log that is there already. */
  readonly from: number;
  /** Full tiles that are there beyond it; grows, so that a copy that failed goes on where it was. */
  readonly done: Set<string>;
}

/** @returns bytes that were not there */
export async function copyLog(
  { evidence, store, from, done }: LogCopy,
  { size, partial, checkpoint }: LogSnapshot,
): Promise<number> {
  let bytes = 0;
  const full = [...tilesOf(size, from)].filter(
    (tile) => parseTilePath(tile)?.width === tileWidth && !done.has(tile),
  );
  await inParallel(
    full.map((tile) => async () => {
      const file = await localFile(evidence, `log/${tile}`);
      if (file !== null) bytes += (await keep(store, file)).bytes;
      done.add(tile);
    }),
  );
  for (const file of [...partial, checkpoint]) bytes += (await keep(store, file)).bytes;
  return bytes;
}

export const published = (evidence: string): Promise<number> => publishedSize(path.join(evidence, 'log'));
