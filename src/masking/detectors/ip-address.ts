/**
 * IP addresses. Of IPv4, dotted quads that are no version: one part of 32 or more, or `10.0.` in front. Of IPv6 (RFC 4291),
 * eight groups, or `::` behind a first group that routed, unique local, link-local and multicast addresses have.
 * Loopback and unspecified addresses identify nobody and are left.
 */
import { Context, classes, digit, hexLetter, isDigit, isWord, wordAt, wordBefore } from './bytes.ts';
import type { Confirm } from './match.ts';
import { numberOf } from './digit-groups.ts';
import type { DigitGroups } from './digit-groups.ts';

const hex = digit | hexLetter;
const colon = 0x3a;
const stop = 0x2e;

const versionWords = new Context(['version', 'release', 'driver', 'build', 'firmware']);

/** The end of the IPv4 address that begins at the first group, or -1. */
export function ipv4End(bytes: Uint8Array, start: number, end: number, groups: DigitGroups): number {
  if (groups.count < 4 || !quad(groups)) return -1;
  const at = groups.starts[0]!;
  const after = groups.endOf(3);
  if (at > start && (bytes[at - 1] === stop || bytes[at - 1] === 0x2d)) return -1;
  if (groups.separators[3] === stop || wordAt(bytes, after, end)) return -1;
  let telling = false;
  let place = 0;
  for (let index = 0; index < 4; index++) {
    const length = groups.lengths[index]!;
    let value = 0;
    for (let step = 0; step < length; step++) value = value * 10 + groups.digits[place + step]!;
    if (value > 255 || (length > 1 && groups.digits[place] === 0)) return -1;
    if (index === 0 && value === 0) return -1;
    telling ||= value >= 32;
    place += length;
  }
  const internal =
    groups.lengths[0] === 2 && groups.lengths[1] === 1 && numberOf(groups.digits, 0, 3) === 100;
  if ((!telling && !internal) || numberedLoopback(groups) || versionWords.precedes(bytes, at, start))
    return -1;
  return after;
}

function quad({ lengths, separators }: DigitGroups): boolean {
  for (let index = 0; index < 4; index++) {
    if (lengths[index]! > 3) return false;
    if (index < 3 && separators[index] !== stop) return false;
  }
  return true;
}

/** 127.0.0.1 and masks such as 255.255.255.0. */
function numberedLoopback({ lengths, digits }: DigitGroups): boolean {
  if (lengths[0] !== 3) return false;
  const first = digits[0]! * 100 + digits[1]! * 10 + digits[2]!;
  return first === 127 || first === 255;
}

const longest = 45;

/** IPv6 around a colon. */
export const confirmIpv6: Confirm = (bytes, at, start, end, match) => {
  if (at > start && bytes[at - 1] === colon) return false; // asked at the first colon of a run
  let first = at;
  const least = Math.max(start, at - longest);
  while (first > least && isPart(bytes[first - 1]!)) first--;
  if (first > start && (isPart(bytes[first - 1]!) || isWord(bytes[first - 1]))) return false;
  let last = at;
  const most = Math.min(end, first + longest + 1);
  while (last < most && isPart(bytes[last]!)) last++;
  if (last === most && last < end && isPart(bytes[last]!)) return false;
  if (wordAt(bytes, last, end) || wordBefore(bytes, first, start)) return false;
  const sentence = last > first && bytes[last - 1] === colon && bytes[last - 2] !== colon;
  if (sentence) last--; // `fe80::1: no route`
  if (!isIpv6(bytes, first, last)) return false;
  match.start = first;
  match.end = last < end && bytes[last] === stop ? mappedEnd(bytes, last, end) : last;
  return true;
};

const isPart = (byte: number): boolean => byte === colon || (classes[byte]! & hex) !== 0;

/** Groups of one to four hex digits; eight of them, or fewer around one `::`. */
function isIpv6(bytes: Uint8Array, first: number, last: number): boolean {
  let groups = 0;
  let length = 0;
  let gap = false;
  for (let place = first; place < last; place++) {
    if (bytes[place] !== colon) {
      if (++length > 4) return false;
      if (length === 1) groups++;
      continue;
    }
    const twice = place + 1 < last && bytes[place + 1] === colon;
    if (length === 0 && !(place === first && twice)) return false;
    length = 0;
    if (!twice) continue;
    if (gap) return false;
    gap = true;
    place++;
  }
  if (!gap) return groups === 8;
  return groups <= 7 && routed(bytes, first, last, groups);
}

/** Behind `::` alone stands no address of anybody; a group of three or four digits comes first (2001, fe80, fd00, 64…). */
function routed(bytes: Uint8Array, first: number, last: number, groups: number): boolean {
  const mapped = groups >= 2 && bytes[first] === colon && (bytes[first + 2]! | 0x20) === 0x66; // ::ffff:
  if (mapped) return true;
  let length = 0;
  while (first + length < last && bytes[first + length] !== colon) length++;
  if (length < 3 || groups < 2) return false;
  for (let place = first; place < last; place++) if (isDigit(bytes[place])) return true;
  return false;
}

/** `::ffff:192.0.2.1`: the rest of the dotted quad. */
function mappedEnd(bytes: Uint8Array, at: number, end: number): number {
  let next = at;
  while (next < end && next < at + 12 && (bytes[next] === stop || isDigit(bytes[next]))) next++;
  return next;
}
