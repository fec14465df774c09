import { ChunkQueue } from './chunk-queue.ts';

/**
 * Bytes of a stream whose reader does not want them now. Small chunks are copied together: a peer that sends its window
 * in frames of one byte each must not cost an object, and a whole socket read kept alive, per byte.
 */
const blockBytes = 8 * 1024;
const keepFromBytes = 4 * 1024;

export class Inbox {
  readonly #whole = new ChunkQueue<Buffer>();
  /** Block of ours with room left; null when there is none. */
  #block: Buffer | null = null;
  #filled = 0;

  get bytes(): number {
    return this.#whole.bytes + (this.#block === null ? 0 : this.#filled);
  }

  push(chunk: Buffer): void {
    if (chunk.length >= keepFromBytes) {
      this.#closeBlock();
      this.#whole.push(chunk);
      return;
    }
    let at = 0;
    while (at < chunk.length) {
      if (this.#block === null) {
        this.#block = Buffer.allocUnsafeSlow(blockBytes);
        this.#filled = 0;
      }
      const copied = chunk.copy(this.#block, this.#filled, at);
      at += copied;
      this.#filled += copied;
      if (this.#filled === blockBytes) this.#closeBlock();
    }
  }

  /** The oldest bytes, or null when nothing waits. */
  shift(): Buffer | null {
    if (this.#whole.bytes === 0) this.#closeBlock();
    return this.#whole.shift();
  }

  #closeBlock(): void {
    if (this.#block === null) return;
    this.#whole.push(this.#block.subarray(0, this.#filled));
    this.#block = null;
  }
}
