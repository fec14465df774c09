/**
 * A pattern as a deterministic automaton over bytes: built once at start (Thompson's construction, then sets of states),
 * refused when it grows too large. From each byte that a match can begin with it runs until it dies or the longest match
 * is 256 bytes long, so that no text makes it go back or take more than that for a byte.
 */
import { closure, Parts, tooLarge } from '../../bytes/pattern/parts.ts';
import { parsePattern, PatternError, type Pattern } from '../../bytes/pattern/syntax.ts';
import { isWordByte } from '../../bytes/pattern/word-byte.ts';
import { MaskingError } from '../error.ts';
import type { CustomAutomaton, OnMatch } from './custom.ts';

/** Longest match, bytes. */
export const mostMatchBytes = 256;
export const mostPatternCharacters = 1000;
const mostStates = 2000;
const mostParts = 20_000;

/** @throws MaskingError `masking-pattern-invalid` */
export function compilePattern(text: string): CustomAutomaton {
  if (text.length > mostPatternCharacters)
    throw new MaskingError('masking-pattern-invalid', `expected at most ${mostPatternCharacters} characters`);
  try {
    const pattern = parsePattern(text);
    const parts = new Parts(mostParts);
    const first = parts.add(pattern.node, parts.end);
    return new PatternAutomaton(pattern, determine(parts, first));
  } catch (error) {
    if (error instanceof PatternError) throw new MaskingError('masking-pattern-invalid', error.message);
    throw error;
  }
}

interface Table {
  /** State × byte → state; 0: dead. The first state is 1. */
  readonly next: Uint16Array;
  readonly accepts: Uint8Array;
}

/** Sets of parts become states. */
function determine(parts: Parts, first: number): Table {
  const known = new Map<string, number>();
  const states: number[][] = [[]];
  const enter = (members: number[]): number => {
    if (members.length === 0) return 0;
    const key = members.join();
    let state = known.get(key);
    if (state === undefined) {
      if (states.length > mostStates) throw tooLarge();
      state = states.push(members) - 1;
      known.set(key, state);
    }
    return state;
  };
  enter(closure(parts, [first]));
  const rows: Uint16Array[] = [new Uint16Array(256)];
  for (let state = 1; state < states.length; state++) {
    const row = new Uint16Array(256);
    const readers = states[state]!.filter((part) => parts.sets[part] !== null);
    const seen = new Map<string, number>();
    for (let byte = 0; byte < 256; byte++) {
      const moved = readers.filter((part) => parts.sets[part]!.has(byte));
      const key = moved.join();
      let target = seen.get(key);
      if (target === undefined) {
        target = enter(
          closure(
            parts,
            moved.map((part) => parts.next[part]![0]!),
          ),
        );
        seen.set(key, target);
      }
      row[byte] = target;
    }
    rows.push(row);
  }
  const next = new Uint16Array(states.length * 256);
  for (const [state, row] of rows.entries()) next.set(row, state * 256);
  return { next, accepts: Uint8Array.from(states, (members) => (members.includes(parts.end) ? 1 : 0)) };
}

class PatternAutomaton implements CustomAutomaton {
  readonly #table: Table;
  readonly #pattern: Pattern;
  /** Bytes that a match may begin with. */
  readonly #first: Uint8Array;

  constructor(pattern: Pattern, table: Table) {
    if (table.accepts[1] === 1)
      throw new MaskingError('masking-pattern-invalid', 'matches nothing at all, which is everywhere');
    this.#pattern = pattern;
    this.#table = table;
    this.#first = Uint8Array.from(table.next.subarray(256, 512), (state) => (state === 0 ? 0 : 1));
  }

  find(bytes: Uint8Array, start: number, end: number, onMatch: OnMatch): void {
    for (let at = start; at < end; at++) {
      if (!this.#mayBegin(bytes, at, start)) continue;
      const after = this.#longest(bytes, at, end);
      if (after === -1) continue;
      onMatch(at, after);
      at = after - 1;
    }
  }

  tail(bytes: Uint8Array, start: number, end: number): number {
    for (let at = Math.max(start, end - mostMatchBytes + 1); at < end; at++)
      if (this.#mayBegin(bytes, at, start) && this.#goesOn(bytes, at, end)) return at;
    return end;
  }

  #mayBegin(bytes: Uint8Array, at: number, start: number): boolean {
    if (this.#first[bytes[at]!] === 0) return false;
    return (
      !this.#pattern.boundaryBefore || at === start || isWordByte(bytes[at - 1]) !== isWordByte(bytes[at])
    );
  }

  #goesOn(bytes: Uint8Array, at: number, end: number): boolean {
    let state = 1;
    for (let place = at; place < end && state !== 0; place++)
      state = this.#table.next[state * 256 + bytes[place]!]!;
    return state !== 0;
  }

  /** The end of the longest match that begins at `at`, or -1. */
  #longest(bytes: Uint8Array, at: number, end: number): number {
    const { next, accepts } = this.#table;
    const most = Math.min(end, at + mostMatchBytes);
    let state = 1;
    let found = -1;
    for (let place = at; place < most; place++) {
      state = next[state * 256 + bytes[place]!]!;
      if (state === 0) break;
      if (accepts[state] === 1 && this.#endsAt(bytes, place + 1, end)) found = place + 1;
    }
    return found;
  }

  #endsAt(bytes: Uint8Array, after: number, end: number): boolean {
    return (
      !this.#pattern.boundaryAfter ||
      after === end ||
      isWordByte(bytes[after]) !== isWordByte(bytes[after - 1])
    );
  }
}
