/** The first record of a segment, and the only other one of a segment that was lost. */
import type { Batch } from './encode.ts';
import * as words from './words.ts';

export interface SegmentHeader {
  readonly session: string;
  readonly index: number;
  readonly protocol: string;
  /** The open file is longer than what was written to it; see FORMAT.md. */
  readonly allocated: boolean;
}

export function appendHeader(batch: Batch, t: number, header: SegmentHeader): void {
  batch.array(header.allocated ? 4 : 3);
  batch.uint(t);
  batch.encoded(words.segment);
  batch.map(4);
  batch.encoded(words.version);
  batch.uint(1);
  batch.encoded(words.index);
  batch.uint(header.index);
  batch.encoded(words.session);
  batch.text(header.session);
  batch.encoded(words.protocol);
  batch.text(header.protocol);
  if (header.allocated) batch.true();
}

/** @param reason what is missing */
export function appendGap(batch: Batch, t: number, reason: string): void {
  batch.array(3);
  batch.uint(t);
  batch.text('gap');
  batch.text(reason);
}
