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
  #pending: Buffer[] = [];
  #staged: Buffer[] = [];
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
    const last = this.#pending.length - 1;
    const before = this.#pending[last];
    if (
      before !== undefined &&
      before.buffer === piece.buffer &&
      before.byteOffset + before.length === piece.byteOffset
    ) {
      this.#pending[last] = Buffer.from(piece.buffer, before.byteOffset, before.length + piece.length);
    } else {
      this.#pending.push(piece);
    }
  }

  /** See Releasable: what is pending will go with the next release. */
  stage(): void {
    if (this.#staged.length === 0) {
      const empty = this.#staged;
      this.#staged = this.#pending;
      this.#pending = empty;
    } else {
      this.#staged.push(...this.#pending);
      this.#pending.length = 0;
    }
  }

  /** Writes what is staged; false when the channel asks to hold back until `drained`. */
  release(): boolean {
    const staged = this.#staged;
    if (staged.length === 0) return true;
    let total = 0;
    for (const piece of staged) total += piece.length;
    this.#bytes -= total;
    let free = true;
    if (staged.length === 1) free = this.#channel.write(staged[0]!);
    else if (total <= joinedBytes) free = this.#channel.write(Buffer.concat(staged, total));
    else for (const piece of staged) free = this.#channel.write(piece);
    staged.length = 0;
    return free;
  }

  /** Forgets everything: what was not released is not sent. */
  clear(): void {
    this.#pending.length = 0;
    this.#staged.length = 0;
    this.#bytes = 0;
  }
}
