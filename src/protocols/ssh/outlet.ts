/**
 * What one direction of a channel has accepted and may not send yet: pieces become pending, then staged, then they are
 * written. The counterpart of `bytes/outbox.ts` for ssh2's streams. Pieces are the outlet's own from `add` on.
 */
import type { Writable } from 'node:stream';

/** Small pieces of one tick leave as one. */
const joinedBytes = 64 * 1024;

export class Outlet {
  readonly #stream: Writable;
  #pending: Buffer[] = [];
  #staged: Buffer[] = [];
  #pendingEnd = false;
  #stagedEnd = false;
  #ended = false;
  #bytes = 0;
  #full = false;

  /** @param drained the stream takes more again */
  constructor(stream: Writable, drained: () => void) {
    this.#stream = stream;
    stream.on('drain', () => {
      this.#full = false;
      drained();
    });
    // Whoever stops reading is seen by the end of the channel; what is written after that goes nowhere.
    stream.on('error', () => {
      this.#full = false;
    });
  }

  /** Bytes that were added and not written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whoever fills it should wait. */
  get full(): boolean {
    return this.#full;
  }

  add(piece: Buffer): void {
    if (piece.length === 0 || this.#ended) return;
    this.#pending.push(piece);
    this.#bytes += piece.length;
  }

  /** The end, after everything that was added. */
  end(): void {
    this.#pendingEnd = true;
  }

  stage(): void {
    this.#staged.push(...this.#pending);
    this.#pending = [];
    this.#stagedEnd = this.#pendingEnd;
  }

  release(): void {
    const pieces = this.#staged;
    this.#staged = [];
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    this.#bytes -= bytes;
    if (!this.#stream.writable || this.#ended) return;
    if (pieces.length > 1 && bytes <= joinedBytes) this.#write(Buffer.concat(pieces, bytes));
    else for (const piece of pieces) this.#write(piece);
    if (!this.#stagedEnd) return;
    this.#ended = true;
    this.#stream.end();
  }

  /** Forgets what was not released. */
  clear(): void {
    this.#pending = [];
    this.#staged = [];
    this.#bytes = 0;
  }

  #write(piece: Buffer): void {
    if (!this.#stream.write(piece)) this.#full = true;
  }
}
