/**
 * JSON web tokens (RFC 7519): a JOSE header in base64url, then `.`-separated parts; signed ones (RFC 7515) have a payload
 * that is JSON too, encrypted ones (RFC 7516) five parts.
 */
import { classes, dash, digit, latin, letter, matchesExactly, spanEnd, wordBefore } from './bytes.ts';
import type { Confirm } from './match.ts';
import { tokenRun } from './tokens.ts';

const opening = latin('eyJ');
const base64url = digit | letter | dash;
const stop = 0x2e;
/** Longest header that is looked at. */
export const headerBytes = 2048;

export const confirmJwt: Confirm = (bytes, at, start, end, match) => {
  if (!matchesExactly(bytes, at, end, opening) || wordBefore(bytes, at, start)) return false;
  if (at > start && (classes[bytes[at - 1]!]! & dash) !== 0) return false;
  let next = spanEnd(bytes, at, Math.min(end, at + headerBytes), base64url);
  if (next - at < 10 || next >= end || bytes[next] !== stop) return false;
  const signed = matchesExactly(bytes, next + 1, end, opening);
  let parts = 1;
  while (next < end && bytes[next] === stop && parts < 5) {
    next = spanEnd(bytes, next + 1, end, base64url);
    parts++;
  }
  if (!signed && parts < 5) return false;
  match.start = at;
  match.end = bytes[next - 1] === stop && parts === 2 ? next - 1 : next;
  return true;
};

/** From `at` on: where one may begin that goes on behind `end`; `end` when none does. `start`: of the text. */
export function jwtTail(bytes: Uint8Array, start: number, at: number, end: number): number {
  for (let first = tokenRun(bytes, at, end); first < end; first++) {
    if (bytes[first] !== opening[0] || !openingGoesOn(bytes, first, end)) continue;
    if (!wordBefore(bytes, first, start)) return first;
  }
  return end;
}

function openingGoesOn(bytes: Uint8Array, at: number, end: number): boolean {
  for (let next = at; next < Math.min(end, at + opening.length); next++)
    if (bytes[next] !== opening[next - at]) return false;
  return true;
}
