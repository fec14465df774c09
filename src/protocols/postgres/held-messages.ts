/**
 * What a client sent and what may not be looked at yet: the first message waits for the target's answers, or for people.
 * Watches for Terminate, which ends the waiting: nobody is there any more for whom a held command could run.
 */
import { headerBytes } from './messages/frame.ts';

const terminate = 0x58;

export class HeldMessages {
  /** Grows by doubling: a client that sends byte by byte costs no object per byte. */
  #memory: Buffer = Buffer.alloc(0);
  #bytes = 0;
  /** Bytes to skip up to the next message, and what is known of its header. */
  #skip = 0;
  readonly #header = Buffer.alloc(headerBytes);
  #headerLength = 0;
  #terminated = false;

  constructor(first: Buffer) {
    this.add(first);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A Terminate stands among the messages. */
  get terminated(): boolean {
    return this.#terminated;
  }

  /** Keeps a copy of `chunk`, which goes on where the last one ended. */
  add(chunk: Buffer): void {
    this.#keep(chunk);
    let position = 0;
    while (position < chunk.length && !this.#terminated) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - position);
        this.#skip -= skipped;
        position += skipped;
        continue;
      }
      this.#header[this.#headerLength++] = chunk[position++]!;
      if (this.#headerLength < headerBytes) continue;
      this.#headerLength = 0;
      this.#terminated = this.#header[0] === terminate;
      // An impossible length is refused when its message is looked at.
      this.#skip = Math.max(0, this.#header.readUInt32BE(1) - 4);
    }
  }

  /** All of it, to go on with. */
  take(): Buffer {
    return this.#memory.subarray(0, this.#bytes);
  }

  #keep(chunk: Buffer): void {
    const end = this.#bytes + chunk.length;
    if (end > this.#memory.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#bytes));
      this.#memory.copy(grown, 0, 0, this.#bytes);
      this.#memory = grown;
    }
    chunk.copy(this.#memory, this.#bytes);
    this.#bytes = end;
  }
}
