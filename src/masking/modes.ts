/**
 * What stands in place of a sensitive value. `redact` and `partial` change bytes in place and keep the length, so that no
 * frame of any protocol changes; the others may put something else there.
 *
 * A number stays a number that its column and JSON accept: it keeps its digits' count, begins with 1 when it has more than
 * one digit before the decimal point (`1000`: no leading zero, and it fits wherever the original did), and keeps sign,
 * point and the place of the exponent.
 */
import { createHmac } from 'node:crypto';
import type { ValueKind } from '../gate/masking.ts';
import { classes, digit, hexLetter } from './detectors/bytes.ts';

export const maskModes = ['redact', 'partial', 'fixed', 'hash', 'null'] as const;
export type MaskMode = (typeof maskModes)[number];

/** `partial` leaves so many characters. */
const kept = 4;
/** Of values shorter than this `partial` leaves nothing: half of a short secret is most of it. */
const leastForPartial = 8;
const star = 0x2a;
const zero = 0x30;
const one = 0x31;

/** Masks in place, leaving nothing. */
export function redact(bytes: Uint8Array, start: number, end: number, kind: ValueKind): void {
  if (kind === 'text') {
    // most values are short, and a call of fill costs more than they do
    if (end - start > 64) bytes.fill(star, start, end);
    else for (let place = start; place < end; place++) bytes[place] = star;
  } else if (kind === 'opaque') bytes.fill(0, start, end);
  else if (kind === 'hex') replaceHex(bytes, start, end, () => zero);
  else replaceDigits(bytes, start, end, () => 0);
}

/** Masks in place but for the last four characters, of values of eight and more. */
export function redactPartly(bytes: Uint8Array, start: number, end: number, kind: ValueKind): void {
  if (kind === 'opaque') redact(bytes, start, end, kind);
  else redact(bytes, start, lastFour(bytes, start, end, kind), kind);
}

/** Where the characters that stay begin; `end` when none do. */
function lastFour(bytes: Uint8Array, start: number, end: number, kind: ValueKind): number {
  const counts = (byte: number): boolean => {
    if (kind === 'digits') return (classes[byte]! & digit) !== 0;
    if (kind === 'hex') return (classes[byte]! & (digit | hexLetter)) !== 0;
    return (byte & 0xc0) !== 0x80; // the first byte of a character
  };
  let total = 0;
  let from = end;
  for (let place = end - 1; place >= start && total < leastForPartial; place--) {
    if (!counts(bytes[place]!)) continue;
    total++;
    if (total === kept) from = place;
  }
  return total < leastForPartial ? end : from;
}

/** Gives each digit another value; `next` is asked for the ones that are free. */
function replaceDigits(bytes: Uint8Array, start: number, end: number, next: () => number): void {
  const point = bytes.subarray(start, end).findIndex((byte) => byte === 0x2e || (byte | 0x20) === 0x65);
  const whole = point === -1 ? end : start + point;
  let first = true;
  let exponent = false;
  for (let place = start; place < end; place++) {
    const byte = bytes[place]!;
    if ((byte | 0x20) === 0x65) exponent = true;
    if ((classes[byte]! & digit) === 0) continue;
    const value = exponent ? 0 : next();
    const leading = first && place + 1 < whole && (classes[bytes[place + 1]!]! & digit) !== 0;
    bytes[place] = leading ? one : zero + value;
    first = false;
  }
}

function replaceHex(bytes: Uint8Array, start: number, end: number, next: () => number): void {
  for (let place = start; place < end; place++)
    if ((classes[bytes[place]!]! & (digit | hexLetter)) !== 0) bytes[place] = next();
}

const base32 = 'abcdefghijklmnopqrstuvwxyz234567';
/** Characters of a hash in text: 130 bits. */
export const hashCharacters = 26;

/**
 * A keyed hash (HMAC-SHA-256): equal values have equal hashes, so that joins and counts still work, and nobody without the
 * relay's key can try values. Text: 26 characters of base32, lower case, returned. Digits and hex: as many in place.
 */
export function hash(
  key: Uint8Array,
  bytes: Uint8Array,
  start: number,
  end: number,
  kind: ValueKind,
): Buffer | null {
  if (kind === 'opaque') {
    redact(bytes, start, end, kind);
    return null;
  }
  const original = Uint8Array.prototype.slice.call(bytes, start, end);
  if (kind === 'text') return Buffer.from(base32Of(hmac(key, 0, original)), 'latin1');
  const stream = byteStream(key, original);
  if (kind === 'hex') replaceHex(bytes, start, end, () => '0123456789abcdef'.charCodeAt(stream() & 15));
  else replaceDigits(bytes, start, end, () => stream() % 10);
  return null;
}

function hmac(key: Uint8Array, block: number, original: Uint8Array): Buffer {
  return createHmac('sha256', key).update(Uint8Array.of(block)).update(original).digest();
}

function base32Of(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5 && text.length < hashCharacters) {
      bits -= 5;
      text += base32[(held >> bits) & 31]!;
    }
    held &= (1 << bits) - 1;
  }
  return text;
}

/** Bytes that depend on the original, as many as are asked for. */
function byteStream(key: Uint8Array, original: Uint8Array): () => number {
  let block = 0;
  let bytes = hmac(key, block, original);
  let place = 0;
  return () => {
    if (place === bytes.length) {
      block = (block + 1) & 0xff;
      bytes = hmac(key, block, original);
      place = 0;
    }
    return bytes[place++]!;
  };
}
