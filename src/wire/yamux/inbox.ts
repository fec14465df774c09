/**
 * Bytes of a stream whose reader does not want them now. Small chunks are copied together: a peer that sends its window
 * in frames of one byte each must not cost an object, and a whole socket read kept alive, per byte.
 */
const blockBytes = 8 * 1024;
const keepFromBytes = 4 * 1024;

export class Inbox {
  bytes = 0;
  #chunks: Buffer[] = [];
  #next = 0;
  /** Last chunk when it is a block of ours with room left; else null. */
  #block: Buffer | null = null;
  #filled = 0;

  push(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (chunk.length >= keepFromBytes) {
      this.#closeBlock();
      this.#chunks.push(chunk);
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
    if (this.#next === this.#chunks.length) this.#closeBlock();
    const chunk = this.#chunks[this.#next];
    if (chunk === undefined) return null;
    this.#next += 1;
    if (this.#next === this.#chunks.length) {
      this.#chunks = [];
      this.#next = 0;
    }
    this.bytes -= chunk.length;
    return chunk;
  }

  #closeBlock(): void {
    if (this.#block === null) return;
    this.#chunks.push(this.#block.subarray(0, this.#filled));
    this.#block = null;
  }
}
