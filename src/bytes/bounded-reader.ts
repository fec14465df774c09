/**
 * Reads fields out of bytes that somebody else wrote. Every read is checked against the end of exactly this message,
 * so that no decoder can run into the next one, and nothing is allocated by a length that was not checked.
 */
import { HoopError } from '../errors.ts';

/** `bytes-truncated` a field ends beyond the message; `bytes-unterminated` a string has no NUL; `bytes-trailing` bytes are left over; `bytes-ended` the stream ended before. */
export type BytesErrorCode = 'bytes-truncated' | 'bytes-unterminated' | 'bytes-trailing' | 'bytes-ended';

export class BytesError extends HoopError<BytesErrorCode> {}

export class BoundedReader {
  readonly bytes: Buffer;
  position: number;
  readonly end: number;

  /** Reads `bytes` from `start` up to `end`; the bytes are neither copied nor changed. */
  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = Math.min(end, bytes.length);
  }

  get remaining(): number {
    return this.end - this.position;
  }

  /** @throws BytesError `bytes-truncated` */
  uint8(): number {
    return this.bytes[this.#advance(1)]!;
  }

  /** Big-endian, signed. @throws BytesError `bytes-truncated` */
  int16(): number {
    return this.bytes.readInt16BE(this.#advance(2));
  }

  /** Big-endian, signed. @throws BytesError `bytes-truncated` */
  int32(): number {
    return this.bytes.readInt32BE(this.#advance(4));
  }

  /** Big-endian. @throws BytesError `bytes-truncated` */
  uint32(): number {
    return this.bytes.readUInt32BE(this.#advance(4));
  }

  /** A view, not a copy. @throws BytesError `bytes-truncated`, also for a negative length */
  take(lengthBytes: number): Buffer {
    const start = this.#advance(lengthBytes);
    return this.bytes.subarray(start, start + lengthBytes);
  }

  /** The bytes before the next NUL, as a view; the NUL is consumed. @throws BytesError `bytes-unterminated` */
  cstringBytes(): Buffer {
    const nul = this.bytes.indexOf(0, this.position);
    if (nul === -1 || nul >= this.end) {
      throw new BytesError('bytes-unterminated', 'a string in a message has no terminator');
    }
    const start = this.position;
    this.position = nul + 1;
    return this.bytes.subarray(start, nul);
  }

  /** UTF-8; bytes that are none become U+FFFD. @throws BytesError `bytes-unterminated` */
  cstring(): string {
    return this.cstringBytes().toString('utf8');
  }

  /** @throws BytesError `bytes-trailing` when the message is longer than its fields */
  finish(): void {
    if (this.position !== this.end) {
      throw new BytesError('bytes-trailing', 'a message is longer than its fields');
    }
  }

  #advance(lengthBytes: number): number {
    if (lengthBytes < 0 || lengthBytes > this.end - this.position) {
      throw new BytesError('bytes-truncated', 'a field ends beyond its message');
    }
    const start = this.position;
    this.position += lengthBytes;
    return start;
  }
}
