/**
 * Anchors: the few places of a value at which a detector has to be asked. This file says which they are, byte by byte; it
 * serves short values. `simd.ts` finds the same places (and a few more, which their detectors refuse) sixteen bytes at a time.
 */
import { classes, digit, hexLetter, latin, letter, wordBefore } from '../detectors/bytes.ts';
import { secretMarks } from '../detectors/secrets.ts';
import { tokenMarks } from '../detectors/tokens.ts';

/** Three bytes; `fold`: letters in any case. */
export interface Mark {
  readonly text: string;
  readonly fold: boolean;
}

/** Marks of tokens, JWT, key words and `%40`. */
export const marks: readonly Mark[] = [
  ...tokenMarks.map((text) => ({ text, fold: false })),
  { text: 'eyJ', fold: false },
  { text: '%40', fold: false },
  ...secretMarks.map((text) => ({ text, fold: true })),
];

const markKeys = new Set<number>();
/** 1: a mark may begin here; 2, 4: be its second, third byte. */
const markBytes = new Uint8Array(256);
for (const { text, fold } of marks)
  for (const variant of fold ? variants(text) : [text]) {
    const bytes = latin(variant);
    markKeys.add((bytes[0]! << 16) | (bytes[1]! << 8) | bytes[2]!);
    for (const [index, byte] of bytes.entries()) markBytes[byte]! |= 1 << index;
  }

function variants(text: string): string[] {
  let all = [''];
  for (const char of text) all = all.flatMap((each) => [each + char, each + char.toUpperCase()]);
  return [...new Set(all)];
}

/** Does a mark stand at `at`? */
export const isMark = (bytes: Uint8Array, at: number, end: number): boolean =>
  at + 2 < end &&
  (markBytes[bytes[at + 1]!]! & 2) !== 0 &&
  (markBytes[bytes[at + 2]!]! & 4) !== 0 &&
  markKeys.has((bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!);

/** 1: look closer, a digit; 2: a letter; 4: a sign that is an anchor with what follows; 8: the first byte of a mark. */
const interest = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  if ((classes[byte]! & digit) !== 0) interest[byte]! |= 1;
  if ((classes[byte]! & letter) !== 0) interest[byte]! |= 2;
  if ((markBytes[byte]! & 1) !== 0) interest[byte]! |= 8;
}
for (const char of '@+:-(') interest[char.charCodeAt(0)]! |= 4;

/** A run of so many digits is an anchor whatever follows it. */
export const longRun = 8;
/** Separators within a number. */
const separators = new Uint8Array(256);
for (const char of ' -./') separators[char.charCodeAt(0)] = 1;

/** The next anchor in `bytes[from, end)` of the value that begins at `start`; -1 when there is none. */
export function nextAnchor(bytes: Uint8Array, from: number, start: number, end: number): number {
  for (let at = from; at < end; at++) {
    const kind = interest[bytes[at]!]!;
    if (kind === 0) continue;
    if ((kind & 8) !== 0 && isMark(bytes, at, end)) return at;
    if ((kind & 4) !== 0 && isSign(bytes, at, start, end)) return at;
    if ((kind & 1) !== 0) {
      if (at > start && (classes[bytes[at - 1]!]! & digit) !== 0) continue;
      if (isNumber(bytes, at, end)) return at;
    } else if ((kind & 2) !== 0 && isIdWord(bytes, at, start, end)) return at;
  }
  return -1;
}

const byteAt = (bytes: Uint8Array, at: number, end: number): number => (at < end ? bytes[at]! : 0);
const isDigitAt = (bytes: Uint8Array, at: number, end: number): boolean =>
  (classes[byteAt(bytes, at, end)]! & digit) !== 0;
const isLetterAt = (bytes: Uint8Array, at: number, end: number): boolean =>
  (classes[byteAt(bytes, at, end)]! & letter) !== 0;

function isSign(bytes: Uint8Array, at: number, start: number, end: number): boolean {
  const byte = bytes[at]!;
  const next = byteAt(bytes, at + 1, end);
  if (byte === 0x40) return true;
  if (byte === 0x2b) return next >= 0x31 && next <= 0x39;
  if (byte === 0x28) return next >= 0x32 && next <= 0x39 && isDigitAt(bytes, at + 2, end);
  if (byte === 0x2d) return next === 0x2d && byteAt(bytes, at + 2, end) === 0x2d;
  if (next === 0x3a) return true;
  if (next === 0x2f) return byteAt(bytes, at + 2, end) === 0x2f;
  if (at - 4 < start) return false;
  for (let back = 1; back <= 4; back++)
    if ((classes[bytes[at - back]!]! & (digit | hexLetter)) === 0) return false;
  return true;
}

/** A run of eight digits or more, or a shorter one that goes on behind a separator. */
function isNumber(bytes: Uint8Array, at: number, end: number): boolean {
  let next = at + 1;
  while (next < end && (classes[bytes[next]!]! & digit) !== 0) next++;
  if (next - at >= longRun) return true;
  return separators[byteAt(bytes, next, end)] === 1 && isDigitAt(bytes, next + 1, end);
}

/** A word that begins with `LLdd`, `LL dd`, `LLLLLLdd`, or with X, Y, Z and a digit. */
export function isIdWord(bytes: Uint8Array, at: number, start: number, end: number): boolean {
  const one = byteAt(bytes, at + 1, end);
  if ((classes[one]! & (letter | digit)) === 0 && one !== 0x2d) return false;
  if (wordBefore(bytes, at, start)) return false;
  const upper = bytes[at]! & 0xdf;
  if (upper >= 0x58 && upper <= 0x5a && ((one >= 0x30 && one <= 0x39) || one === 0x2d)) return true;
  if (!isLetterAt(bytes, at + 1, end)) return false;
  if (isDigitAt(bytes, at + 2, end)) return isDigitAt(bytes, at + 3, end);
  if (byteAt(bytes, at + 2, end) === 0x20)
    return isDigitAt(bytes, at + 3, end) && isDigitAt(bytes, at + 4, end);
  for (let index = 2; index < 6; index++) if (!isLetterAt(bytes, at + index, end)) return false;
  return isDigitAt(bytes, at + 6, end) && isDigitAt(bytes, at + 7, end);
}
