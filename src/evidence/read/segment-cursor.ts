/**
 * Reads a session's recording record by record, from sealed and open segments alike, and can go on later when more has
 * been written. Holds one segment in memory.
 */
import { release } from '../../bytes/release.ts';
import { listIfThere, within, type Location } from '../location.ts';
import { openName, parseName, sealedName } from '../recording/layout.ts';
import { measureSegment, readRecords, type SegmentRecord } from '../recording/records.ts';
import { readIfThere } from '../regular-file.ts';
import { decompress, largestSegmentBytes, type Decompress } from './decompress.ts';

export interface LoadedSegment {
  readonly bytes: Buffer;
  readonly sealed: boolean;
}

/** Sealed before open before sealed: a segment may be sealed between two looks. Null: neither is there. */
export async function loadSegment(
  directory: Location,
  index: number,
  inflate: Decompress = decompress,
): Promise<LoadedSegment | null> {
  for (const look of ['sealed', 'open', 'sealed'] as const) {
    const name = look === 'open' ? openName(index) : sealedName(index);
    const stored = await readIfThere(within(directory, name), largestSegmentBytes);
    if (stored === null) continue;
    if (look === 'open') return { bytes: stored.subarray(0, measureSegment(stored).length), sealed: false };
    return { bytes: await inflate(stored), sealed: true };
  }
  return null;
}

/** Gives its memory back at once; nothing may be read there any more. */
export function releaseSegment({ bytes, sealed }: LoadedSegment): void {
  // Of an open one it is the file's, and whoever gave that may keep it.
  if (sealed) release(bytes);
}

/** Numbers of the segments that are there, ascending. */
export async function segmentsIn(directory: Location): Promise<number[]> {
  const names = (await listIfThere(directory)).map(({ name }) => name);
  const files = names.map(parseName).filter((file) => file?.state === 'open' || file?.state === 'sealed');
  return [...new Set(files.map((file) => file!.index))].toSorted((a, b) => a - b);
}

export class SegmentCursor {
  readonly #directory: Location;
  #index = 0;
  /** Bytes of segment `#index` that were read already. */
  #offset = 0;

  /** @param directory the session's */
  constructor(directory: Location) {
    this.#directory = directory;
  }

  /**
   * The records that are there now and were not given before. A missing segment is passed over.
   * @throws EvidenceError `recording-damaged`; Error of zlib
   */
  async *records(): AsyncGenerator<SegmentRecord> {
    const present = await segmentsIn(this.#directory);
    for (const index of present) {
      if (index < this.#index) continue;
      if (index > this.#index) [this.#index, this.#offset] = [index, 0];
      const segment = await loadSegment(this.#directory, index);
      if (segment === null) continue;
      const fresh = segment.bytes.subarray(this.#offset);
      this.#offset = segment.bytes.length;
      yield* readRecords(fresh);
      if (segment.sealed) [this.#index, this.#offset] = [index + 1, 0];
    }
  }
}
