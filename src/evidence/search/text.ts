/**
 * The text of one stream while it is searched: bytes that were put together across records and segments, and where each came
 * from. What was searched is forgotten, but for the lines that a later match may show before it.
 */
import type { Matcher } from './matcher.ts';

/** Where bytes came from. */
export interface Origin {
  /** Microseconds since `session.opened`. */
  readonly t: number;
  readonly connection: number;
  /** 0: of none. */
  readonly command: number;
}

/** One line with what was found in it. Texts are cut around the first match where the line is long. */
export interface FoundLine extends Origin {
  /** The line in pieces; those at odd places are matches. */
  readonly line: readonly string[];
  readonly before: readonly string[];
  readonly after: readonly string[];
}

const newline = 10;
/** A longer line is searched in pieces. */
const longestLineBytes = 256 * 1024;
/** Pieces have so much in common: what is found in a very long line is at most so long. */
const sharedBytes = 4096;
const shownBytes = 1000;
const shownBefore = 200;
const mostMatchesOfLine = 32;

export class SearchText {
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;
  /** Where pieces of another origin begin. */
  #offsets: number[] = [];
  /** `t`, connection and command of each, in turn: no object for each of very many records. */
  #origins: number[] = [];
  /** What ends before this was searched. */
  #searched = 0;
  /** Up to here matches were told. */
  #told = 0;
  /** Something was put since the last search. */
  #fresh = false;
  /** Each origin is a text of its own: its lines are shown with those of no other. */
  readonly #apart: boolean;

  constructor(apart: boolean) {
    this.#apart = apart;
  }

  /** What is put from now on is of this. */
  from(t: number, connection: number, command: number): void {
    const last = this.#offsets.length - 1;
    if (last >= 0 && this.#offsets[last] === this.#length) this.#origins.length -= 3;
    else this.#offsets.push(this.#length);
    this.#origins.push(t, connection, command);
  }

  /** For who puts many small pieces at once: the memory, with room for `bytes` more behind `length`. */
  room(bytes: number): Buffer {
    this.#reserve(bytes);
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  /** What was put into `room` ends here. */
  grew(length: number): void {
    this.#length = length;
  }

  put(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    this.#reserve(size);
    const into = this.#bytes;
    let at = this.#length;
    // A few bytes go one by one: that costs less than the call.
    if (size <= 96) for (let i = start; i < end; i++) into[at++] = bytes[i]!;
    else into.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at);
    this.#length += size;
  }

  byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  /** Ends the line, unless it is empty. */
  endLine(): void {
    if (this.#length > 0 && this.#bytes[this.#length - 1] !== newline) this.byte(newline);
  }

  /** Takes the last character of the line back, as a terminal's cursor does. */
  back(): void {
    const least = Math.max(this.#searched, this.#told);
    let at = this.#length - 1;
    while (at > least && isRest(this.#bytes[at]!)) at--;
    if (at < least || this.#bytes[at] === newline) return;
    this.#length = at;
    for (let i = this.#offsets.length - 1; i >= 0 && this.#offsets[i]! > at; i--) this.#offsets[i] = at;
  }

  /**
   * Searches what is there now.
   * @param context lines that are told before and after a match
   * @param over nothing follows
   */
  search(matcher: Matcher, context: number, over: boolean, onLine: (line: FoundLine) => void): void {
    if (!this.#fresh && !over) {
      // A stream that rests keeps no megabytes.
      if (this.#length === 0) this.#bytes = Buffer.alloc(0);
      return;
    }
    this.#fresh = false;
    let upTo = over ? this.#length : this.#linesBefore(this.#length, context + 1);
    let next = upTo;
    if (this.#length - upTo > longestLineBytes) {
      upTo = this.#length;
      next = Math.max(this.#searched, this.#length - sharedBytes);
    }
    if (upTo > this.#searched) {
      const told = this.#told;
      const lines = new LinesOf(this.#bytes, upTo);
      matcher.find(this.#bytes.subarray(0, upTo), this.#searched, upTo, (start, end) => {
        if (end > told) lines.add(start, end);
      });
      for (const line of lines.found) onLine(this.#show(line, context));
      this.#searched = next;
      this.#told = upTo;
    }
    this.#forget(context);
  }

  /** The end of the `count`-th last line that is whole; 0 when there are not so many. */
  #linesBefore(end: number, count: number): number {
    let at = end;
    for (let left = count; left > 0; left--) {
      if (at <= 0) return 0;
      at = this.#bytes.lastIndexOf(newline, at - 1);
      if (at === -1) return 0;
    }
    return at + 1;
  }

  #show({ start, end, matches }: LineMatches, context: number): FoundLine {
    const origin = this.#originAt(matches[0]!);
    const least = this.#apart ? this.#offsets[origin]! : 0;
    const most = this.#apart ? (this.#offsets[origin + 1] ?? this.#length) : this.#length;
    const before: string[] = [];
    for (let at = start; at > least && before.length < context;) {
      const from = Math.max(least, at < 2 ? 0 : this.#bytes.lastIndexOf(newline, at - 2) + 1);
      before.unshift(this.#cut(from, at - 1));
      at = from;
    }
    const after: string[] = [];
    for (let at = end + 1; at < most && after.length < context;) {
      const to = this.#bytes.subarray(0, most).indexOf(newline, at);
      after.push(this.#cut(at, to === -1 ? most : to));
      at = to === -1 ? most : to + 1;
    }
    const [t, connection, command] = this.#origins.slice(3 * origin, 3 * origin + 3) as Three;
    return { t, connection, command, line: this.#pieces(start, end, matches), before, after };
  }

  #pieces(start: number, end: number, matches: readonly number[]): string[] {
    const from = Math.max(start, matches[0]! - (end - start > shownBytes ? shownBefore : shownBytes));
    const to = Math.min(end, Math.max(from + shownBytes, Math.min(matches[1]!, from + 4 * shownBytes)));
    const pieces: string[] = [];
    let at = from;
    for (let i = 0; i < matches.length && matches[i]! < to; i += 2) {
      pieces.push(this.#text(at, matches[i]!));
      at = Math.min(matches[i + 1]!, to);
      pieces.push(this.#text(matches[i]!, at));
    }
    pieces.push(this.#text(at, to));
    if (from > start) pieces[0] = `…${pieces[0]}`;
    if (to < end) pieces[pieces.length - 1] += '…';
    return pieces;
  }

  #cut(start: number, end: number): string {
    return end - start <= shownBytes ? this.#text(start, end) : `${this.#text(start, start + shownBytes)}…`;
  }

  #text(start: number, end: number): string {
    return this.#bytes.toString('utf8', start, end).replace(/\r$/, '');
  }

  #originAt(offset: number): number {
    let [low, high] = [0, this.#offsets.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#offsets[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #forget(context: number): void {
    const kept = this.#apart ? this.#searched : this.#linesBefore(this.#searched, context + 1);
    const least = Math.max(kept, this.#searched - longestLineBytes);
    if (least === 0) return;
    const origin = this.#originAt(least);
    this.#bytes.copyWithin(0, least, this.#length);
    this.#offsets = this.#offsets.slice(origin).map((offset) => Math.max(0, offset - least));
    this.#origins = this.#origins.slice(3 * origin);
    this.#length -= least;
    this.#searched -= least;
    this.#told -= least;
  }

  #reserve(bytes: number): void {
    this.#fresh = true;
    const needed = this.#length + bytes;
    if (needed > this.#bytes.length) this.#grow(needed);
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(4096, 2 * this.#bytes.length, needed));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** Of a character of UTF-8, but its first byte. */
const isRest = (byte: number): boolean => byte >= 0x80 && byte < 0xc0;

type Three = [number, number, number];

interface LineMatches {
  readonly start: number;
  readonly end: number;
  /** Start and end of each match, in turn. */
  readonly matches: number[];
}

/** Matches, line by line. */
class LinesOf {
  readonly found: LineMatches[] = [];
  readonly #bytes: Buffer;
  readonly #upTo: number;

  constructor(bytes: Buffer, upTo: number) {
    this.#bytes = bytes.subarray(0, upTo);
    this.#upTo = upTo;
  }

  add(start: number, end: number): void {
    const last = this.found.at(-1);
    if (last !== undefined && start < last.end) {
      if (last.matches.length < 2 * mostMatchesOfLine) last.matches.push(start, end);
      return;
    }
    const lineEnd = this.#bytes.indexOf(newline, start);
    this.found.push({
      start: this.#bytes.lastIndexOf(newline, start) + 1,
      end: lineEnd === -1 ? this.#upTo : lineEnd,
      matches: [start, end],
    });
  }
}
