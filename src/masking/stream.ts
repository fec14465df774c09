/** A value of any length, piece by piece, in bounded memory; its bytes are kept here as far as they are read again. */
import type { Findings, ValueStream } from '../gate/masking.ts';
import { heldBytes, LiveScan } from './live.ts';
import type { Scanner } from './scan/scanner.ts';

/** More than any detector looks back from its anchor. */
const contextBytes = 128;

/** Nobody waits for the end of a piece: it is held whole, which is cheaper than looking for what may begin in it. */
const longTail = (_bytes: Uint8Array, start: number, end: number): number => Math.max(start, end - heldBytes);

export class ScannedStream implements ValueStream {
  readonly #scan: LiveScan;
  /** The bytes before `decided`, as they were, then the piece. */
  #buffer = new Uint8Array(contextBytes + 65_536);
  #context = 0;
  #decided = 0;

  constructor(scanner: Scanner) {
    this.#scan = new LiveScan(scanner, longTail, contextBytes);
  }

  get decided(): number {
    return this.#decided;
  }

  push(bytes: Uint8Array, start: number, end: number, last: boolean): Findings {
    const from = this.#context;
    const to = from + end - start;
    this.#reserve(to);
    this.#buffer.set(bytes.subarray(start, end), from);
    const found = this.#scan.push(this.#buffer, 0, from, to, last);
    const { decided } = this.#scan;
    shift(found, start - from);
    this.#decided = decided + start - from;
    this.#context = Math.min(decided, contextBytes);
    this.#buffer.copyWithin(0, decided - this.#context, decided);
    return found;
  }

  #reserve(length: number): void {
    if (length <= this.#buffer.length) return;
    const larger = new Uint8Array(length * 2);
    larger.set(this.#buffer.subarray(0, this.#context));
    this.#buffer = larger;
  }
}

function shift({ starts, ends, length }: Findings, distance: number): void {
  for (let index = 0; index < length; index++) {
    starts[index]! += distance;
    ends[index]! += distance;
  }
}
