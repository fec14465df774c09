/**
 * What one direction of a connection has accepted and may not send yet: bytes become pending, then staged, then they
 * are written, with one write for all of them.
 */
import type { ByteChannel } from './channel.ts';
import { giveMemory, takeMemory } from './memory.ts';

/** More than this is bulk, of which there will be more. */
const smallBytes = 16 * 1024;
const bulkBytes = 384 * 1024;

export class Outbox {
  readonly #channel: ByteChannel;
  /** Holds everything side by side; empty while nothing waits. */
  #memory: Buffer = nothing;
  #stagedEnd = 0;
  #end = 0;

  constructor(channel: ByteChannel) {
    this.#channel = channel;
  }

  /** Bytes that were added and not yet written. */
  get bytes(): number {
    return this.#end;
  }

  /** Adds bytes; copies them. */
  add(piece: Uint8Array): void {
    const end = this.#end + piece.length;
    if (end > this.#memory.length) this.#grow(end);
    this.#memory.set(piece, this.#end);
    this.#end = end;
  }

  /** See Releasable: what is pending will go with the next release. */
  stage(): void {
    this.#stagedEnd = this.#end;
  }

  /** Writes what is staged; false when the channel asks to hold back until `drained`. */
  release(): boolean {
    const staged = this.#stagedEnd;
    if (staged === 0) return true;
    const memory = this.#memory;
    const pending = this.#end - staged;
    this.#memory = nothing;
    this.#stagedEnd = this.#end = 0;
    if (pending > 0) this.add(memory.subarray(staged, staged + pending));
    const free = this.#channel.write(memory.subarray(0, staged));
    giveMemory(memory);
    return free;
  }

  /** Forgets everything: what was not released is not sent. */
  clear(): void {
    if (this.#memory !== nothing) giveMemory(this.#memory);
    this.#memory = nothing;
    this.#stagedEnd = this.#end = 0;
  }

  #grow(bytes: number): void {
    const memory = takeMemory(bytes <= smallBytes ? bytes : Math.max(bytes, bulkBytes, 2 * this.#end));
    if (this.#end > 0) memory.set(this.#memory.subarray(0, this.#end));
    if (this.#memory !== nothing) giveMemory(this.#memory);
    this.#memory = memory;
  }
}

const nothing: Buffer = Buffer.alloc(0);
