/**
 * The shape of a statement: its text with every number as `1` and every plain literal as `''`, so that statements that
 * differ only in them are parsed once. The shape is SQL itself, and the facts are always those of the shape, never of
 * the statement that happened to come first.
 *
 * Only for texts whose scanning depends on no setting and whose facts depend on no literal: a single SELECT, INSERT,
 * UPDATE, DELETE, WITH or VALUES in ASCII (literals and quoted names may hold more), without comments, dollar quotes and
 * prefixed literals. Every other text has no shape, and whoever needs one takes the text as it is.
 *
 * Lists are shortened, so that a statement has few shapes: a constant that is an element of its own after one of its
 * kind is left out (`IN (1,1,1)` becomes `IN (1)`), and in INSERT … VALUES so is a row that is spelt like the one before.
 */

import { keyBuffer, type KeyBuffer } from './cache.ts';
import { mayBeEscaped } from './lexer.ts';

/** Longest text that is looked at (10 ns a byte: 80 ms), and longest shape; beyond there is none. */
const longestText = 8 * 1024 * 1024;
const longestShape = 1024 * 1024;
/** So many different rows of an INSERT are remembered. */
const mostRows = 16;

/** What a byte outside of quotes is to the scanner; `bad` is everything that a shape may not hold. */
const bad = 0, other = 1, space = 2, letter = 3, digit = 4, quote = 5, doubleQuote = 6, dot = 7, dollar = 8, minus = 9, slash = 10, semicolon = 11, ampersand = 12, opening = 13, closing = 14, comma = 15; // prettier-ignore
const kinds = new Uint8Array(256).fill(bad);
for (const byte of Buffer.from('!#%*+:<=>?@[]^`{|}~')) kinds[byte] = other;
for (const byte of Buffer.from(' \t\n\r\f')) kinds[byte] = space;
for (let byte = 0x61; byte <= 0x7a; byte += 1) kinds[byte] = kinds[byte - 0x20] = letter;
for (let byte = 0x30; byte <= 0x39; byte += 1) kinds[byte] = digit;
kinds[0x5f] = letter;
for (const [index, byte] of [...Buffer.from(`'".$-/;&(),`)].entries()) kinds[byte] = quote + index;

const wordBytes = (word: string): Uint8Array => Uint8Array.from(Buffer.from(word));
const insertWord = wordBytes('insert');
const valuesWord = wordBytes('values');
/** By their first letter, of which no two have the same. */
const firstWords: (Uint8Array | undefined)[] = Array.from({ length: 32 });
for (const word of [insertWord, valuesWord, ...['select', 'update', 'delete', 'with'].map(wordBytes)])
  firstWords[word[0]! & 0x1f] = word;
const constantWords = ['null', 'default', 'true', 'false'].map(wordBytes);

/** Bytes that go on with a word. */
export const inWord = kinds.map((kind) => (kind === letter || kind === digit || kind === dollar ? 1 : 0));

/** `kind` of the last constant in the list that is being written. */
const none = 0, number = 1, literal = 2; // prettier-ignore

/** One is made once and used for every text in turn. */
export class Shaper {
  /** The last shape stands in the first bytes of it, as many as `run` said. */
  key: KeyBuffer = keyBuffer(16 * 1024);
  #source: Uint8Array = this.key.bytes;
  #bytes: Uint8Array = this.key.bytes;
  /** Places in source and shape. */
  #at = 0;
  #out = 0;
  #depth = 0;
  #insert = false;
  /** In the rows of INSERT … VALUES: where in the shape this row starts, and the different ones before it stand. */
  #rows = false;
  #row = 0;
  #rowCount = 0;
  readonly #rowStarts = new Int32Array(mostRows);
  readonly #rowEnds = new Int32Array(mostRows);
  /** The last constant: its kind, its end in the shape; and a comma, and nothing else, has followed. */
  #constant = none;
  #constantEnd = 0;
  #separated = false;

  /** Length of the shape of `source`; -1: it has none. Allocates nothing, unless for the longest text so far. */
  run(source: Uint8Array): number {
    if (source.length > longestText) return -1;
    // A digit of a row becomes two quotes.
    const room = Math.min(2 * source.length, longestShape) + 8;
    if (this.#bytes.length < room) this.#grow(room);
    this.#source = source;
    this.#at = this.#out = this.#depth = 0;
    this.#rows = this.#insert = this.#separated = false;
    this.#rowCount = 0;
    this.#constant = none;
    if (!this.#begins(source)) return -1;
    return this.#rest(source, this.#bytes) ? this.#out : -1;
  }

  /** Room for a key of this length, whose bytes are the caller's to write. */
  room(lengthBytes: number): KeyBuffer {
    if (this.#bytes.length < lengthBytes + 8) this.#grow(lengthBytes + 8);
    return this.key;
  }

  #grow(lengthBytes: number): void {
    this.key = keyBuffer(lengthBytes);
    this.#bytes = this.key.bytes;
  }

  /** White space, words and operators are copied here; the rest is dealt with one token at a time. */
  #rest(source: Uint8Array, bytes: Uint8Array): boolean {
    const { length } = source;
    let at = this.#at;
    let out = 0;
    // Writes beyond the end of a typed array are dropped: it is enough to look now and then.
    while (at < length && out < longestShape) {
      let byte = source[at]!;
      const kind = kinds[byte]!;
      if (kind === letter) {
        const start = at;
        const outBefore = out;
        do {
          bytes[out++] = byte;
          at += 1;
          if (at === length) break;
          byte = source[at]!;
        } while (inWord[byte] !== 0);
        if (byte === 0x27) return false; // the prefix of a literal, or spelt like one
        if (!this.#insert) this.#constant = none;
        else {
          this.#at = at;
          this.#out = outBefore;
          if (this.#isConstant(start)) {
            this.#constantOf(literal);
            out = this.#out;
          } else this.#constant = none;
        }
      } else if (kind === space) {
        bytes[out++] = byte;
        at += 1;
      } else if (kind === other) {
        this.#constant = none;
        bytes[out++] = byte;
        at += 1;
      } else if (kind === digit && this.#constant === none && !this.#rows) {
        at = endOfNumber(source, at);
        if (at < 0) return false;
        bytes[out++] = 0x31;
        this.#constant = number;
        this.#constantEnd = out;
        this.#separated = false;
      } else if (kind === semicolon) {
        this.#out = out;
        return isEnd(source, at, length);
      } else {
        this.#at = at;
        this.#out = out;
        if (!this.#token(byte, kind)) return false;
        at = this.#at;
        out = this.#out;
      }
    }
    this.#out = out;
    return out < longestShape;
  }

  #begins(source: Uint8Array): boolean {
    let at = 0;
    while (at < source.length && kinds[source[at]!] === space) at += 1;
    this.#at = at;
    const word = at < source.length ? firstWords[source[at]! & 0x1f] : undefined;
    if (word === undefined || at + word.length >= source.length) return false;
    for (let index = 0; index < word.length; index += 1)
      if ((source[at + index]! | 0x20) !== word[index]) return false;
    this.#insert = word === insertWord;
    return inWord[source[at + word.length]!] === 0;
  }

  #isWord(word: Uint8Array, start: number, end: number): boolean {
    if (end - start !== word.length) return false;
    for (let index = 0; index < word.length; index += 1)
      if ((this.#source[start + index]! | 0x20) !== word[index]) return false;
    return true;
  }

  #token(byte: number, kind: number): boolean {
    const next = this.#source[this.#at + 1] ?? 0;
    switch (kind) {
      case digit:
        return this.#number();
      case quote:
        return this.#literal();
      case doubleQuote:
        return this.#name();
      case comma:
        this.#separated = !this.#separated;
        if (!this.#separated) this.#constant = none;
        return this.#copy(byte);
      case opening:
        return this.#open();
      case closing:
        return this.#close();
      case dot: {
        if (kinds[next] !== digit) return this.#other(byte);
        // `WHERE.5` would become one word.
        const before = kinds[this.#source[this.#at - 1] ?? 0];
        return before !== letter && before !== digit && this.#number();
      }
      case minus:
        if (next === 0x2d) return false;
        return this.#sign(next) || this.#other(byte);
      case slash:
        return next !== 0x2a && this.#other(byte);
      case ampersand:
        return next !== 0x27 && next !== 0x22 && this.#other(byte);
      case dollar:
        return this.#parameter(byte);
      default:
        return false;
    }
  }

  #copy(byte: number): true {
    this.#at += 1;
    this.#bytes[this.#out++] = byte;
    return true;
  }

  #other(byte: number): true {
    this.#constant = none;
    return this.#copy(byte);
  }

  #open(): true {
    if (this.#depth === 0) this.#row = this.#out;
    this.#depth += 1;
    return this.#other(0x28);
  }

  #close(): true {
    this.#depth -= 1;
    this.#other(0x29);
    if (!this.#rows || this.#depth !== 0) return true;
    const count = this.#rowCount;
    if (count > 0 && !this.#followsRow(count - 1)) {
      this.#rows = false;
      return true;
    }
    for (let index = 0; index < count; index += 1)
      if (this.#isRow(index)) {
        this.#out = this.#rowEnds[count - 1]!;
        return true;
      }
    if (count === mostRows) this.#rows = false;
    else {
      this.#rowStarts[count] = this.#row;
      this.#rowEnds[count] = this.#out;
      this.#rowCount += 1;
    }
    return true;
  }

  /** Between this row and the one before it is a comma and nothing else. */
  #followsRow(index: number): boolean {
    let commas = 0;
    for (let at = this.#rowEnds[index]!; at < this.#row; at += 1) {
      const kind = kinds[this.#bytes[at]!];
      if (kind === comma) commas += 1;
      else if (kind !== space) return false;
    }
    return commas === 1;
  }

  #isRow(index: number): boolean {
    const bytes = this.#bytes;
    const start = this.#rowStarts[index]!;
    const length = this.#out - this.#row;
    if (this.#rowEnds[index]! - start !== length) return false;
    for (let at = 0; at < length; at += 1) if (bytes[start + at] !== bytes[this.#row + at]) return false;
    return true;
  }

  /** The word from `start` on is a constant and an element of a row; follows also where the rows begin and end. */
  #isConstant(start: number): boolean {
    const end = this.#at;
    if (!this.#rows) {
      this.#rows = this.#depth === 0 && this.#isWord(valuesWord, start, end);
      return false;
    }
    if (this.#depth === 0) this.#rows = false;
    if (this.#depth !== 1 || !constantWords.some((word) => this.#isWord(word, start, end))) return false;
    return this.#followsSeparator(start) && this.#precedesSeparator();
  }

  /** The sign of a number that begins an element of a row says nothing. */
  #sign(next: number): boolean {
    if (!this.#rows || this.#depth !== 1 || (kinds[next] !== digit && kinds[next] !== dot)) return false;
    if (!this.#followsSeparator(this.#at)) return false;
    this.#at += 1;
    return true;
  }

  #followsSeparator(start: number): boolean {
    let at = start - 1;
    while (kinds[this.#source[at] ?? 0] === space) at -= 1;
    const kind = kinds[this.#source[at] ?? 0];
    return kind === comma || kind === opening;
  }

  #precedesSeparator(): boolean {
    let at = this.#at;
    while (kinds[this.#source[at] ?? 0] === space) at += 1;
    const kind = kinds[this.#source[at] ?? 0];
    return kind === comma || kind === closing;
  }

  #number(): boolean {
    this.#at = endOfNumber(this.#source, this.#at);
    return this.#at >= 0 && this.#constantOf(number);
  }

  #literal(): boolean {
    this.#at = endOfLiteral(this.#source, this.#at);
    return this.#at >= 0 && this.#constantOf(literal);
  }

  /** Writes a constant, or leaves it out. */
  #constantOf(kind: number): true {
    const bytes = this.#bytes;
    const row = this.#rows && this.#depth === 1;
    const written = row ? literal : kind;
    if (this.#constant === written && this.#separated && this.#precedesSeparator()) {
      this.#out = this.#constantEnd;
    } else if (written === literal) {
      bytes[this.#out++] = 0x27;
      bytes[this.#out++] = 0x27;
    } else bytes[this.#out++] = 0x31;
    this.#constant = written;
    this.#constantEnd = this.#out;
    this.#separated = false;
    return true;
  }

  /** A quoted name, as it is. */
  #name(): boolean {
    const source = this.#source;
    let at = this.#at + 1;
    for (;;) {
      const byte = source[at];
      if (byte === 0x22) {
        if (source[at + 1] !== 0x22) break;
        at += 2;
      } else if (byte === 0 || byte === undefined) return false;
      else at += 1;
    }
    this.#constant = none;
    for (let from = this.#at; from <= at; from += 1) this.#bytes[this.#out++] = source[from]!;
    this.#at = at + 1;
    return true;
  }

  /** `$1`, as it is. */
  #parameter(byte: number): boolean {
    if (kinds[this.#source[this.#at + 1] ?? 0] !== digit) return false;
    this.#other(byte);
    while (kinds[this.#source[this.#at] ?? 0] === digit) this.#copy(this.#source[this.#at]!);
    const next = kinds[this.#source[this.#at] ?? 0x20];
    return next !== letter && next !== dollar && next !== bad;
  }
}

/** From `start` to `length` there is nothing but semicolons, and white space after the first. */
export function isEnd(source: Uint8Array, start: number, length: number): boolean {
  if (start === length) return true;
  if (source[start] !== 0x3b) return false;
  for (let at = start; at < length; at += 1) {
    const kind = kinds[source[at]!];
    if (kind !== semicolon && kind !== space) return false;
  }
  return true;
}

/** Where the plain literal that begins at `start` ends; -1: nowhere, or where depends on settings. */
export function endOfLiteral(source: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < source.length) {
    const byte = source[at]!;
    if (byte === 0x27) {
      if (mayBeEscaped(source, at)) return -1;
      if (at + 1 === source.length || source[at + 1] !== 0x27) return at + 1;
      at += 2;
    } else if (byte === 0x5c) {
      // An escaped quote ends the literal or not.
      if (source[at + 1] === 0x27 || mayBeEscaped(source, at)) return -1;
      at += source[at + 1] === 0x5c ? 2 : 1;
    } else if (byte === 0) return -1;
    else at += 1;
  }
  return -1;
}

export const isDigitAt = (source: Uint8Array, at: number): boolean => kinds[source[at]!] === digit;

/** Where the number that begins at `start` ends; -1: it is spelt in a way that is not the same to every PostgreSQL. */
export function endOfNumber(source: Uint8Array, start: number): number {
  let at = endOfDigits(source, start);
  if (at < source.length && source[at] === 0x2e) at = endOfDigits(source, at + 1);
  if (at === source.length) return at;
  if ((source[at]! | 0x20) === 0x65) {
    const signed = at + 1 < source.length && (source[at + 1] === 0x2b || source[at + 1] === 0x2d);
    const digits = at + (signed ? 2 : 1);
    at = endOfDigits(source, digits);
    if (at === digits) return -1;
    if (at === source.length) return at;
  }
  const next = kinds[source[at]!];
  return next === letter || next === dot || next === dollar || next === bad ? -1 : at;
}

function endOfDigits(source: Uint8Array, start: number): number {
  let at = start;
  while (at < source.length && kinds[source[at]!] === digit) at += 1;
  return at;
}
