/**
 * Where, at the end of what is here of a text, values without a prefix of their own may begin: numbers, addresses,
 * identifiers that begin with letters, passwords in URLs. Each returns the first such offset in `[least, end)`, or `end`;
 * one that is too early costs time, one that is too late shows a value, so that in doubt they return the earlier one.
 */
import {
  classes,
  delimiter,
  digit,
  hexLetter,
  hostName,
  isDigit,
  letter,
  localPart,
  wordBefore,
} from '../detectors/bytes.ts';

/** Longest number with its separators, and what decides about it. */
const numberBytes = 72;
const numberSigns = signs(' -./()+');
/** Non-digits in a row within a number. */
const mostSigns = 3;
const plus = 0x2b, bracket = 0x28, hyphen = 0x2d, colon = 0x3a, stop = 0x2e, slash = 0x2f, at_ = 0x40, percent = 0x25; // prettier-ignore

/** Cards, national identifiers of digits, telephone numbers, IPv4. */
export function numberTail(bytes: Uint8Array, least: number, end: number): number {
  const bound = Math.max(least, end - numberBytes);
  let at = end;
  // the check letter of a Spanish DNI
  if (at - 1 > bound && isUpper(bytes[at - 1]!) && isNumberByte(bytes[at - 2]!)) at--;
  let first = end;
  for (let gap = 0; at > bound && gap <= mostSigns; at--) {
    const byte = bytes[at - 1]!;
    if (isDigit(byte)) gap = 0;
    else if (numberSigns[byte] === 1) gap++;
    else break;
    if (isDigit(byte) || byte === plus || byte === bracket) first = at - 1;
  }
  return first;
}

const isUpper = (byte: number): boolean => byte >= 65 && byte <= 90;
const isNumberByte = (byte: number): boolean => isDigit(byte) || byte === hyphen;

function signs(text: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const char of text) table[char.charCodeAt(0)] = 1;
  return table;
}

/** The part before `@`, and an address whole. */
const localBytes = 64;
const mailBytes = 340;
const mailFlags = digit | letter | localPart | hostName;

export function mailTail(bytes: Uint8Array, least: number, end: number): number {
  const bound = Math.max(least, end - mailBytes);
  let first = end;
  let sign = false;
  for (; first > bound; first--) {
    const byte = bytes[first - 1]!;
    if (byte === at_ || byte === percent) sign = true;
    else if ((classes[byte]! & mailFlags) === 0) break;
  }
  if (!sign) first = Math.max(first, end - localBytes);
  // signs before an address are no part of it
  while (first < end && bytes[first]! < 0x80 && (classes[bytes[first]!]! & (digit | letter)) === 0 && bytes[first] !== 0x5f) first++; // prettier-ignore
  return first;
}

const ipv6Bytes = 64;

export function ipv6Tail(bytes: Uint8Array, start: number, least: number, end: number): number {
  const bound = Math.max(least, end - ipv6Bytes);
  let first = end;
  let lastStop = -1;
  let lastColon = -1;
  for (; first > bound; first--) {
    const byte = bytes[first - 1]!;
    if (byte === stop) lastStop = Math.max(lastStop, first);
    else if (byte === colon) lastColon = Math.max(lastColon, first);
    else if ((classes[byte]! & (digit | hexLetter)) === 0) break;
  }
  if (first === end) return end;
  // a group has four digits at most
  if (lastColon === -1) {
    const group = Math.max(first, lastStop);
    return end - group > 4 || (group > start && wordBefore(bytes, group, start)) ? end : group;
  }
  return first;
}

/** IBAN in groups, with the byte behind it. */
const idBytes = 48;
const idFlags = digit | letter;

/** IBAN, British insurance number, Italian tax code, Spanish NIE. */
export function idTail(bytes: Uint8Array, start: number, least: number, end: number): number {
  const bound = Math.max(least, end - idBytes);
  let first = end;
  while (first > bound && isIdByte(bytes[first - 1]!)) first--;
  for (; first < end; first++) {
    if ((classes[bytes[first]!]! & letter) === 0 || wordBefore(bytes, first, start)) continue;
    if (idGoesOn(bytes, first, end)) return first;
  }
  return end;
}

const isIdByte = (byte: number): boolean =>
  (classes[byte]! & idFlags) !== 0 || byte === 0x20 || byte === hyphen;

/** Longest of each form, with the byte behind it. */
const longestNie = 11;
const longestNino = 14;
const longestTaxCode = 17;
const longestIban = 43;

function idGoesOn(bytes: Uint8Array, at: number, end: number): boolean {
  const length = end - at;
  let letters = 1;
  while (letters < length && letters <= 6 && (classes[bytes[at + letters]!]! & letter) !== 0) letters++;
  if (letters === length) return letters <= 6;
  const next = bytes[at + letters]!;
  const series = bytes[at]! & 0xdf;
  if (letters === 1) return series >= 0x58 && series <= 0x5a && next !== 0x20 && length <= longestNie;
  if (letters === 2 && isDigit(next)) return length <= longestIban;
  if (letters === 2 && next === 0x20) return isUpper(bytes[at + 1]!) && length <= longestNino;
  return letters === 6 && isDigit(next) && length <= longestTaxCode;
}

/** A URL before its path; see `confirmUrlPassword`. */
const userInfoBytes = 520;

/** The password in a URL: from the colon behind the name on, until something ends the authority. */
export function urlPasswordTail(bytes: Uint8Array, least: number, end: number): number {
  const bound = Math.max(least, end - userInfoBytes);
  let password = end;
  for (let at = end; at > bound; at--) {
    const byte = bytes[at - 1]!;
    if (byte === colon) password = at;
    if (byte === slash) return isScheme(bytes, at - 3, least) ? password : end;
    if (byte === 0x3f || byte === 0x23 || ((classes[byte]! & delimiter) !== 0 && byte !== 0x5c)) return end;
  }
  return end;
}

const isScheme = (bytes: Uint8Array, at: number, least: number): boolean =>
  at >= least && bytes[at] === colon && bytes[at + 1] === slash;
