/**
 * The steps that turn an open segment into a sealed one. Each may be the last before a crash:
 *
 * 1. `write`: compress into `<index>.cbor.zst.tmp`, and where it has originals encrypt them into `<index>.age.tmp`;
 *    fdatasync. Crash: a `.tmp` means nothing; recovery starts again.
 * 2. `publish`: rename to `<index>.age`, then to `<index>.cbor.zst`; fsync the directory. Crash: the log does not name the
 *    segment yet, so recovery removes the `.age` and seals again from the open file, over this one. It has no key any more:
 *    the originals stay in the segment, encrypted as they were when it was open.
 * 3. The `segment` entry is durable in the log (`sealer.ts`, `recover.ts`). Crash: the log names the digest of the file
 *    and of the originals that step 2 made durable; recovery finds them and goes on with step 4.
 * 4. `removeOpen`. Crash before: see 3. Crash after, with the removal lost: the same.
 *
 * The open file is never touched before the log names the sealed one, and the sealed one never after.
 */
import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { compress } from './compression.ts';
import type { CompressionPriority } from './compression.ts';
import { openName, originalsName, sealedName, unfinishedName, unfinishedOriginalsName } from './layout.ts';
import type { OpenOriginals } from './segment-file.ts';

export interface SealedFile {
  /** Of the stored file, hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  /** Before compression. */
  readonly rawBytes: number;
  /** SHA-256 of `<index>.age`; null when there is none. */
  readonly sealed: string | null;
  /** SHA-256 of what it holds; null when there is none. */
  readonly originals: string | null;
}

/** A closed segment, as its recorder left it. */
export interface OpenSegment {
  readonly directory: string;
  readonly index: number;
  /** The file may hold more, which then counts for nothing. */
  readonly length: number;
  /** What of it holds originals, and opens them; they go into a file of their own. Null: they stay. */
  readonly originals: OpenOriginals | null;
}

/** Step 1. @throws EvidenceError `recording-damaged` when the file is shorter than `length` */
export function write(
  { directory, index, length, originals }: OpenSegment,
  priority: CompressionPriority,
): Promise<SealedFile> {
  const from = { file: path.join(directory, openName(index)), length };
  return store(path.join(directory, unfinishedName(index)), ({ fd: into }) => {
    if (originals === null) return compress({ from, into, originals: null }, priority);
    const { ranges, seal } = originals;
    return store(path.join(directory, unfinishedOriginalsName(index)), ({ fd }) =>
      compress({ from, into, originals: { ...seal.secrets(), ranges, into: fd } }, priority),
    );
  });
}

async function store<Result>(file: string, fill: (handle: FileHandle) => Promise<Result>): Promise<Result> {
  try {
    const handle = await open(file, 'w', 0o600);
    try {
      return await fill(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    // On a full disk half a file would only make it fuller.
    await rm(file, { force: true }).catch(() => {});
    throw error;
  }
}

/** Step 2 without the directory's fsync, which many segments share. */
export async function publish(directory: string, index: number, { sealed }: SealedFile): Promise<void> {
  if (sealed !== null)
    await rename(
      path.join(directory, unfinishedOriginalsName(index)),
      path.join(directory, originalsName(index)),
    );
  await rename(path.join(directory, unfinishedName(index)), path.join(directory, sealedName(index)));
}

/** Step 4. */
export function removeOpen(directory: string, index: number): Promise<void> {
  return rm(path.join(directory, openName(index)), { force: true });
}
