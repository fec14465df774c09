/** Decompresses segments in one piece: who takes many small pieces waits for each. */
import { promisify } from 'node:util';
import { zstdDecompress, zstdDecompressSync, type ZstdOptions } from 'node:zlib';

/** No segment is near this; a file that claims to be is not one of ours. */
export const largestSegmentBytes = 64 * 1024 * 1024;
/** Room that is taken before anything was decompressed. A segment is of this size or less. */
const [leastRoom, mostRoom] = [64 * 1024, 2 * 1024 * 1024];

export type Decompress = (stored: Buffer) => Buffer | Promise<Buffer>;

const inThreadPool = promisify(zstdDecompress);

/** In the thread pool; what is small, at once: that costs less than the way there. */
export const decompress: Decompress = (stored) =>
  roomFor(stored) > leastRoom ? inThreadPool(stored, optionsFor(stored)) : decompressHere(stored);

/** In the thread that asks. */
export const decompressHere = (stored: Buffer): Buffer => zstdDecompressSync(stored, optionsFor(stored));

const optionsFor = (stored: Buffer): ZstdOptions => ({
  maxOutputLength: largestSegmentBytes,
  chunkSize: roomFor(stored),
});

/** For what a frame says that it holds, within reason (RFC 8878, 3.1.1.1). */
function roomFor(stored: Buffer): number {
  if (stored.length < 14) return leastRoom;
  const descriptor = stored[4]!;
  const flag = descriptor >>> 6;
  const single = (descriptor & 0x20) !== 0;
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  if (flag === 0 && !single) return leastRoom;
  const size =
    flag === 0
      ? stored[at]!
      : flag === 1
        ? stored.readUInt16LE(at) + 256
        : flag === 2
          ? stored.readUInt32LE(at)
          : mostRoom;
  return Math.min(mostRoom, Math.max(leastRoom, size + 1));
}
