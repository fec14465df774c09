/**
 * National identifiers made of digits. Each has its issuer's check digits or a format that says what it is; those that are
 * bare digits count only where a word before them says what they are (`pesel: 44051401359`), because one order number
 * in ten would pass. A column of such numbers is named in a rule instead.
 */
import { Context } from './bytes.ts';
import { luhn, numberOf } from './digit-groups.ts';
import type { DigitGroups } from './digit-groups.ts';

/** The end of the identifier that begins at the first group, or -1. `bytes[start, …)` before it is context. */
export type IdEnd = (bytes: Uint8Array, start: number, groups: DigitGroups) => number;

const space = 0x20;
const hyphen = 0x2d;
const stop = 0x2e;
const slash = 0x2f;

const inContext = (words: Context, bytes: Uint8Array, start: number, groups: DigitGroups): boolean =>
  words.precedes(bytes, groups.starts[0]!, start);

const ssnWords = new Context(['ssn', 'social']);

/** United States, social security number: `123-45-6789`; with blanks or without separator only behind its name. */
export const usSsn: IdEnd = (bytes, start, groups) => {
  const shaped = groups.begins([3, 2, 4]);
  if (!shaped && groups.lengths[0] !== 9) return -1;
  const area = numberOf(groups.digits, 0, 3);
  if (area === 0 || area === 666 || area >= 900) return -1;
  if (numberOf(groups.digits, 3, 5) === 0 || numberOf(groups.digits, 5, 9) === 0) return -1;
  const plain = shaped && groups.separators[0] === hyphen && groups.separators[2] !== hyphen;
  if (!plain && !inContext(ssnWords, bytes, start, groups)) return -1;
  return groups.endOf(shaped ? 2 : 0);
};

const nhsWords = new Context(['nhs']);

/** United Kingdom, NHS number: modulus 11 (`943 476 5919`, or ten digits behind its name). */
export const ukNhs: IdEnd = (bytes, start, groups) => {
  const shaped =
    groups.begins([3, 3, 4]) && (groups.separators[0] === space || groups.separators[0] === hyphen);
  if (!shaped && groups.lengths[0] !== 10) return -1;
  let sum = 0;
  for (let index = 0; index < 9; index++) sum += groups.digits[index]! * (10 - index);
  if ((11 - (sum % 11)) % 11 !== groups.digits[9]) return -1;
  if (!(shaped && groups.separators[0] === space) && !inContext(nhsWords, bytes, start, groups)) return -1;
  return groups.endOf(shaped ? 2 : 0);
};

const steuerWords = new Context(['steuer', 'idnr', 'tin', 'tax']);

/** Germany, Steuer-Identifikationsnummer: ISO/IEC 7064 MOD 11,10 and the rule of repeated digits. */
export const deSteuerId: IdEnd = (bytes, start, groups) => {
  const shaped = groups.begins([2, 3, 3, 3]) && groups.separators[0] === space;
  if ((!shaped && groups.lengths[0] !== 11) || groups.digits[0] === 0) return -1;
  let product = 10;
  let seen = 0;
  for (let index = 0; index < 10; index++) {
    const value = groups.digits[index]!;
    seen |= 1 << value;
    const sum = (value + product) % 10;
    product = ((sum === 0 ? 10 : sum) * 2) % 11;
  }
  const missing = 10 - bitsIn(seen);
  if ((missing !== 1 && missing !== 2) || (11 - product) % 10 !== groups.digits[10]) return -1;
  if (!shaped && !inContext(steuerWords, bytes, start, groups)) return -1;
  return groups.endOf(shaped ? 3 : 0);
};

function bitsIn(value: number): number {
  let count = 0;
  for (let rest = value; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** France, numéro de sécurité sociale (NIR): key 97 − n mod 97; departments 2A and 2B are not covered. */
export const frNir: IdEnd = (_bytes, _start, groups) => {
  const shaped = groups.begins([1, 2, 2, 2, 3, 3, 2]) && groups.separators[0] === space;
  if (!shaped && groups.lengths[0] !== 15 && !groups.begins([13, 2])) return -1;
  if (groups.total < 15) return -1;
  const { digits } = groups;
  const month = numberOf(digits, 3, 5);
  if ((digits[0] !== 1 && digits[0] !== 2) || month === 0 || (month > 12 && month < 20)) return -1;
  if (numberOf(digits, 5, 7) === 0 || numberOf(digits, 7, 10) === 0) return -1;
  if (97 - (numberOf(digits, 0, 13) % 97) !== numberOf(digits, 13, 15)) return -1;
  return groups.endOf(shaped ? 6 : groups.lengths[0] === 15 ? 0 : 1);
};

const bsnWords = new Context(['bsn', 'burgerservice', 'sofi']);

/** Netherlands, burgerservicenummer: the eleven test; only behind its name. */
export const nlBsn: IdEnd = (bytes, start, groups) => {
  if (groups.lengths[0] !== 9) return -1;
  let sum = -groups.digits[8]!;
  for (let index = 0; index < 8; index++) sum += groups.digits[index]! * (9 - index);
  return sum % 11 === 0 && sum !== 0 && inContext(bsnWords, bytes, start, groups) ? groups.endOf(0) : -1;
};

const peselWords = new Context(['pesel']);
const peselWeights = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3];

/** Poland, PESEL: a date of birth, weights 1 3 7 9; only behind its name. */
export const plPesel: IdEnd = (bytes, start, groups) => {
  if (groups.lengths[0] !== 11) return -1;
  let sum = 0;
  for (let index = 0; index < 10; index++) sum += groups.digits[index]! * peselWeights[index]!;
  const month = numberOf(groups.digits, 2, 4) % 20;
  const day = numberOf(groups.digits, 4, 6);
  if ((10 - (sum % 10)) % 10 !== groups.digits[10] || month < 1 || month > 12 || day < 1 || day > 31)
    return -1;
  return inContext(peselWords, bytes, start, groups) ? groups.endOf(0) : -1;
};

const seWords = new Context(['personnummer', 'personnr', 'pnr', 'samordningsnummer', 'ssn']);

/** Sweden, personnummer: `811228-9874`, `19811228-9874` or digits alone, Luhn; only behind its name. */
export const sePersonnummer: IdEnd = (bytes, start, groups) => {
  const first = groups.lengths[0]!;
  const shaped = (first === 6 || first === 8) && groups.separators[0] === hyphen && groups.lengths[1] === 4;
  if (!shaped && first !== 10 && first !== 12) return -1;
  const century = (shaped ? first : first - 4) === 8 ? 2 : 0;
  const month = numberOf(groups.digits, century + 2, century + 4);
  const day = numberOf(groups.digits, century + 4, century + 6) % 60;
  if (month < 1 || month > 12 || day < 1 || day > 31 || !luhn(groups.digits, 10, century)) return -1;
  return inContext(seWords, bytes, start, groups) ? groups.endOf(shaped ? 1 : 0) : -1;
};

const cpfWords = new Context(['cpf']);

/** Brazil, CPF: two check digits; `111.444.777-35`, or eleven digits behind its name. */
export const brCpf: IdEnd = (bytes, start, groups) => {
  const shaped =
    groups.count >= 4 &&
    groups.lengths[0] === 3 &&
    groups.lengths[1] === 3 &&
    groups.lengths[2] === 3 &&
    groups.lengths[3] === 2 &&
    groups.separators[0] === stop &&
    groups.separators[1] === stop &&
    (groups.separators[2] === hyphen || groups.separators[2] === slash);
  if (!shaped && groups.lengths[0] !== 11) return -1;
  const { digits } = groups;
  let same = true;
  for (let index = 1; index < 9; index++) same &&= digits[index] === digits[0];
  if (same || cpfDigit(digits, 9) !== digits[9] || cpfDigit(digits, 10) !== digits[10]) return -1;
  if (!shaped && !inContext(cpfWords, bytes, start, groups)) return -1;
  return groups.endOf(shaped ? 3 : 0);
};

function cpfDigit(digits: Uint8Array, length: number): number {
  let sum = 0;
  for (let index = 0; index < length; index++) sum += digits[index]! * (length + 1 - index);
  const rest = (sum * 10) % 11;
  return rest === 10 ? 0 : rest;
}

const aadhaarWords = new Context(['aadhaar', 'aadhar', 'uidai', 'uid']);

/** India, Aadhaar: Verhoeff's check; `2345 6789 0124`, or behind its name. */
export const inAadhaar: IdEnd = (bytes, start, groups) => {
  const shaped = groups.begins([4, 4, 4]);
  if ((!shaped && groups.lengths[0] !== 12) || groups.digits[0]! < 2 || !verhoeff(groups.digits, 12))
    return -1;
  const plain = shaped && groups.count === 3 && groups.separators[0] === space;
  if (!plain && !inContext(aadhaarWords, bytes, start, groups)) return -1;
  return groups.endOf(shaped ? 2 : 0);
};

/** Multiplication in the dihedral group of order ten. */
const dihedral = (a: number, b: number): number => {
  if (a < 5) return b < 5 ? (a + b) % 5 : 5 + ((a + b) % 5);
  return b < 5 ? 5 + ((a - b) % 5) : (a - b + 5) % 5;
};
const verhoeffStep = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];

/** Verhoeff's check over `length` digits. */
export function verhoeff(digits: Uint8Array, length: number): boolean {
  let check = 0;
  for (let index = 0; index < length; index++) {
    let value = digits[length - 1 - index]!;
    for (let times = index % 8; times > 0; times--) value = verhoeffStep[value]!;
    check = dihedral(check, value);
  }
  return check === 0;
}
