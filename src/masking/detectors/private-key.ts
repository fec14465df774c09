/**
 * Private keys in PEM (RFC 7468) and PGP armour: from the header to the footer. A key whose footer is not there goes on to
 * the end of the value, or to the double quote behind which no further piece of a string follows (JSON stays JSON, and a key cut
 * into strings in a program's source is one key). Public keys and certificates are left.
 */
import { latin, matchesExactly } from './bytes.ts';
import type { Confirm } from './match.ts';

const hyphen = 0x2d;
const quote = 0x22;
const begin = latin('BEGIN ');
const kind = latin('PRIVATE KEY');
const footer = latin('-----END');
const headerBytes = 96;
/** Between two strings of one key in a source: blanks, line ends, `+`, `.` and escapes. */
const gapBytes = 24;

export const confirmPrivateKey: Confirm = (bytes, at, start, end, match) => {
  const body = headerEnd(bytes, at, start, end);
  if (body === -1) return false;
  match.start = at;
  match.end = keyEnd(bytes, body, end);
  return true;
};

/** Where the header of a private key that begins at `at` ends; -1 when none does. */
export function headerEnd(bytes: Uint8Array, at: number, start: number, end: number): number {
  if (at > start && bytes[at - 1] === hyphen) return -1;
  let next = at;
  while (next < end && bytes[next] === hyphen) next++;
  if (next - at < 5 || !matchesExactly(bytes, next, end, begin)) return -1;
  const most = Math.min(end, next + headerBytes);
  let isKey = false;
  for (; next < most; next++) {
    const byte = bytes[next]!;
    if (byte === hyphen) return isKey ? next : -1;
    if (byte === kind[0] && matchesExactly(bytes, next, end, kind)) isKey = true;
    if (byte < 0x20 || byte > 0x5a) return -1;
  }
  return isKey ? next : -1;
}

/** The end of a key whose body begins at or before `at`: behind its footer, or at the quote that closes it, or `end`. */
export function keyEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let next = at; next < end; next++) {
    const byte = bytes[next]!;
    if (byte === hyphen && matchesExactly(bytes, next, end, footer)) return footerEnd(bytes, next, end);
    if (byte !== quote) continue;
    const again = nextString(bytes, next + 1, end);
    if (again === -1) return withoutBackslashes(bytes, at, next);
    next = again;
  }
  return end;
}

/** The backslashes before a quote are the quote's: without them it would end the text around it. */
function withoutBackslashes(bytes: Uint8Array, at: number, end: number): number {
  let next = end;
  while (next > at && bytes[next - 1] === 0x5c) next--;
  return next;
}

/** The quote that opens another string directly behind one, or -1. */
function nextString(bytes: Uint8Array, at: number, end: number): number {
  const most = Math.min(end, at + gapBytes);
  for (let next = at; next < most; next++) {
    const byte = bytes[next]!;
    if (byte === quote) return next;
    if (!gap.includes(byte)) return -1;
  }
  return -1;
}

const gap = latin(' \t\r\n+.\\nrt');

/** Behind `-----END … PRIVATE KEY-----`, whatever it says. */
function footerEnd(bytes: Uint8Array, at: number, end: number): number {
  const most = Math.min(end, at + headerBytes);
  let next = at + footer.length;
  while (next < most && bytes[next] !== hyphen && bytes[next] !== quote) next++;
  while (next < end && bytes[next] === hyphen) next++;
  return next;
}

/** From `at` on: where a header may begin that is not all here; `end` when none does. */
export function headerTail(bytes: Uint8Array, at: number, end: number): number {
  for (let first = Math.max(at, end - 2 * headerBytes); first < end; first++) {
    if (bytes[first] !== hyphen || (first > at && bytes[first - 1] === hyphen)) continue;
    if (headerGoesOn(bytes, first, end)) return first;
  }
  return end;
}

function headerGoesOn(bytes: Uint8Array, at: number, end: number): boolean {
  let next = at;
  while (next < end && bytes[next] === hyphen) next++;
  if (next === end) return true;
  if (next - at < 5 || end - next >= headerBytes) return false;
  for (let index = 0; next + index < end; index++) {
    const byte = bytes[next + index]!;
    if (index < begin.length ? byte !== begin[index] : byte < 0x20 || byte > 0x5a || byte === hyphen)
      return false;
  }
  return true;
}

/** The end of a footer that begins in `[from, to)`, which is decided, and ends behind it or there; -1 when none does. */
export function footerAcross(bytes: Uint8Array, from: number, to: number, end: number): number {
  for (let next = from; next < to; next++)
    if (bytes[next] === hyphen && matchesExactly(bytes, next, end, footer))
      return footerEnd(bytes, next, end);
  return -1;
}
