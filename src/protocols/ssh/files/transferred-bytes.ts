/**
 * The bytes of one file in one direction: how many, and their SHA-256 where they passed as one stretch. Pieces that come a
 * little early wait for those before them (clients write with several requests at once), within a bound that all transfers of
 * a channel share; what comes twice, or leaves a hole, is not in sequence, and then no digest is told: there would be nothing to
 * compare it with.
 */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';

/** Early pieces of one file. */
const mostEarly = 512;

/** Bytes that early pieces may take. */
export class EarlyBytes {
  #left: number;

  constructor(mostBytes: number) {
    this.#left = mostBytes;
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

export class TransferredBytes {
  bytes = 0;
  readonly #budget: EarlyBytes;
  /** The target puts all of it behind what the file holds, whatever the offsets say. */
  readonly #appended: boolean;
  #hash: Hash | null = null;
  /** Where the stretch began and where it goes on. */
  #start = 0;
  #next = 0;
  #scattered = false;
  readonly #early = new Map<number, Buffer>();
  /** What is missing of the piece that is being received; and the piece itself, when it is an early one. */
  #missing = 0;
  #piece: Buffer | null = null;

  constructor(budget: EarlyBytes, appended = false) {
    this.#budget = budget;
    this.#appended = appended;
  }

  /** A piece begins; `add` gives its bytes. */
  begin(offset: number, length: number): void {
    this.#missing = length;
    this.#piece = null;
    if (this.#scattered || length === 0 || this.#appended) return;
    if (offset > this.#next && !this.#keepEarly(offset, length) && this.#startLate()) {
      if (offset !== this.#next) this.#keepEarly(offset, length);
    }
    if (this.#piece === null && (offset !== this.#next || this.#overlaps(offset + length))) this.#scatter();
  }

  add(bytes: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    if (this.#scattered || end === start) return;
    const piece = this.#piece;
    if (piece === null) this.#update(bytes.subarray(start, end));
    else bytes.copy(piece, piece.length - this.#missing, start, end);
    this.#missing -= end - start;
    if (this.#missing > 0) return;
    this.#piece = null;
    if (this.#early.size > 0) this.#catchUp();
  }

  /** `1048576 bytes sha256:…`; with `from N` where it did not begin at 0; or that it was not in sequence. */
  summary(): string {
    if (this.#piece === null) this.#startLate();
    if (this.#early.size > 0) this.#scatter();
    if (this.#scattered) return `${this.bytes} bytes, not in sequence`;
    const digest = (this.#hash ?? createHash('sha256')).copy().digest('hex');
    const from = this.#appended ? ' appended' : this.#start > 0 ? ` from ${this.#start}` : '';
    return `${this.bytes} bytes${from} sha256:${digest}`;
  }

  /** Nothing more will be asked of it. */
  drop(): void {
    this.#forgetEarly();
  }

  #update(bytes: Buffer): void {
    this.#hash ??= createHash('sha256');
    this.#hash.update(bytes);
    this.#next += bytes.length;
  }

  #keepEarly(offset: number, length: number): boolean {
    if (!Number.isSafeInteger(offset + length) || this.#early.has(offset)) return false;
    if (this.#early.size >= mostEarly || !this.#budget.take(length)) return false;
    this.#piece = Buffer.allocUnsafeSlow(length);
    this.#early.set(offset, this.#piece);
    return true;
  }

  #overlaps(end: number): boolean {
    for (const early of this.#early.keys()) if (early < end) return true;
    return false;
  }

  #catchUp(): void {
    for (let next = this.#early.get(this.#next); next !== undefined; next = this.#early.get(this.#next)) {
      this.#early.delete(this.#next);
      this.#budget.give(next.length);
      this.#update(next);
    }
  }

  /** Nothing has passed from 0 on: it begins where the first of the early pieces does. */
  #startLate(): boolean {
    if (this.#next > 0 || this.#early.size === 0) return false;
    this.#start = this.#next = Math.min(...this.#early.keys());
    this.#catchUp();
    return true;
  }

  #scatter(): void {
    this.#scattered = true;
    this.#hash = null;
    this.#piece = null;
    this.#forgetEarly();
  }

  #forgetEarly(): void {
    for (const { length } of this.#early.values()) this.#budget.give(length);
    this.#early.clear();
  }
}
