/** Chunks of bytes, first in first out, without moving the rest at each step and without keeping what was taken. */
export class ChunkQueue<Chunk extends Uint8Array> {
  bytes = 0;
  #chunks: (Chunk | null)[] = [];
  #next = 0;

  push(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
  }

  /** Takes the oldest chunk; null when there is none. */
  shift(): Chunk | null {
    const chunk = this.#chunks[this.#next] ?? null;
    if (chunk === null) return null;
    this.bytes -= chunk.length;
    // A queue that is never quite empty must let go of what it handed out.
    this.#chunks[this.#next] = null;
    this.#next += 1;
    if (this.#next === this.#chunks.length) {
      this.#chunks = [];
      this.#next = 0;
    } else if (this.#next >= 32 && this.#next * 2 >= this.#chunks.length) {
      this.#chunks.splice(0, this.#next);
      this.#next = 0;
    }
    return chunk;
  }

  /** Puts back what was left of the chunk just taken. */
  unshift(rest: Chunk): void {
    this.bytes += rest.length;
    if (this.#next > 0) this.#chunks[--this.#next] = rest;
    else this.#chunks.unshift(rest);
  }
}
