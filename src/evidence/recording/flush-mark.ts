/**
 * The mark at the end of each flush of a segment whose file is longer than what was written to it. There zeros follow the
 * last flush, and a write that a lost machine tore ends in zeros too: only what a mark vouches for is whole.
 */
import { crc32 } from 'node:zlib';
import type { Batch } from './encode.ts';
import * as words from './words.ts';

export interface FlushMark {
  /** Of the flush, before the mark. */
  readonly bytes: number;
  /** CRC-32 (zlib's) of them: against torn writes, not against people. */
  readonly crc: number;
}

/** Ends a batch. */
export function appendFlushMark(batch: Batch, t: number): void {
  const bytes = batch.length;
  const crc = crc32(batch.bytes());
  batch.array(4);
  batch.uint(t);
  batch.encoded(words.flushed);
  batch.uint(bytes);
  batch.uint(crc);
}

/** Is this the mark of `segment[start, end)`? */
export const vouches = ({ bytes, crc }: FlushMark, segment: Buffer, start: number, end: number): boolean =>
  end - start === bytes && crc32(segment.subarray(start, end)) === crc;
