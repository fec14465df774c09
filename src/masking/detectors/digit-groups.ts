/**
 * A number as people write it: groups of digits with one separator between two of them (`4111 1111 1111 1111`,
 * `123-45-6789`). Parsed once for each candidate; all detectors of numbers look at the same groups.
 */
import { classes, digit } from './bytes.ts';

const mostGroups = 8;
const mostDigits = 40;

/** Separators: blank, hyphen, full stop, slash. */
const separators = new Uint8Array(256);
for (const char of ' -./') separators[char.charCodeAt(0)] = 1;

export class DigitGroups {
  /** Groups seen; at most 8. The last may have been cut short by the bound of 40 digits. */
  count = 0;
  /** Of each group: its length in digits, its first offset, the separator behind it (0: none, the number ends). */
  readonly lengths = new Int32Array(mostGroups);
  readonly starts = new Int32Array(mostGroups);
  readonly separators = new Int32Array(mostGroups);
  /** Values of all digits, without separators. */
  readonly digits = new Uint8Array(mostDigits);
  total = 0;

  /** Parses from a digit at `at` on. */
  parse(bytes: Uint8Array, at: number, end: number): void {
    const { digits } = this;
    let next = at;
    let total = 0;
    let count = 0;
    for (;;) {
      const first = next;
      const most = Math.min(end, next + mostDigits - total);
      while (next < most) {
        const value = bytes[next]! - 48;
        if (value < 0 || value > 9) break;
        digits[total++] = value;
        next++;
      }
      this.starts[count] = first;
      this.lengths[count] = next - first;
      const separator = next + 1 < end && separators[bytes[next]!] === 1 ? bytes[next]! : 0;
      const goesOn = separator !== 0 && (classes[bytes[next + 1]!]! & digit) !== 0;
      this.separators[count++] = goesOn ? separator : 0;
      if (!goesOn || count === mostGroups || total === mostDigits) break;
      next++;
    }
    this.count = count;
    this.total = total;
  }

  /** Offset behind group `index`. */
  endOf(index: number): number {
    return this.starts[index]! + this.lengths[index]!;
  }

  /** The first groups have these lengths, and one and the same separator stands between them. */
  begins(shape: readonly number[]): boolean {
    if (this.count < shape.length) return false;
    for (let index = 0; index < shape.length; index++) {
      if (this.lengths[index] !== shape[index]) return false;
      if (index > 0 && index < shape.length - 1 && this.separators[index] !== this.separators[0])
        return false;
    }
    return true;
  }
}

/** The sum of the decimal places of twice a digit. */
const doubled = Uint8Array.of(0, 2, 4, 6, 8, 1, 3, 5, 7, 9);

/** Luhn's check (ISO/IEC 7812-1) over the first `length` digits. */
export function luhn(digits: Uint8Array, length: number, from = 0): boolean {
  let sum = 0;
  let index = from + length - 1;
  for (; index > from; index -= 2) sum += digits[index]! + doubled[digits[index - 1]!]!;
  if (index === from) sum += digits[index]!;
  return sum % 10 === 0;
}

/** The number that digits `[from, to)` write; at most 15 of them. */
export function numberOf(digits: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let index = from; index < to; index++) value = value * 10 + digits[index]!;
  return value;
}
