/**
 * A value of any length, piece by piece, in bounded memory. A piece is decided but for its last bytes, which may be the
 * beginning of something; a private key or a token that is not over yet is a state, not held bytes: what follows is masked
 * until its end comes.
 */
import type { Findings, ValueStream } from '../gate/masking.ts';
import { base64, classes, dash, digit, letter } from './detectors/bytes.ts';
import { keyEnd } from './detectors/private-key.ts';
import { FindingList } from './findings.ts';
import type { Scanner } from './scan/scanner.ts';

/** More than any detector looks ahead of its anchor, and than the longest finding that is not a state. */
const heldBytes = 3072;
/** More than any detector looks back from its anchor. */
const contextBytes = 128;
/** The end of a key is sure only this far before the end of a piece: a footer's hyphens, what follows a quote. */
const unsureBytes = 64;
/** Held of an open key: longer than a footer that ends in the unsure bytes. */
const footerBytes = 256;

/** What goes on at the end of the pieces so far. */
type Open = 'nothing' | 'private-key' | 'token';

const stop = 0x2e;

export class ScannedStream implements ValueStream {
  readonly #scanner: Scanner;
  readonly #findings = new FindingList();
  /** The bytes before `decided`, as they were, then the piece. */
  #buffer = new Uint8Array(contextBytes + 65_536);
  #context = 0;
  #open: Open = 'nothing';
  #rule = 0;
  #decided = 0;

  constructor(scanner: Scanner) {
    this.#scanner = scanner;
  }

  get decided(): number {
    return this.#decided;
  }

  push(bytes: Uint8Array, start: number, end: number, last: boolean): Findings {
    const from = this.#context;
    const to = from + end - start;
    this.#reserve(to);
    this.#buffer.set(bytes.subarray(start, end), from);
    this.#findings.clear();
    const after = this.#goOn(from, to, last);
    const decided = this.#open === 'nothing' ? this.#scan(after, to, last) : after;
    this.#shift(start - from);
    this.#decided = decided + start - from;
    this.#context = Math.min(decided, contextBytes);
    this.#buffer.copyWithin(0, decided - this.#context, decided);
    return this.#findings;
  }

  #reserve(length: number): void {
    if (length <= this.#buffer.length) return;
    const larger = new Uint8Array(length * 2);
    larger.set(this.#buffer.subarray(0, this.#context));
    this.#buffer = larger;
  }

  /** Goes on with what is open; returns where it ends, or what is decided of it while it is still open. */
  #goOn(from: number, to: number, last: boolean): number {
    if (this.#open === 'private-key') return this.#goOnWithKey(from, to, last);
    if (this.#open !== 'token') return from;
    let after = from;
    while (after < to && isTokenByte(this.#buffer[after]!)) after++;
    if (after > from) this.#findings.add(from, after, this.#rule, 0);
    if (after < to || last) this.#open = 'nothing';
    return after;
  }

  #goOnWithKey(from: number, to: number, last: boolean): number {
    const after = keyEnd(this.#buffer, from, to);
    const over = last || after < to - unsureBytes;
    const decided = over ? after : Math.max(from, to - footerBytes);
    if (decided > from) this.#findings.add(from, decided, this.#rule, 0);
    if (over) this.#open = 'nothing';
    return decided;
  }

  /** Scans from `from` on; returns what is decided. Context before `from` is read, and nothing is found in it. */
  #scan(from: number, to: number, last: boolean): number {
    const cut = last ? to : Math.max(from, to - heldBytes);
    if (cut === from && !last) return from;
    const found = this.#scanner.scan(this.#buffer, 0, to);
    let decided = cut;
    for (let index = 0; index < found.length; index++) {
      const start = Math.max(found.starts[index]!, from);
      const rule = found.rules[index]!;
      let end = found.ends[index]!;
      if (end <= from) continue;
      if (start >= cut) break;
      if (!last) this.#open = this.#goesOn(end, to, rule);
      if (this.#open !== 'nothing') this.#rule = rule;
      if (this.#open === 'private-key') end = Math.max(start, to - footerBytes);
      this.#findings.add(start, end, rule, 0);
      if (this.#open !== 'nothing') return end;
      decided = Math.max(decided, end);
    }
    return decided;
  }

  /** Is what was found not over yet? All but keys and tokens end long before a piece does. */
  #goesOn(end: number, to: number, rule: number): Open {
    if (this.#scanner.isPrivateKey(rule)) return end < to - unsureBytes ? 'nothing' : 'private-key';
    return end < to ? 'nothing' : 'token';
  }

  #shift(distance: number): void {
    const { starts, ends, length } = this.#findings;
    for (let index = 0; index < length; index++) {
      starts[index]! += distance;
      ends[index]! += distance;
    }
  }
}

const isTokenByte = (byte: number): boolean =>
  (classes[byte]! & (digit | letter | dash | base64)) !== 0 || byte === stop;
