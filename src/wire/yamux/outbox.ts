/** Frames that wait for the end of the tick, laid out so that they leave in as few pieces as possible. */
import { encodeHeader, headerBytes } from './frame.ts';
import type { FrameHeader } from './frame.ts';

/** Small frames are copied side by side into a slab; one slab holds about a hundred of them. */
const slabBytes = 16 * 1024;
/** A longer payload is sent as it is: copying it would cost more than one more piece. */
const copyUpToBytes = 4096;

export class Outbox {
  /** Bytes waiting, headers included. */
  bytes = 0;
  #pieces: Uint8Array[] = [];
  #slab: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  header(header: FrameHeader): void {
    this.#room(headerBytes);
    encodeHeader(this.#slab, this.#end, header);
    this.#end += headerBytes;
    this.bytes += headerBytes;
  }

  /** The outbox owns `chunk` from now on. */
  payload(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    if (chunk.length <= copyUpToBytes) {
      this.#room(chunk.length);
      this.#slab.set(chunk, this.#end);
      this.#end += chunk.length;
      return;
    }
    this.#cut();
    this.#pieces.push(chunk);
  }

  /** Hands over everything that waits; the pieces are not touched again. */
  take(): Uint8Array[] {
    this.#cut();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.bytes = 0;
    return pieces;
  }

  #room(length: number): void {
    if (this.#end + length <= this.#slab.length) return;
    this.#cut();
    this.#slab = Buffer.allocUnsafeSlow(slabBytes);
    this.#start = this.#end = 0;
  }

  /** A slab is never written twice: what was cut off belongs to the pipe until it is on the wire. */
  #cut(): void {
    if (this.#end === this.#start) return;
    this.#pieces.push(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }
}
