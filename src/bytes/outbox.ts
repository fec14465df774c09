/**
 * What one direction of a connection has accepted and may not send yet: pieces become pending, then staged, then they
 * are written, with one write for all of them. Neighbouring pieces of one chunk are joined again, so that a chunk in
 * which nothing was rewritten leaves as it came.
 */
import type { ByteChannel } from './channel.ts';

/** Pieces up to this many bytes together are copied into one buffer for one write; more go out one by one. */
const joinedBytes = 256 * 1024;

export class Outbox {
  readonly #channel: ByteChannel;
  /** Kept at their length, and counted apart: an array that is emptied gives its memory back and takes it anew. */
  #pending: Buffer[] = [];
  #staged: Buffer[] = [];
  #pendingCount = 0;
  #stagedCount = 0;
  #bytes = 0;

  constructor(channel: ByteChannel) {
    this.#channel = channel;
  }

  /** Bytes that were added and not yet written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds bytes; the outbox owns them from now on. */
  add(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    const last = this.#pendingCount - 1;
    const before = last < 0 ? undefined : this.#pending[last];
    if (
      before !== undefined &&
      before.buffer === piece.buffer &&
      before.byteOffset + before.length === piece.byteOffset
    ) {
      this.#pending[last] = Buffer.from(piece.buffer, before.byteOffset, before.length + piece.length);
    } else {
      this.#pending[this.#pendingCount++] = piece;
    }
  }

  /** See Releasable: what is pending will go with the next release. */
  stage(): void {
    if (this.#stagedCount === 0) {
      const empty = this.#staged;
      this.#staged = this.#pending;
      this.#stagedCount = this.#pendingCount;
      this.#pending = empty;
    } else {
      for (let i = 0; i < this.#pendingCount; i++) this.#staged[this.#stagedCount++] = this.#pending[i]!;
      forget(this.#pending, this.#pendingCount);
    }
    this.#pendingCount = 0;
  }

  /** Writes what is staged; false when the channel asks to hold back until `drained`. */
  release(): boolean {
    const staged = this.#staged;
    const count = this.#stagedCount;
    if (count === 0) return true;
    this.#stagedCount = 0;
    let free = true;
    if (count === 1) {
      const piece = staged[0]!;
      staged[0] = nothing;
      this.#bytes -= piece.length;
      return this.#channel.write(piece);
    }
    const pieces = staged.slice(0, count);
    forget(staged, count);
    let total = 0;
    for (const piece of pieces) total += piece.length;
    this.#bytes -= total;
    if (total <= joinedBytes) free = this.#channel.write(Buffer.concat(pieces, total));
    else for (const piece of pieces) free = this.#channel.write(piece);
    return free;
  }

  /** Forgets everything: what was not released is not sent. */
  clear(): void {
    forget(this.#pending, this.#pendingCount);
    forget(this.#staged, this.#stagedCount);
    this.#pendingCount = 0;
    this.#stagedCount = 0;
    this.#bytes = 0;
  }
}

const nothing: Buffer = Buffer.alloc(0);
/** Places kept for pieces; what a burst took beyond them is given back. */
const keptPieces = 16;

/** Lets go of the first `count` pieces. */
function forget(pieces: Buffer[], count: number): void {
  if (pieces.length > keptPieces) pieces.length = 0;
  else for (let i = 0; i < count; i++) pieces[i] = nothing;
}
