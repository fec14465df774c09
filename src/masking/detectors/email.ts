/**
 * E-mail addresses as they are used (RFC 5321 without quoted local parts and literals), with letters outside ASCII
 * (RFC 6531). Anchored at `@`. `logo@2x.png` and `git@github.com:…` are none.
 */
import {
  afterEscape,
  classes,
  digit,
  hostName,
  isDigit,
  latin,
  letter,
  localPart,
  matchesWord,
} from './bytes.ts';
import type { Confirm, Match } from './match.ts';

const localBytes = 64;
const domainBytes = 253;
const stop = 0x2e;
const hyphen = 0x2d;
const local = digit | letter | localPart;

export const confirmEmail: Confirm = (bytes, at, start, end, match) =>
  confirmAround(bytes, at, at + 1, start, end, match);

/** `%40`: the address in a URL. */
export const confirmEncodedEmail: Confirm = (bytes, at, start, end, match) =>
  bytes[at + 1] === 0x34 && bytes[at + 2] === 0x30 && confirmAround(bytes, at, at + 3, start, end, match);

function confirmAround(
  bytes: Uint8Array,
  at: number,
  domain: number,
  start: number,
  end: number,
  match: Match,
): boolean {
  if (domain >= end) return false;
  const after = domainEnd(bytes, domain, end);
  if (after === -1) return false;
  const first = localStart(bytes, at, start);
  if (first === at || bytes[at - 1] === stop) return false;
  if (after < end && bytes[after] === 0x3a && at - first === 3 && matchesWord(bytes, first, at, git))
    return false;
  match.start = first;
  match.end = after;
  return true;
}

const git = latin('git');

/** Where the part before `@` begins; `at` when there is none. */
function localStart(bytes: Uint8Array, at: number, start: number): number {
  const least = Math.max(start, at - localBytes);
  let first = at;
  while (first > least) {
    const byte = bytes[first - 1]!;
    if (byte < 0x80 && (classes[byte]! & local) === 0) break;
    first--;
  }
  if (first < at) first = Math.min(at, afterEscape(bytes, first, start));
  // quotes and signs before an address are not part of it
  while (
    first < at &&
    bytes[first]! < 0x80 &&
    (classes[bytes[first]!]! & (digit | letter)) === 0 &&
    bytes[first] !== 0x5f
  )
    first++;
  // in the middle of a character
  while (first < at && (bytes[first]! & 0xc0) === 0x80) first++;
  return first;
}

/** The end of a host name with at least two labels whose last is a top-level domain; -1 when there is none. */
function domainEnd(bytes: Uint8Array, at: number, end: number): number {
  const most = Math.min(end, at + domainBytes);
  let next = at;
  let label = at;
  // the last label before, and its end: a top-level domain may stand before what is none (`a@b.com.1`)
  let earlier = -1;
  let earlierEnd = -1;
  for (;;) {
    while (next < most && (classes[bytes[next]!]! & hostName) !== 0) next++;
    const length = next - label;
    if (length === 0 || length > 63 || bytes[label] === hyphen) break;
    const goesOn = next < most && bytes[next] === stop;
    if (!goesOn) {
      if (label > at && isTopLevel(bytes, label, next)) return next;
      break;
    }
    if (label > at && (earlier === -1 || isTopLevel(bytes, label, next))) {
      earlier = label;
      earlierEnd = next;
    }
    label = ++next;
  }
  return earlier !== -1 && isTopLevel(bytes, earlier, earlierEnd) ? earlierEnd : -1;
}

const punycode = latin('xn--');
/** Endings of files that stand behind `@` in their names (`logo@2x.png`); none is a top-level domain. */
export const fileEndings = [
  'png',
  'jpg',
  'jpeg',
  'gif',
  'webp',
  'svg',
  'pdf',
  'css',
  'html',
  'json',
  'txt',
  'tgz',
].map(latin);
/** By their first letter in either case: a label is compared with the few that begin like it. */
const fileEndingsFrom: (readonly Uint8Array[])[] = Array.from({ length: 256 }, (_, byte) =>
  fileEndings.filter(([first]) => byte === first || byte === (first! & 0xdf)),
);

function isTopLevel(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < 2) return false;
  if (bytes[at + 1] === punycode[1] && matchesWord(bytes, at, end, punycode)) return true;
  for (let place = at; place < end; place++) {
    const byte = bytes[place]!;
    if (isDigit(byte) || byte === hyphen) return false;
  }
  const endings = fileEndingsFrom[bytes[at]!]!;
  for (let index = 0; index < endings.length; index++) {
    const ending = endings[index]!;
    if (ending.length === end - at && matchesWord(bytes, at, end, ending)) return false;
  }
  return true;
}
