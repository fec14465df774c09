/**
 * A list of words, found in one pass however many they are (Aho and Corasick, 1975), in any case, as whole words: no letter
 * or digit may stand beside one that ends in a letter or digit itself.
 */
import { isWordByte } from '../../bytes/pattern/word-byte.ts';
import { MaskingError } from '../error.ts';
import type { CustomAutomaton } from './custom.ts';

export const mostWordBytes = 256;
/** Bound of the automaton's memory: about 16 MiB. */
export const mostListBytes = 65_536;

/** @throws MaskingError `masking-pattern-invalid` */
export function compileWords(words: readonly string[]): CustomAutomaton {
  if (words.length === 0) throw new MaskingError('masking-pattern-invalid', 'expected at least one word');
  let total = 0;
  const variants = new Set<string>();
  for (const [index, word] of words.entries()) {
    const bytes = Buffer.byteLength(word);
    if (word.trim() === '' || bytes > mostWordBytes)
      throw new MaskingError(
        'masking-pattern-invalid',
        `word ${index + 1}: expected 1 to ${mostWordBytes} bytes`,
      );
    total += bytes;
    for (const variant of [word, word.toLowerCase(), word.toUpperCase()]) variants.add(foldAscii(variant));
  }
  if (total > mostListBytes)
    throw new MaskingError('masking-pattern-invalid', `expected at most ${mostListBytes} bytes of words`);
  return new WordList([...variants].map((variant) => Buffer.from(variant)));
}

/** Lower case for ASCII alone: other letters differ in bytes, and stand in the list in either case. */
const foldAscii = (text: string): string => text.replace(/[A-Z]/g, (char) => char.toLowerCase());

class WordList implements CustomAutomaton {
  /** Byte to column of the table; 0: in no word. */
  readonly #column = new Uint16Array(256);
  readonly #columns: number;
  /** State × column → state, with failure links resolved. */
  readonly #next: Int32Array;
  /** Length of the longest word that ends in a state; 0: none. */
  readonly #length: Uint16Array;
  /** How many bytes led to a state. */
  readonly #depth: Uint16Array;
  /** The next shorter word's state; 0: none. */
  readonly #shorter: Int32Array;

  constructor(words: readonly Uint8Array[]) {
    let columns = 1;
    let states = 1;
    for (const word of words) {
      states += word.length;
      for (const byte of word) if (this.#column[byte] === 0) this.#column[byte] = columns++;
    }
    for (let byte = 65; byte <= 90; byte++) this.#column[byte] = this.#column[byte | 0x20]!;
    this.#columns = columns;
    this.#next = new Int32Array(states * columns);
    this.#length = new Uint16Array(states);
    this.#depth = new Uint16Array(states);
    this.#shorter = new Int32Array(states);
    this.#link(this.#insert(words));
  }

  /** The trie; returns how many states it has. */
  #insert(words: readonly Uint8Array[]): number {
    let states = 1;
    for (const word of words) {
      let state = 0;
      for (const byte of word) {
        const edge = state * this.#columns + this.#column[byte]!;
        if (this.#next[edge] === 0) {
          this.#depth[states] = this.#depth[state]! + 1;
          this.#next[edge] = states++;
        }
        state = this.#next[edge]!;
      }
      this.#length[state] = word.length;
    }
    return states;
  }

  /** Failure links, breadth first, resolved into the table. */
  #link(states: number): void {
    const failure = new Int32Array(states);
    const queue = new Int32Array(states);
    let head = 0;
    let tail = 0;
    for (let column = 1; column < this.#columns; column++)
      if (this.#next[column] !== 0) queue[tail++] = this.#next[column]!;
    while (head < tail) {
      const state = queue[head++]!;
      const fallback = failure[state]!;
      this.#shorter[state] = this.#length[fallback]! > 0 ? fallback : this.#shorter[fallback]!;
      for (let column = 1; column < this.#columns; column++) {
        const edge = state * this.#columns + column;
        const onFailure = this.#next[fallback * this.#columns + column]!;
        if (this.#next[edge] === 0) this.#next[edge] = onFailure;
        else {
          failure[this.#next[edge]!] = onFailure;
          queue[tail++] = this.#next[edge]!;
        }
      }
    }
  }

  find(bytes: Uint8Array, start: number, end: number, onMatch: (start: number, end: number) => void): void {
    let state = 0;
    for (let at = start; at < end; at++) {
      const column = this.#column[bytes[at]!]!;
      state = column === 0 ? 0 : this.#next[state * this.#columns + column]!;
      if (state === 0) continue;
      for (
        let word = this.#length[state]! > 0 ? state : this.#shorter[state]!;
        word !== 0;
        word = this.#shorter[word]!
      ) {
        const first = at + 1 - this.#length[word]!;
        if (!isWhole(bytes, first, at + 1, start, end)) continue;
        onMatch(first, at + 1);
        break;
      }
    }
  }

  tail(bytes: Uint8Array, start: number, end: number): number {
    let state = 0;
    for (let at = Math.max(start, end - mostWordBytes); at < end; at++)
      state = this.#next[state * this.#columns + this.#column[bytes[at]!]!]!;
    return end - this.#depth[state]!;
  }
}

function isWhole(bytes: Uint8Array, first: number, after: number, start: number, end: number): boolean {
  if (after < end && isWordByte(bytes[after]) && isWordByte(bytes[after - 1])) return false;
  return first === start || !isWordByte(bytes[first - 1]) || !isWordByte(bytes[first]);
}
