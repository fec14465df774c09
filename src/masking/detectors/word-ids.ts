/**
 * Identifiers that begin with letters: IBAN, the Italian tax code, the British insurance number, the Spanish NIE. Asked
 * at the beginning of a word. And the Spanish DNI, which ends with its letter.
 */
import { isDigit, isWord, wordAt } from './bytes.ts';
import type { Confirm } from './match.ts';
import { numberOf } from './digit-groups.ts';
import type { DigitGroups } from './digit-groups.ts';

const space = 0x20;
const upper = (byte: number): number => (byte >= 97 && byte <= 122 ? byte - 32 : byte);
const isLetter = (byte: number | undefined): boolean =>
  byte !== undefined && (byte | 0x20) >= 97 && (byte | 0x20) <= 122;

/** Length of an IBAN by country (ISO 13616 registry). */
const ibanLengths = new Map<number, number>();
for (const entry of (
  'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 ' +
  'FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 ' +
  'LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 ' +
  'RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
).split(' '))
  ibanLengths.set((entry.charCodeAt(0) << 8) | entry.charCodeAt(1), Number(entry.slice(2)));

/** International bank account number (ISO 13616): contiguous or in groups of four, check digits modulo 97. */
export const confirmIban: Confirm = (bytes, at, _start, end, match) => {
  if (at + 15 > end || !isDigit(bytes[at + 2]) || !isDigit(bytes[at + 3])) return false;
  const length = ibanLengths.get((upper(bytes[at]!) << 8) | upper(bytes[at + 1]!));
  if (length === undefined) return false;
  const separator = bytes[at + 4] === space || bytes[at + 4] === 0x2d ? bytes[at + 4]! : 0;
  let next = at;
  let rest = 0;
  let head = 0;
  for (let index = 0; index < length; index++, next++) {
    if (separator !== 0 && index > 0 && index % 4 === 0) {
      if (next >= end || bytes[next] !== separator) return false;
      next++;
    }
    if (next >= end || !isWord(bytes[next])) return false;
    const byte = upper(bytes[next]!);
    const value = byte <= 57 ? byte - 48 : byte - 55;
    if (index < 4) head = value > 9 ? head * 100 + value : head * 10 + value;
    else rest = (value > 9 ? rest * 100 + value : rest * 10 + value) % 97;
  }
  if (wordAt(bytes, next, end)) return false;
  // country and check digits come last in the sum: two letters and two digits are six decimal places
  if ((rest * 1_000_000 + head) % 97 !== 1) return false;
  match.start = at;
  match.end = next;
  return true;
};

const oddValues = [
  1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
];
/** Letters that stand for digits where two people's codes would be equal. */
const omocodia = 'LMNPQRSTUV';
const months = 'ABCDEHLMPRST';

/** Italy, codice fiscale: sixteen characters with a check letter. */
export const confirmCodiceFiscale: Confirm = (bytes, at, _start, end, match) => {
  if (at + 16 > end || !isLetter(bytes[at + 5]) || wordAt(bytes, at + 16, end)) return false;
  let sum = 0;
  for (let index = 0; index < 15; index++) {
    const byte = upper(bytes[at + index]!);
    const numeric = index === 6 || index === 7 || index === 9 || index === 10 || (index >= 12 && index <= 14);
    if (numeric ? !isDigit(byte) && !omocodia.includes(String.fromCharCode(byte)) : !isLetter(byte))
      return false;
    const value = byte <= 57 ? byte - 48 : byte - 65;
    sum += (index & 1) === 0 ? oddValues[value]! : value;
  }
  if (!months.includes(String.fromCharCode(upper(bytes[at + 8]!)))) return false;
  if (upper(bytes[at + 15]!) !== 65 + (sum % 26)) return false;
  match.start = at;
  match.end = at + 16;
  return true;
};

const ninoNotFirst = 'DFIQUV';
const ninoNever = new Set(['BG', 'GB', 'NK', 'KN', 'TN', 'NT', 'ZZ']);

/** United Kingdom, national insurance number: `AB123456C` or `AB 12 34 56 C`, upper case. */
export const confirmUkNino: Confirm = (bytes, at, _start, end, match) => {
  if (at + 9 > end) return false;
  const [first, second] = [bytes[at]!, bytes[at + 1]!];
  if (first < 65 || first > 90 || second < 65 || second > 90) return false;
  const prefix = String.fromCharCode(first, second);
  if (ninoNever.has(prefix)) return false;
  if (ninoNotFirst.includes(prefix[0]!) || ninoNotFirst.includes(prefix[1]!) || prefix[1] === 'O')
    return false;
  const spaced = bytes[at + 2] === space;
  let next = at + 2;
  for (let index = 0; index < 6; index++) {
    if (spaced && (index & 1) === 0 && bytes[next++] !== space) return false;
    if (next >= end || !isDigit(bytes[next++])) return false;
  }
  if (spaced && bytes[next++] !== space) return false;
  const suffix = next < end ? bytes[next]! : 0;
  if (suffix < 65 || suffix > 68 || wordAt(bytes, next + 1, end)) return false;
  match.start = at;
  match.end = next + 1;
  return true;
};

const dniLetters = 'TRWAGMYFPDXBNJZSQVHLCKE';

/** Spain, NIE: X, Y or Z, seven digits, check letter. */
export const confirmEsNie: Confirm = (bytes, at, _start, end, match) => {
  const series = upper(bytes[at]!) - 88;
  if (series < 0 || series > 2) return false;
  let next = at + 1;
  if (bytes[next] === 0x2d) next++;
  let value = series;
  for (let index = 0; index < 7; index++, next++) {
    if (next >= end || !isDigit(bytes[next])) return false;
    value = value * 10 + bytes[next]! - 48;
  }
  const after = checkLetterEnd(bytes, next, end, value);
  if (after === -1) return false;
  match.start = at;
  match.end = after;
  return true;
};

/** Spain, DNI: the end of eight digits with their check letter, or -1. */
export function esDniEnd(bytes: Uint8Array, end: number, groups: DigitGroups): number {
  if (groups.lengths[0] !== 8) return -1;
  return checkLetterEnd(bytes, groups.endOf(0), end, numberOf(groups.digits, 0, 8));
}

/** Behind the letter that eight digits call for, upper case, perhaps behind a hyphen; else -1. */
function checkLetterEnd(bytes: Uint8Array, at: number, end: number, value: number): number {
  const place = at < end && bytes[at] === 0x2d ? at + 1 : at;
  if (place >= end || bytes[place] !== dniLetters.charCodeAt(value % 23)) return -1;
  return wordAt(bytes, place + 1, end) ? -1 : place + 1;
}
