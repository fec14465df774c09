/**
 * Classes of bytes and what stands around a value, for every detector. One table look-up a byte; no strings.
 *
 * Text may carry escapes of JSON, COPY and program sources (backslash and `n`, or `u` and four hex digits): they are no
 * part of the word that follows them, so `"\n4111…"` has a card number at a word's start. However many backslashes stand
 * there: text in an array, a record or a string has them doubled, once for each.
 */

export const digit = 1;
export const letter = 2;
/** `_` and `-`, which base64url has besides letters and digits. */
export const dash = 4;
export const hexLetter = 8;
/** What may stand in the part of an e-mail address before `@`, besides letters and digits. */
export const localPart = 16;
/** `+`, `/` and `=`: base64. */
export const base64 = 32;
/** Blank, quote or bracket: ends an unquoted value. */
export const delimiter = 64;

/** A byte of a host name: letter, digit, hyphen, or part of a character outside ASCII. */
export const hostName = 128;

/** Flags of each byte. */
export const classes = new Uint8Array(256);
const mark = (text: string, flag: number): void => {
  for (const char of text) classes[char.charCodeAt(0)]! |= flag;
};
mark('0123456789', digit);
mark('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', letter);
mark('_-', dash);
mark('abcdefABCDEF', hexLetter);
mark("._%+-'&!#$*^~", localPart);
mark('+/=', base64);
mark(' \t\r\n"\'`<>()[]{},;|\\', delimiter);
mark('0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-', hostName);
for (let byte = 128; byte < 256; byte++) classes[byte]! |= hostName;
for (let byte = 0; byte < 32; byte++) classes[byte]! |= delimiter;
classes[127]! |= delimiter;

export const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 48 && byte <= 57;
/** Letter or digit of ASCII. */
export const isWord = (byte: number | undefined): boolean =>
  byte !== undefined && (classes[byte]! & (digit | letter)) !== 0;

const backslash = 0x5c;
/** A backslash (a delimiter), a hex digit or `u` may belong to an escape. */
const escaping = digit | letter | delimiter;
/** n, r, t, b, f, v: letters of one-character escapes. */
const escapes = new Uint8Array(256);
for (const char of 'nrtbfv') escapes[char.charCodeAt(0)] = 1;

/**
 * Where the text goes on behind an escape that `at` stands in: behind the `n` of `\n`, behind the four digits of `u`; `at`
 * when it stands in none.
 */
export function afterEscape(bytes: Uint8Array, at: number, start: number): number {
  if (at === start || (classes[bytes[at - 1]!]! & escaping) === 0) return at;
  if (bytes[at - 1] === backslash) {
    if (escapes[bytes[at]!] === 1) return at + 1;
    return bytes[at] === 0x75 ? at + 5 : at;
  }
  for (let back = 1; back <= 4 && at - back > start; back++) {
    const byte = bytes[at - back]!;
    if (byte === 0x75 && bytes[at - back - 1] === backslash) return at - back + 5;
    if ((classes[byte]! & (digit | hexLetter)) === 0) return at;
  }
  return at;
}

/** A letter or digit stands directly before `at` and is not the end of an escape. */
export function wordBefore(bytes: Uint8Array, at: number, start: number): boolean {
  if (at <= start || !isWord(bytes[at - 1])) return false;
  return afterEscape(bytes, at - 1, start) !== at;
}

/** A letter or digit stands at `at`, which is behind something. */
export const wordAt = (bytes: Uint8Array, at: number, end: number): boolean => at < end && isWord(bytes[at]);

/** The first offset from `at` on whose byte has none of the flags. */
export function spanEnd(bytes: Uint8Array, at: number, end: number, flags: number): number {
  let next = at;
  while (next < end && (classes[bytes[next]!]! & flags) !== 0) next++;
  return next;
}

/** Does `text` (lower case, ASCII) stand at `at`, in any case? */
export function matchesWord(bytes: Uint8Array, at: number, end: number, text: Uint8Array): boolean {
  if (at + text.length > end) return false;
  for (let index = 0; index < text.length; index++) {
    const byte = bytes[at + index]!;
    const lower = byte >= 65 && byte <= 90 ? byte | 0x20 : byte;
    if (lower !== text[index]) return false;
  }
  return true;
}

/** Does `text` stand at `at`, byte for byte? */
export function matchesExactly(bytes: Uint8Array, at: number, end: number, text: Uint8Array): boolean {
  if (at + text.length > end) return false;
  for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text[index]) return false;
  return true;
}

export const latin = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** Bytes in which a context word is looked for before a candidate. */
const contextBytes = 48;

/** Words one of which has to stand shortly before a candidate, for formats that are only digits. */
export class Context {
  readonly #words: readonly Uint8Array[];
  readonly #first = new Uint8Array(256);

  /** @param words lower case; a word counts where no letter precedes it, `_` may. */
  constructor(words: readonly string[]) {
    this.#words = words.map(latin);
    for (const word of this.#words) {
      this.#first[word[0]!] = 1;
      if (isWord(word[0]) && !isDigit(word[0])) this.#first[word[0]! & 0xdf] = 1;
    }
  }

  /** Does one of the words stand in the bytes before `at`? */
  precedes(bytes: Uint8Array, at: number, start: number): boolean {
    const from = Math.max(start, at - contextBytes);
    for (let place = from; place < at - 1; place++) {
      if (this.#first[bytes[place]!] === 0) continue;
      if (place > from && (classes[bytes[place - 1]!]! & letter) !== 0 && !camel(bytes, place)) continue;
      for (const word of this.#words) if (matchesWord(bytes, place, at, word)) return true;
    }
    return false;
  }
}

/** `userPhone`: an upper-case letter behind a lower-case one begins a word. */
const camel = (bytes: Uint8Array, at: number): boolean =>
  (bytes[at]! & 0x20) === 0 && (bytes[at - 1]! & 0x20) !== 0;
