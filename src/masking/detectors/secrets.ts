/**
 * Secrets that nothing but their surroundings tell: the password in a URL (`postgres://user:PASSWORD@host`) or in a list of
 * connection parameters (`host=db password=PASSWORD`), and random-looking text assigned to a key word (`"api_key": "…"`).
 * Only the secret itself is found, not the word.
 */
import { classes, delimiter, digit, isWord, latin, letter, matchesWord } from './bytes.ts';
import type { Confirm, Match } from './match.ts';

const colon = 0x3a;
const at_ = 0x40;
const slash = 0x2f;
const equals = 0x3d;
const backslash = 0x5c;
const longestUserInfo = 512;
/** So many quotes and backslashes may stand for one quote. */
const quoteBytes = 8;
/** Other connection parameters stand so near. */
const neighbourBytes = 96;
/** So much of a value decides whether it is a secret. */
const tellingBytes = 64;

/** The password of a URL; `at` is the colon of `://`. */
export const confirmUrlPassword: Confirm = (bytes, at, _start, end, match) => {
  if (at + 3 > end || bytes[at + 1] !== slash || bytes[at + 2] !== slash) return false;
  const from = at + 3;
  const most = Math.min(end, from + longestUserInfo);
  let password = -1;
  let last = -1;
  for (let next = from; next < most; next++) {
    const byte = bytes[next]!;
    if (byte === slash || byte === 0x3f || byte === 0x23 || (isDelimiter(byte) && byte !== backslash)) break;
    if (byte === colon && password === -1) password = next + 1;
    if (byte === at_ && password !== -1) last = next;
  }
  if (last <= password) return false;
  match.start = password;
  match.end = last;
  return true;
};

const isDelimiter = (byte: number): boolean => (classes[byte]! & delimiter) !== 0;

const passwordWords = ['password', 'passwd', 'passphrase', 'passwort', 'pass', 'pwd'].map(latin);
const secretWords = ['secret', 'token', 'bearer'].map(latin);
const keyWord = latin('key');
/** `key` alone is a word of everybody; one of these makes it a secret. */
const keyPrefixes = [
  'api',
  'access',
  'secret',
  'private',
  'account',
  'encryption',
  'master',
  'shared',
  'signing',
].map(latin);

/** Three bytes of each key word. */
export const secretMarks: readonly string[] = ['pas', 'pwd', 'sec', 'tok', 'bea', 'key'];

/** The password among connection parameters; `at` is the first byte of its key word. */
export const confirmParameterPassword: Confirm = (bytes, at, start, end, match) => {
  const after = wordEnd(bytes, at, end, passwordWords);
  if (after === -1 || !assigned(bytes, after, end, match)) return false;
  return (
    amongParameters(bytes, at, start, Math.min(end, match.end + neighbourBytes)) && whole(bytes, end, match)
  );
};

/** A random-looking value assigned to a key word at `at`. */
export const confirmSecret: Confirm = (bytes, at, start, end, match) => {
  const password = wordEnd(bytes, at, end, passwordWords);
  if (password !== -1)
    return assigned(bytes, password, end, match) && chosen(bytes, match) && whole(bytes, end, match);
  let after = wordEnd(bytes, at, end, secretWords);
  if (after === -1 && matchesWord(bytes, at, end, keyWord) && behindPrefix(bytes, at, start)) after = at + 3;
  if (after === -1) return false;
  const bearer = (bytes[at]! | 0x20) === 0x62;
  const there = bearer ? behindBearer(bytes, after, end, match) : assigned(bytes, after, end, match);
  return there && random(bytes, match) && whole(bytes, end, match);
};

function wordEnd(bytes: Uint8Array, at: number, end: number, words: readonly Uint8Array[]): number {
  for (const word of words) if (matchesWord(bytes, at, end, word)) return at + word.length;
  return -1;
}

function behindPrefix(bytes: Uint8Array, at: number, start: number): boolean {
  const before = at > start && !isWord(bytes[at - 1]) ? at - 1 : at;
  return keyPrefixes.some(
    (prefix) => before - prefix.length >= start && matchesWord(bytes, before - prefix.length, before, prefix),
  );
}

/** Behind a word: perhaps the end of its quotes, `=`, `:` or `=>`, perhaps a quote; then the value, which `match` gets. */
function assigned(bytes: Uint8Array, at: number, end: number, match: Match): boolean {
  let next = blanksEnd(bytes, quotesEnd(bytes, at, end), end);
  if (next >= end || (bytes[next] !== equals && bytes[next] !== colon)) return false;
  next++;
  if (next < end && (bytes[next] === 0x3e || bytes[next] === equals)) next++;
  next = blanksEnd(bytes, next, end);
  const from = quotesEnd(bytes, next, end);
  if (from - next > 1 && from < end && bytes[from - 2] !== backslash && isDelimiter(bytes[from]!))
    return false; // empty
  return valueFrom(bytes, from, end, from > next ? bytes[from - 1]! : 0, match);
}

/** Behind quotes, as many as text in CSV, in a record or in a string has for one: doubled, or behind backslashes. */
function quotesEnd(bytes: Uint8Array, at: number, end: number): number {
  const most = Math.min(end, at + quoteBytes);
  let after = at;
  for (let next = at; next < most; next++) {
    if (isQuote(bytes[next]!)) after = next + 1;
    else if (bytes[next] !== backslash) break;
  }
  return after;
}

function behindBearer(bytes: Uint8Array, at: number, end: number, match: Match): boolean {
  return at < end && bytes[at] === 0x20 && valueFrom(bytes, at + 1, end, 0, match);
}

const isQuote = (byte: number): boolean => byte === 0x22 || byte === 0x27;

function blanksEnd(bytes: Uint8Array, at: number, end: number): number {
  let next = at;
  while (next < end && next < at + 4 && bytes[next] === 0x20) next++;
  return next;
}

/** The value from `at` on, or as much of it as tells what it is. */
function valueFrom(bytes: Uint8Array, at: number, end: number, quote: number, match: Match): boolean {
  match.start = at;
  match.end = valueEnd(bytes, at, Math.min(end, at + tellingBytes), quote);
  return match.end > at;
}

/** To the closing quote, or, of a value without quotes, to a delimiter or `&`. */
function valueEnd(bytes: Uint8Array, at: number, end: number, quote: number): number {
  let next = at;
  for (; next < end; next++) {
    const byte = bytes[next]!;
    if (byte === backslash) {
      if (next + 1 >= end || endsValue(bytes[next + 1]!)) break;
      next++;
    } else if (byte === quote || byte < 0x20) break;
    else if (quote === 0 && (isDelimiter(byte) || byte === 0x26)) break;
  }
  return Math.min(next, end);
}

/** Behind a backslash: a quote, or the letter of a line end. */
const endsValue = (byte: number): boolean => isQuote(byte) || byte === 0x6e || byte === 0x72;

/** A value that was told by its beginning, to its end. */
function whole(bytes: Uint8Array, end: number, match: Match): true {
  if (match.end - match.start >= tellingBytes - 1) {
    const before = match.start > 0 ? bytes[match.start - 1]! : 0;
    match.end = valueEnd(bytes, match.start, end, isQuote(before) ? before : 0);
  }
  return true;
}

const neighbours = [
  'host',
  'server',
  'source',
  'dbname',
  'database',
  'user',
  'uid',
  'user id',
  'username',
].map(latin);

/** Other connection parameters stand near. */
function amongParameters(bytes: Uint8Array, at: number, start: number, end: number): boolean {
  const least = Math.max(start, at - neighbourBytes);
  for (let place = least; place < end; place++) {
    if (bytes[place] !== equals) continue;
    for (const word of neighbours) {
      const first = place - word.length;
      if (first >= start && matchesWord(bytes, first, place, word)) return true;
    }
  }
  return false;
}

/** Looks like a password that somebody chose: eight bytes or more of three classes, or long and mixed. */
function chosen(bytes: Uint8Array, { start, end }: Match): boolean {
  if (end - start < 8 || isPlaceholder(bytes[start]!)) return false;
  const kinds = classesOf(bytes, start, end);
  return kinds.count >= 3 || (end - start >= 16 && kinds.digits && kinds.letters);
}

/** Looks drawn at random: sixteen bytes or more, digits and letters, at least three bits of entropy a byte. */
function random(bytes: Uint8Array, { start, end }: Match): boolean {
  if (end - start < 16 || isPlaceholder(bytes[start]!)) return false;
  const kinds = classesOf(bytes, start, end);
  return kinds.digits && kinds.letters && entropy(bytes, start, end) >= 3;
}

/** `${TOKEN}`, `<token>`, `%s`, `***`, `[…]`. */
const isPlaceholder = (byte: number): boolean =>
  byte === 0x24 || byte === 0x3c || byte === 0x25 || byte === 0x2a || byte === 0x5b || byte === 0x7b;

interface Kinds {
  readonly count: number;
  readonly digits: boolean;
  readonly letters: boolean;
}

function classesOf(bytes: Uint8Array, start: number, end: number): Kinds {
  let digits = 0;
  let lower = 0;
  let upper = 0;
  let others = 0;
  for (let place = start; place < end; place++) {
    const byte = bytes[place]!;
    const flags = classes[byte]!;
    if ((flags & digit) !== 0) digits = 1;
    else if ((flags & letter) === 0) others = 1;
    else if ((byte & 0x20) === 0) upper = 1;
    else lower = 1;
  }
  return { count: digits + lower + upper + others, digits: digits === 1, letters: lower + upper > 0 };
}

const counts = new Uint16Array(256);

/** Shannon's entropy of the bytes, bits a byte. */
function entropy(bytes: Uint8Array, start: number, end: number): number {
  counts.fill(0);
  for (let place = start; place < end; place++) counts[bytes[place]!]!++;
  let sum = 0;
  for (const count of counts) if (count > 0) sum -= count * Math.log2(count / (end - start));
  return sum / (end - start);
}

/**
 * Of the key word that may stand at `at`: where its value begins, when what stands behind `end` still counts; else `end`.
 * `parameters`: other connection parameters may follow that make any value a password.
 */
export function secretTail(
  bytes: Uint8Array,
  at: number,
  start: number,
  end: number,
  parameters: boolean,
): number {
  const password = wordEnd(bytes, at, end, passwordWords);
  let after = password === -1 ? wordEnd(bytes, at, end, secretWords) : password;
  if (after === -1 && matchesWord(bytes, at, end, keyWord) && behindPrefix(bytes, at, start)) after = at + 3;
  if (after === -1) return end;
  const bearer = password === -1 && (bytes[at]! | 0x20) === 0x62;
  tailMatch.start = end;
  const there = bearer ? behindBearer(bytes, after, end, tailMatch) : assigned(bytes, after, end, tailMatch);
  const value = tailMatch.start;
  // a backslash is part of the value, or of the quote before it
  if (!there) return value < end && bytes[value] === backslash ? value : end;
  if (parameters && password !== -1 && end < tailMatch.end + neighbourBytes) return value;
  const before = bytes[value - 1]!;
  const valueStop = valueEnd(bytes, value, end, !bearer && isQuote(before) ? before : 0);
  return valueStop === end || (valueStop === end - 1 && bytes[valueStop] === backslash) ? value : end;
}

const tailMatch: Match = { start: 0, end: 0 };
