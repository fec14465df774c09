/**
 * Where the values stand in a command's parameters as they are recorded (a Bind from its format codes on, or a
 * FunctionCall from its own), so that what a client typed can be masked in the record. Reads in place; never throws.
 */
import { formatValue } from './messages/values.ts';

const int8 = 20;
const numeric = 1700;

/** Ranges of the values of one message, reused for the next. */
export class RecordedValues {
  count = 0;
  /** `[starts[i], ends[i])` is value i; NULL is left out. */
  starts = new Int32Array(16);
  ends = new Int32Array(16);
  /** Which parameter value i is, from 0. */
  parameters = new Int32Array(16);
  /** Format of value i: 0 text, 1 binary. */
  formats = new Int32Array(16);
  /** Some value is binary. */
  binary = false;

  /** False when the bytes are not what they should be: the target will refuse them too. */
  read(bytes: Uint8Array): boolean {
    this.count = 0;
    this.binary = false;
    const codes = int16(bytes, 0);
    const codesEnd = 2 + 2 * codes;
    if (codes < 0 || codesEnd + 2 > bytes.length) return false;
    let at = codesEnd + 2;
    const values = int16(bytes, codesEnd);
    for (let parameter = 0; parameter < values; parameter++) {
      if (at + 4 > bytes.length) return false;
      const length = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
      at += 4;
      if (length === -1) continue;
      if (length < 0 || length > bytes.length - at) return false;
      const format =
        codes === 0 ? 0 : int16(bytes, 2 + 2 * (codes === 1 ? 0 : Math.min(parameter, codes - 1)));
      this.#add(parameter, format, at, at + length);
      at += length;
    }
    return true;
  }

  #add(parameter: number, format: number, start: number, end: number): void {
    const i = this.count++;
    if (i === this.starts.length) {
      for (const name of ['starts', 'ends', 'parameters', 'formats'] as const) {
        const larger = new Int32Array(2 * i);
        larger.set(this[name]);
        this[name] = larger;
      }
    }
    this.starts[i] = start;
    this.ends[i] = end;
    this.parameters[i] = parameter;
    this.formats[i] = format;
    if (format !== 0) this.binary = true;
  }
}

const int16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

/**
 * A binary number in decimal, since a card number may come as one; null for other values, whose bytes are searched as
 * they are. A type that the client did not fix (0) is guessed from the layout.
 */
export function decimalOf(value: Buffer, typeOid: number): string | null {
  const mayBe = (type: number): boolean => typeOid === 0 || typeOid === type;
  if (value.length === 8 && mayBe(int8)) return String(value.readBigInt64BE());
  if (!mayBe(numeric) || value.length < 8 || value.length !== 8 + 2 * value.readUInt16BE()) return null;
  const text = formatValue(numeric, 1, value);
  return text !== null && /^-?\d/.test(text) ? text : null;
}
