/** Frames that wait for the end of the tick, side by side, so that they leave in one piece. */
import { giveMemory, takeMemory } from '../../bytes/memory.ts';
import { encodeHeader, headerBytes } from './frame.ts';

/** More than this is bulk, of which there will be as much as fits. */
const smallBytes = 16 * 1024;
const bulkBytes = 384 * 1024;

export class Outbox {
  /** From `takeMemory`; empty while nothing waits. The frames begin at `headroom`. */
  memory: Buffer = nothing;
  /** Where the frames end. */
  end = 0;
  readonly #headroom: number;

  /** @param headroom bytes left free before the frames, for the pipe */
  constructor(headroom: number) {
    this.#headroom = headroom;
  }

  /** Bytes waiting, headers included. */
  get bytes(): number {
    return this.memory === nothing ? 0 : this.end - this.#headroom;
  }

  header(type: number, flags: number, stream: number, length: number): void {
    const end = this.end + headerBytes;
    if (end > this.memory.length) this.#grow(headerBytes);
    encodeHeader(this.memory, this.end, type, flags, stream, length);
    this.end += headerBytes;
  }

  /** Copies `chunk`. */
  payload(chunk: Uint8Array): void {
    const end = this.end + chunk.length;
    if (end > this.memory.length) this.#grow(chunk.length);
    this.memory.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** The memory has been taken over by somebody else. */
  restart(): void {
    this.memory = nothing;
    this.end = 0;
  }

  #grow(bytes: number): void {
    const before = this.memory;
    if (before === nothing) this.end = this.#headroom;
    const needed = this.end + bytes;
    const memory = takeMemory(needed <= smallBytes ? needed : Math.max(needed, bulkBytes));
    if (before !== nothing) memory.set(before.subarray(0, this.end));
    this.memory = memory;
    if (before !== nothing) giveMemory(before);
  }
}

const nothing: Buffer = Buffer.alloc(0);
