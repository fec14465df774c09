/**
 * A text in pieces. A piece is decided but for its tail, where something may begin; a private key or a token that is not over
 * yet is a state, not held bytes: what follows is masked until its end comes.
 */
import type { Findings, LiveText } from '../gate/masking.ts';
import { base64, classes, dash, digit, letter } from './detectors/bytes.ts';
import { footerAcross, keyEnd } from './detectors/private-key.ts';
import { FindingList } from './findings.ts';
import type { Scanner } from './scan/scanner.ts';

/** More than any detector looks ahead of its anchor, and than the longest finding that is not a state. */
export const heldBytes = 3072;
/** The end of a key is sure only this far before the end of a piece: a footer's hyphens, what follows a quote. */
const unsureBytes = 64;
/** Held of an open key: longer than a footer that ends in the unsure bytes. */
const footerBytes = 256;

/** Where in `bytes[start, end)` something may begin that is not over at `end`, which is not the end of the text. */
export type TextTail = (bytes: Uint8Array, start: number, end: number) => number;

/** What goes on at the end of the pieces so far. */
type Open = 'nothing' | 'private-key' | 'token';

const stop = 0x2e;

export class LiveScan implements LiveText {
  readonly #scanner: Scanner;
  readonly #tail: TextTail;
  readonly #contextBytes: number;
  readonly #findings = new FindingList();
  #open: Open = 'nothing';
  #rule = 0;
  /** Bytes of the open key that are decided. */
  #keyBytes = 0;
  #decided = 0;
  #kept = 0;

  /** @param contextBytes how far detectors look back from where a finding begins */
  constructor(scanner: Scanner, tail: TextTail, contextBytes: number) {
    this.#scanner = scanner;
    this.#tail = tail;
    this.#contextBytes = contextBytes;
  }

  get decided(): number {
    return this.#decided;
  }

  get kept(): number {
    return this.#kept;
  }

  mayGoOn(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#open !== 'nothing' || this.#tail(bytes, start, end) < end;
  }

  push(bytes: Uint8Array, start: number, from: number, end: number, settle: boolean): Findings {
    this.#findings.clear();
    const after = this.#goOn(bytes, start, from, end, settle);
    let [decided, tail] = [after, after];
    if (this.#open === 'nothing') {
      tail = this.#tail(bytes, start, end);
      decided = this.#scan(bytes, start, after, end, settle ? end : Math.max(after, tail), settle);
    }
    this.#decided = decided;
    this.#kept = Math.max(start, Math.min(decided, tail) - this.#contextBytes);
    return this.#findings;
  }

  /** Goes on with what is open; returns where it ends, or what is decided of it while it is still open. */
  #goOn(bytes: Uint8Array, start: number, from: number, end: number, settle: boolean): number {
    if (this.#open === 'private-key') return this.#goOnWithKey(bytes, start, from, end, settle);
    if (this.#open !== 'token') return from;
    let after = from;
    while (after < end && isTokenByte(bytes[after]!)) after++;
    if (after > from) this.#findings.add(from, after, this.#rule, 1);
    if (after < end) this.#open = 'nothing';
    return after;
  }

  #goOnWithKey(bytes: Uint8Array, start: number, from: number, end: number, settle: boolean): number {
    // a footer whose beginning was settled
    const least = Math.max(start, from - Math.min(footerBytes, this.#keyBytes));
    const across = footerAcross(bytes, least, from, end);
    const after = across === -1 ? keyEnd(bytes, from, end) : Math.max(from, across);
    const over = settle ? after < end : after < end - unsureBytes;
    const decided = over || settle ? after : Math.max(from, end - footerBytes);
    if (decided > from) this.#findings.add(from, decided, this.#rule, 1);
    this.#keyBytes += decided - from;
    if (over) this.#open = 'nothing';
    return decided;
  }

  /** Scans; returns what is decided. What is before `from` is read, and nothing is found in it, nor from `cut` on. */
  #scan(bytes: Uint8Array, start: number, from: number, end: number, cut: number, settle: boolean): number {
    if (cut === from) return from;
    const found = this.#scanner.scan(bytes, start, end);
    let decided = cut;
    for (let index = 0; index < found.length; index++) {
      const first = Math.max(found.starts[index]!, from);
      const rule = found.rules[index]!;
      let after = found.ends[index]!;
      if (after <= from) continue;
      if (first >= cut) break;
      const whole = found.starts[index]! >= from;
      this.#open = settle
        ? this.#goesOnSettled(after, end, rule, after - found.starts[index]!)
        : this.#goesOn(after, end, rule);
      if (this.#open !== 'nothing') this.#rule = rule;
      if (this.#open === 'private-key') {
        if (!settle) after = Math.max(first, end - footerBytes);
        this.#keyBytes = after - first;
      }
      this.#findings.add(first, after, rule, whole && this.#open === 'nothing' ? 0 : 1);
      if (this.#open !== 'nothing') return after;
      decided = Math.max(decided, after);
    }
    return decided;
  }

  /** Is what was found not over yet? All but keys and tokens end long before a piece does. */
  #goesOn(after: number, end: number, rule: number): Open {
    if (this.#scanner.isPrivateKey(rule)) return after < end - unsureBytes ? 'nothing' : 'private-key';
    return after < end ? 'nothing' : 'token';
  }

  /** May what follows after all be more of it? What is short is read again then. */
  #goesOnSettled(after: number, end: number, rule: number, length: number): Open {
    if (after < end) return 'nothing';
    if (this.#scanner.isPrivateKey(rule)) return 'private-key';
    return length < heldBytes ? 'nothing' : 'token';
  }
}

const isTokenByte = (byte: number): boolean =>
  (classes[byte]! & (digit | letter | dash | base64)) !== 0 || byte === stop;
