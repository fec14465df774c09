/**
 * The log in the archive: its tiles and its bundles first, the checkpoint that names them last, so that what stands there is a
 * log at any moment. Full tiles never change; what is partial is taken together with its checkpoint.
 */
import { publishedSize } from '../../evidence/log/read.ts';
import { parseCheckpoint } from '../../evidence/log/checkpoint.ts';
import { parseNote } from '../../evidence/log/note.ts';
import { bundleBytes, parseTilePath, tileWidth } from '../../evidence/log/tile.ts';
import { tilesOf } from '../../evidence/read/files.ts';
import path from 'node:path';
import { noteBytes, readIfThere } from '../../evidence/regular-file.ts';
import { keep } from './keep.ts';
import { localFile, memoryFile } from './local-file.ts';
import { inParallel } from './parallel.ts';
import type { ArchivedFile, ArchiveStore } from './store.ts';

/** A checkpoint with the partial tiles that it needs. */
export interface LogSnapshot {
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
    const { size } = parseCheckpoint(parseNote(note).text);
    const partial = await partialTiles(evidence, size);
    if (partial !== null) return { size, checkpoint: memoryFile('log/checkpoint', note), partial };
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

/** Size of the log that the archive has; 0 when it has none. */
export async function archivedSize(store: ArchiveStore): Promise<number> {
  const note = await store.read('log/checkpoint', noteBytes);
  if (note === null) return 0;
  try {
    return parseCheckpoint(parseNote(note).text).size;
  } catch {
    // It is put anew.
    return 0;
  }
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
