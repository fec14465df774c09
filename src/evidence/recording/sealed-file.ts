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
import { hash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { EvidenceError } from '../error.ts';
import { openName, originalsName, sealedName, unfinishedName, unfinishedOriginalsName } from './layout.ts';
import { takeOriginals } from './original-records.ts';
import type { OpenOriginals } from './segment-file.ts';

const compressZstd = promisify(zstdCompress);
/** zstd's fast end: sealing competes with the data path for processor time. */
const level = 1;

export interface SealedFile {
  /** Of the stored file, hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  /** Before compression. */
  readonly rawBytes: number;
  /** SHA-256 of `<index>.age`; null when there is none. */
  readonly sealed: string | null;
}

/** One frame, with content size and checksum; in the thread pool, in one piece. */
export function compressSegment(raw: Buffer): Promise<Buffer> {
  return compressZstd(raw, {
    // The worst case of zstd, so that one piece is enough.
    chunkSize: raw.length + (raw.length >>> 8) + 1024,
    pledgedSrcSize: raw.length,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
      [constants.ZSTD_c_contentSizeFlag]: 1,
    },
  });
}

/** The first `length` bytes of an open segment. @throws EvidenceError `recording-damaged` when it is shorter */
export async function readOpen(directory: string, index: number, length: number): Promise<Buffer> {
  const handle = await open(path.join(directory, openName(index)), 'r');
  try {
    const raw = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await handle.read(raw, filled, length - filled, filled);
      if (bytesRead === 0)
        throw new EvidenceError(
          'recording-damaged',
          'An open segment is shorter than what was written to it.',
        );
      filled += bytesRead;
    }
    return raw;
  } finally {
    await handle.close();
  }
}

/**
 * Step 1.
 * @param originals what of `raw` holds originals, and opens them; they go into a file of their own. Null: they stay
 */
export async function write(
  directory: string,
  index: number,
  raw: Buffer,
  originals: OpenOriginals | null,
): Promise<SealedFile> {
  const split = originals === null ? null : takeOriginals(raw, originals);
  const segment = split?.segment ?? raw;
  const compressed = await compressSegment(segment);
  const age = split === null ? null : originals!.seal.encrypt(split.originals);
  if (age !== null) await store(path.join(directory, unfinishedOriginalsName(index)), age);
  await store(path.join(directory, unfinishedName(index)), compressed);
  return {
    sha256: digest(compressed),
    bytes: compressed.length,
    rawBytes: segment.length,
    sealed: age === null ? null : digest(age),
  };
}

const digest = (bytes: Buffer): string => hash('sha256', bytes, 'hex');

async function store(file: string, bytes: Buffer): Promise<void> {
  try {
    const handle = await open(file, 'w', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.datasync();
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
