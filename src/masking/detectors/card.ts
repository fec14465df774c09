/**
 * Payment card numbers (ISO/IEC 7812): 13 to 19 digits, contiguous or in the groups that cards print, an issuer's range
 * with a length that this issuer uses, and Luhn's check digit. Lengths that bar codes and identifiers of databases
 * have as well (13 digits of Visa, 19 digits) count in groups, or where a word says that it is a card.
 */
import { Context } from './bytes.ts';
import { luhn, numberOf } from './digit-groups.ts';
import type { DigitGroups } from './digit-groups.ts';

const context = new Context([
  'card',
  'visa',
  'mastercard',
  'maestro',
  'unionpay',
  'pan',
  'kart',
  'carte',
  'tarjeta',
]);

const shapes = [
  [4, 4, 4, 4, 3],
  [4, 4, 4, 4],
  [4, 6, 5],
  [4, 6, 4],
  [4, 4, 4, 4, 2],
  [4, 4, 4, 4, 1],
  [4, 4, 4, 1],
] as const;

/** The end of the card number that begins at the first group, or -1. */
export function cardEnd(bytes: Uint8Array, start: number, groups: DigitGroups): number {
  const at = groups.starts[0]!;
  const first = groups.lengths[0]!;
  if (first >= 13) {
    if (first > 19 || !luhn(groups.digits, first)) return -1;
    const issued = issuer(groups.digits, first);
    if (issued === 'no' || (issued === 'rare' && !context.precedes(bytes, at, start))) return -1;
    return groups.endOf(0);
  }
  if (first !== 4) return -1;
  for (const shape of shapes) {
    const separator = groups.separators[0];
    if ((separator !== 0x20 && separator !== 0x2d) || !groups.begins(shape)) continue;
    let length = 0;
    for (const size of shape) length += size;
    if (luhn(groups.digits, length) && issuer(groups.digits, length) !== 'no')
      return groups.endOf(shape.length - 1);
  }
  return -1;
}

/** Does an issuer give out numbers with these first digits and this length? */
function issuer(digits: Uint8Array, length: number): 'yes' | 'rare' | 'no' {
  const two = numberOf(digits, 0, 2);
  const four = numberOf(digits, 0, 4);
  if (digits[0] === 4) return length === 16 ? 'yes' : length === 13 || length === 19 ? 'rare' : 'no'; // Visa
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return length === 16 ? 'yes' : 'no'; // Mastercard
  if (two === 34 || two === 37) return length === 15 ? 'yes' : 'no'; // American Express
  if (two === 36 || two === 38 || two === 39 || (four >= 3000 && four <= 3059))
    return length === 14 ? 'yes' : length === 16 || length === 19 ? 'rare' : 'no'; // Diners Club
  if (four >= 3528 && four <= 3589) return length === 16 ? 'yes' : length > 16 ? 'rare' : 'no'; // JCB
  if (four === 6011 || two === 65 || (four >= 6440 && four <= 6499) || two === 60)
    return length === 16 ? 'yes' : length > 16 ? 'rare' : 'no'; // Discover, RuPay
  if (two === 62 || two === 81 || two === 82) return length === 16 ? 'yes' : length > 16 ? 'rare' : 'no'; // UnionPay, RuPay
  if (four >= 2200 && four <= 2204) return length === 16 ? 'yes' : length > 16 ? 'rare' : 'no'; // Mir
  if (maestro.has(four)) return length === 16 ? 'yes' : 'rare';
  return 'no';
}

const maestro = new Set([5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763, 5081, 5085]);
