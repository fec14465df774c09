/**
 * Finds a text or a pattern in lines of bytes. A match stands within one line, as with grep. Bytes that every match has are looked for
 * first, in the whole text; only lines that have them are read by the automaton, which takes a step a byte.
 *
 * Of several matches the one that ends first is told, from its earliest beginning, as long as it goes on matching; then the next one
 * behind it.
 */
import {
  literalPattern,
  parsePattern,
  PatternError,
  type Node,
  type Pattern,
} from '../../bytes/pattern/syntax.ts';
import { isWordByte } from '../../bytes/pattern/word-byte.ts';
import { EvidenceError } from '../error.ts';
import { LazyAutomaton, reversed } from './automaton.ts';
import { literalsOf, type Literals } from './literals.ts';

/** What is looked for. */
export interface SearchPattern {
  readonly text: string;
  /** In the language of `bytes/pattern/syntax.ts`. */
  readonly regex: boolean;
  readonly ignoreCase: boolean;
}

export const mostPatternCharacters = 1000;
/** How much longer than its first end a match is told. */
const mostExtension = 4096;
const newline = 10;

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** @throws EvidenceError `search-pattern-invalid` */
export function compileMatcher({ text, regex, ignoreCase }: SearchPattern): Matcher {
  return asSearchError(() => {
    if (text === '' || text.length > mostPatternCharacters)
      throw new PatternError(`expected 1 to ${mostPatternCharacters} characters`);
    if (!regex) return new Matcher(literalPattern(text, ignoreCase));
    return new Matcher(parsePattern(ignoreCase && !text.startsWith('(?i)') ? `(?i)${text}` : text));
  });
}

export class Matcher {
  readonly #literals: Literals | null;
  readonly #exact: boolean;
  readonly #forward: LazyAutomaton;
  readonly #backward: LazyAutomaton;
  readonly #pattern: Pattern;
  #folded: Buffer = Buffer.alloc(0);

  /** @throws PatternError */
  constructor(pattern: Pattern) {
    const node = withinLine(pattern.node);
    this.#pattern = pattern;
    this.#literals = literalsOf(node);
    this.#exact = this.#literals?.exact === true && !pattern.boundaryBefore && !pattern.boundaryAfter;
    this.#forward = new LazyAutomaton(node);
    this.#backward = new LazyAutomaton(reversed(node));
    if (this.#forward.empty) throw new PatternError('matches nothing at all, which is everywhere');
  }

  /**
   * Matches in `bytes[start, end)`, in order, none within another. What stands before `start` is another line.
   * @throws EvidenceError `search-pattern-invalid` when the text shows that the pattern takes too long
   */
  find(bytes: Buffer, start: number, end: number, onMatch: (start: number, end: number) => void): void {
    asSearchError(() => {
      this.#forward.rest();
      this.#backward.rest();
      if (this.#literals === null) this.#findIn(bytes, start, end, onMatch);
      else this.#findLiterals(this.#literals, bytes, start, end, onMatch);
    });
  }

  #findLiterals(
    { any, folded }: Literals,
    bytes: Buffer,
    start: number,
    end: number,
    onMatch: (start: number, end: number) => void,
  ): void {
    // The same places as in `bytes`, so that no offset has to be told from another.
    const text = folded ? this.#lowered(bytes, start, end) : bytes.subarray(0, end);
    const next = any.map((literal) => placeOf(text, literal, start));
    for (;;) {
      let first = 0;
      for (let i = 1; i < next.length; i++) if (next[i]! < next[first]!) first = i;
      const at = next[first]!;
      if (at === Infinity) return;
      let after = at + any[first]!.length;
      if (this.#exact) onMatch(at, after);
      else {
        const lineStart = Math.max(start, text.lastIndexOf(newline, at) + 1);
        const lineEnd = text.indexOf(newline, at);
        after = lineEnd === -1 ? end : lineEnd;
        this.#findIn(bytes, lineStart, after, onMatch);
      }
      for (let i = 0; i < next.length; i++) if (next[i]! < after) next[i] = placeOf(text, any[i]!, after);
    }
  }

  #findIn(bytes: Buffer, start: number, end: number, onMatch: (start: number, end: number) => void): void {
    for (let from = start; from < end;) {
      const firstEnd = this.#firstEnd(bytes, start, from, end);
      if (firstEnd === -1) return;
      const first = this.#earliest(bytes, start, from, firstEnd, end);
      from = this.#longest(bytes, first, firstEnd, end);
      onMatch(first, from);
    }
  }

  /** Where the match that begins at `from` or later and ends first ends; -1: there is none. */
  #firstEnd(bytes: Buffer, start: number, from: number, end: number): number {
    const { boundaryBefore, boundaryAfter } = this.#pattern;
    const automaton = this.#forward;
    const { table } = automaton;
    let state = automaton.idle;
    if (boundaryBefore || boundaryAfter) {
      for (let at = from; at < end; at++) {
        const begins = !boundaryBefore || isBoundary(bytes, at, start, end);
        const reached = automaton.step(state, bytes[at]!, begins);
        if ((reached & 1) === 1 && (!boundaryAfter || isBoundary(bytes, at + 1, start, end))) return at + 1;
        state = reached >>> 1;
      }
      return -1;
    }
    for (let at = from; at < end; at++) {
      // Where no match has begun, and none begins: nothing depends on the byte before.
      if (state === automaton.idle) while (at < end && table[256 + bytes[at]!] === automaton.idle) at++;
      if (at === end) break;
      const byte = bytes[at]!;
      let reached = table[(state << 9) + 256 + byte]!;
      if (reached < 0) reached = automaton.step(state, byte, true);
      if ((reached & 1) === 1) return at + 1;
      state = reached >>> 1;
    }
    return -1;
  }

  /** Where the longest match that ends at `last` begins. */
  #earliest(bytes: Buffer, start: number, from: number, last: number, end: number): number {
    const automaton = this.#backward;
    let state = automaton.begin();
    let found = last;
    for (let at = last - 1; at >= from; at--) {
      const reached = automaton.step(state, bytes[at]!, false);
      if ((reached & 1) === 1 && (!this.#pattern.boundaryBefore || isBoundary(bytes, at, start, end)))
        found = at;
      state = reached >>> 1;
      if (state === automaton.idle) break;
    }
    return found;
  }

  #longest(bytes: Buffer, first: number, firstEnd: number, end: number): number {
    const automaton = this.#forward;
    let state = automaton.begin();
    let found = firstEnd;
    const most = Math.min(end, firstEnd + mostExtension);
    for (let at = first; at < most; at++) {
      const reached = automaton.step(state, bytes[at]!, false);
      if ((reached & 1) === 1 && (!this.#pattern.boundaryAfter || isBoundary(bytes, at + 1, first, end)))
        found = Math.max(found, at + 1);
      state = reached >>> 1;
      if (state === automaton.idle) break;
    }
    return found;
  }

  /** ASCII in lower case; a view, until the next call. */
  #lowered(bytes: Buffer, start: number, end: number): Buffer {
    if (this.#folded.length < end) this.#folded = Buffer.allocUnsafeSlow(Math.max(end, 65_536));
    const folded = this.#folded;
    let at = start;
    // Four bytes at a time, where both lie on the boundaries of words.
    const whole = (start + 3) & ~3;
    if (bytes.byteOffset % 4 === 0 && whole < end) {
      for (; at < whole; at++) folded[at] = lowerCase[bytes[at]!]!;
      const words = (end - at) >> 2;
      const from = new Int32Array(bytes.buffer, bytes.byteOffset + at, words);
      const into = new Int32Array(folded.buffer, folded.byteOffset + at, words);
      for (let i = 0; i < words; i++) into[i] = lowerCaseWord(from[i]!);
      at += 4 * words;
    }
    for (; at < end; at++) folded[at] = lowerCase[bytes[at]!]!;
    return folded.subarray(0, end);
  }
}

const lowerCase = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 65 && byte <= 90 ? byte | 0x20 : byte,
);

/** The same for each of four bytes: bit 7 tells of the lower seven whether they are over `@`, and whether over `Z`. */
function lowerCaseWord(word: number): number {
  const seven = word & 0x7f7f_7f7f;
  const isUpper = (seven + 0x3f3f_3f3f) & ~(seven + 0x2525_2525) & ~word & 0x8080_8080;
  return word | (isUpper >>> 2);
}

function placeOf(text: Buffer, literal: Buffer, from: number): number {
  const at = text.indexOf(literal, from);
  return at === -1 ? Infinity : at;
}

/** A word begins or ends before `at`; beyond `[start, end)` there is none. */
const isBoundary = (bytes: Buffer, at: number, start: number, end: number): boolean =>
  isWordByte(at > start ? bytes[at - 1] : undefined) !== isWordByte(at < end ? bytes[at] : undefined);

/** No set of it has the end of a line. @throws PatternError when nothing is left of one */
function withinLine(node: Node): Node {
  switch (node.kind) {
    case 'set': {
      if (!node.set.has(newline)) return node;
      if (node.set.size === 1)
        throw new PatternError('a match stands within one line: look for one of the lines');
      return { kind: 'set', set: new Set([...node.set].filter((byte) => byte !== newline)) };
    }
    case 'sequence':
    case 'choice':
      return { kind: node.kind, parts: node.parts.map(withinLine) };
    case 'repeat':
      return { ...node, part: withinLine(node.part) };
  }
}

function asSearchError<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PatternError)
      throw new EvidenceError('search-pattern-invalid', `This cannot be looked for: ${error.message}.`);
    throw error;
  }
}
