/** Content over `inlineBytes`: how a record refers to the blobs that hold it. */
import type { Batch } from './encode.ts';
import * as words from './words.ts';

export interface LargeReference {
  readonly blob: number;
  readonly bytes: number;
  readonly sha256: Buffer;
}

export function appendLarge(batch: Batch, reference: LargeReference): void {
  batch.map(3);
  batch.encoded(words.blob);
  batch.uint(reference.blob);
  batch.encoded(words.bytes);
  batch.uint(reference.bytes);
  batch.encoded(words.sha256);
  batch.byteString(reference.sha256);
}
