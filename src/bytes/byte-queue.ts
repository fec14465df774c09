import { giveMemory, takeMemory } from './memory.ts';

/**
 * Bytes that wait, first in first out, copied into memory of the queue's own: side by side, so that a sender of many
 * small pieces costs no object per piece, and at most four times as much memory as bytes.
 */
export class ByteQueue {
  /** Bytes that wait. */
  length = 0;
  readonly #blocks: Buffer[] = [];
  /** Where the bytes begin in the first block, and end in the last. */
  #start = 0;
  #end = 0;

  /** Copies `chunk` from `from` on. */
  push(chunk: Uint8Array, from = 0): void {
    let at = from;
    while (at < chunk.length) {
      const last = this.#blocks.at(-1);
      if (last === undefined || this.#end === last.length) {
        this.#blocks.push(takeMemory(Math.min(chunk.length - at, blockBytes)));
        this.#end = 0;
        continue;
      }
      const copied = Math.min(chunk.length - at, last.length - this.#end);
      last.set(at === 0 && copied === chunk.length ? chunk : chunk.subarray(at, at + copied), this.#end);
      this.#end += copied;
      at += copied;
    }
    this.length += chunk.length - from;
  }

  /** The oldest bytes, as many as stand side by side and no more than `limit`; a view, valid until `drop`. */
  first(limit: number): Buffer {
    const [block] = this.#blocks;
    if (block === undefined) return nothing;
    const end = this.#blocks.length === 1 ? this.#end : block.length;
    return block.subarray(this.#start, Math.min(end, this.#start + limit));
  }

  /** Lets go of the oldest bytes; no more than `first` returned. */
  drop(bytes: number): void {
    this.length -= bytes;
    this.#start += bytes;
    if (this.#start < (this.length === 0 ? this.#end : this.#blocks[0]!.length)) return;
    this.#start = 0;
    giveMemory(this.#blocks.shift()!);
  }
}

const blockBytes = 64 * 1024;
const nothing: Buffer = Buffer.alloc(0);
