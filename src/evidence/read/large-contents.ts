/** Content that stands apart from the record that refers to it, in pieces before it. */
import type { Content } from '../recording/records.ts';
import { EvidenceError } from '../error.ts';

export class LargeContents {
  readonly #blobs = new Map<number, Buffer[]>();

  /** One piece. @throws EvidenceError `recording-damaged` */
  take(blob: number, offset: number, bytes: Buffer): void {
    const pieces = this.#blobs.get(blob) ?? [];
    if (offset !== pieces.reduce((sum, piece) => sum + piece.length, 0))
      throw new EvidenceError('recording-damaged', 'The pieces of a content are not in order.');
    // A copy: the segment that it is a view of should not be held by it.
    pieces.push(Buffer.from(bytes));
    this.#blobs.set(blob, pieces);
  }

  /** All of it, once; content that stands in its record as it is. @throws EvidenceError `recording-damaged` */
  whole(content: Content): Buffer {
    if (Buffer.isBuffer(content)) return content;
    const whole = Buffer.concat(this.#blobs.get(content.blob) ?? []);
    this.#blobs.delete(content.blob);
    if (whole.length !== content.bytes)
      throw new EvidenceError('recording-damaged', 'A content that stands apart is missing in part.');
    return whole;
  }
}
