/**
 * Telephone numbers: E.164 with `+` (https://www.itu.int/rec/T-REC-E.164), and national forms that people print: North
 * American 3-3-4, French pairs, British and German trunk numbers with `0`. Digits alone count only behind a word that
 * says what they are.
 */
import { Context, classes, digit, isDigit, wordAt, wordBefore } from './bytes.ts';
import type { DigitGroups } from './digit-groups.ts';
import type { Confirm } from './match.ts';

const space = 0x20;
const hyphen = 0x2d;
const stop = 0x2e;
const slash = 0x2f;

const words = new Context([
  'phone',
  'tel',
  'mobile',
  'cell',
  'handy',
  'fax',
  'whatsapp',
  'sms',
  'msisdn',
  'call',
]);

/** `+` with 8 to 15 digits, among them blanks, hyphens, full stops, slashes and brackets. */
export const confirmInternational: Confirm = (bytes, at, start, end, match) => {
  if (wordBefore(bytes, at, start)) return false;
  let digits = 0;
  let last = at;
  let separators = 0;
  for (let next = at + 1; next < end && digits < 16; next++) {
    const byte = bytes[next]!;
    if ((classes[byte]! & digit) !== 0) {
      digits++;
      last = next;
      separators = 0;
    } else if (separators < 2 && (byte === space || byte === hyphen || byte === stop || isBracket(byte)))
      separators++;
    else if (byte !== slash || separators > 0) break;
    else separators++;
  }
  if (digits < 8 || digits > 15 || wordAt(bytes, last + 1, end)) return false;
  match.start = at;
  match.end = last + 1;
  return true;
};

const isBracket = (byte: number): boolean => byte === 0x28 || byte === 0x29;

/** The end of the national number that begins at the first group, or -1; the opening bracket is left to the caller. */
export function phoneEnd(bytes: Uint8Array, start: number, end: number, groups: DigitGroups): number {
  const at = groups.starts[0]!;
  const before = at > start ? bytes[at - 1]! : 0;
  if ((before === stop || before === slash || before === hyphen) && at - 2 >= start && isDigit(bytes[at - 2]))
    return -1;
  const bracketed = before === 0x28 ? areaInBrackets(bytes, end, groups) : -1;
  if (bracketed !== -1) return bracketed;
  if (groups.digits[0] === 0) return trunkEnd(bytes, start, groups);
  if (northAmerican(groups)) return groups.endOf(2);
  const contextual = groups.count === 1 && groups.total >= 7 && groups.total <= 15;
  return contextual && words.precedes(bytes, at, start) ? groups.endOf(0) : -1;
}

/** 3-3-4 with one separator, area and exchange from 2 on. */
function northAmerican(groups: DigitGroups): boolean {
  if (!groups.begins([3, 3, 4]) || groups.separators[0] === slash) return false;
  if (groups.separators[2] === groups.separators[0] || groups.separators[2] === hyphen) return false;
  return groups.digits[0]! >= 2 && groups.digits[3]! >= 2;
}

/** `(555) 234-5678`: the first group is the area. */
function areaInBrackets(bytes: Uint8Array, end: number, groups: DigitGroups): number {
  if (groups.count !== 1 || groups.total !== 3 || groups.digits[0]! < 2) return -1;
  let next = groups.endOf(0);
  if (next >= end || bytes[next] !== 0x29) return -1;
  next++;
  if (next < end && (bytes[next] === space || bytes[next] === hyphen)) next++;
  for (let index = 0; index < 8; index++, next++) {
    if (next >= end) return -1;
    const byte = bytes[next]!;
    if (index === 3 ? byte !== hyphen && byte !== space && byte !== stop : !isDigit(byte)) return -1;
  }
  return wordAt(bytes, next, end) ? -1 : next;
}

/** Numbers with the trunk prefix 0. */
function trunkEnd(bytes: Uint8Array, start: number, groups: DigitGroups): number {
  const { lengths, separators, count, total } = groups;
  if (count >= 5 && groups.begins([2, 2, 2, 2, 2]) && groups.digits[1] !== 0 && separators[0] !== slash)
    return separators[4] === separators[0] && separators[0] !== space ? -1 : groups.endOf(4);
  if (groups.digits[1] === 0) return -1; // 00…: padding, as often as an international prefix
  const british =
    separators[0] === space &&
    ((lengths[0] === 3 && lengths[1] === 4 && lengths[2] === 4) ||
      (lengths[0] === 4 && lengths[1] === 3 && (lengths[2] === 4 || lengths[2] === 3)));
  if (british && separators[1] === space) return groups.endOf(2);
  const german = lengths[0]! >= 3 && lengths[0]! <= 5 && lengths[1]! >= 6 && lengths[1]! <= 8;
  if (german && separators[0] !== stop && separators[1] === 0) return groups.endOf(1);
  const contextual = count <= 4 && total >= 9 && total <= 12;
  return contextual && words.precedes(bytes, groups.starts[0]!, start) ? groups.endOf(count - 1) : -1;
}
