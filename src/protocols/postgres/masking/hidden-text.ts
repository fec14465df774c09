/**
 * Values that a scan of their bytes does not see, because their text format writes them otherwise: bytes in hexadecimal,
 * characters behind a backslash, numbers with an exponent or marks between their digits.
 */
import { plainDecimal } from './binary-values.ts';
import { Unescaped } from './json-text.ts';
import type { Replacement, ValueMasker } from './values.ts';
import { Form } from './types.ts';

const backslash = 0x5c, asterisk = 0x2a; // prettier-ignore
/** Shorter than what any detector finds. */
const fewBytes = 6;

export class HiddenText {
  readonly #values: ValueMasker;
  readonly #text = new Unescaped();
  #decoded: Buffer = Buffer.alloc(0);

  constructor(values: ValueMasker) {
    this.#values = values;
  }

  /** `\x…` anywhere in the value: what the bytes are is looked into, and hidden in hexadecimal; the length is kept. */
  hexadecimal(bytes: Buffer, start: number, end: number): void {
    for (
      let at = bytes.indexOf(backslash, start);
      at !== -1 && at < end - 1;
      at = bytes.indexOf(backslash, at + 1)
    ) {
      if (bytes[at + 1] !== 0x78) continue;
      const from = at + 2;
      let to = from;
      while (to < end && isHex[bytes[to]!] === 1) to++;
      const count = (to - from) >> 1;
      if (count >= fewBytes) this.#hexadecimal(bytes, from, count);
    }
  }

  #hexadecimal(bytes: Buffer, from: number, count: number): void {
    if (this.#decoded.length < count) this.#decoded = Buffer.allocUnsafeSlow(2 * count);
    const { masking } = this.#values;
    this.#decoded.write(bytes.toString('latin1', from, from + 2 * count), 0, 'hex');
    const found = masking.scan(this.#decoded, 0, count);
    for (let i = 0; i < found.length; i++) {
      const [start, end, rule] = [from + 2 * found.starts[i]!, from + 2 * found.ends[i]!, found.rules[i]!];
      this.#values.tell(rule, bytes, start, end);
      this.#values.replace(rule, bytes, start, end, 'hex', true);
    }
  }

  /** A value with backslashes; masked in place. */
  escaped(form: Form, bytes: Buffer, start: number, end: number, style: 'json' | 'copy'): void {
    this.#text.read(bytes, start, end, style);
    this.#unescaped(form, bytes, start);
  }

  /** A field of CSV from between its quotes, see `Unescaped.readQuoted`; masked in place. */
  quoted(form: Form, bytes: Buffer, start: number, end: number, quote: number, escape: number): void {
    this.#text.readQuoted(bytes, start, end, quote, escape);
    this.#unescaped(form, bytes, start);
  }

  #unescaped(form: Form, bytes: Buffer, start: number): void {
    const text = this.#text;
    const found = this.#values.masking.scan(text.bytes, 0, text.length);
    for (let i = 0; i < found.length; i++) {
      const from = text.positions[found.starts[i]!]!;
      const range = { start: from, end: text.positions[found.ends[i]!]!, rule: found.rules[i]! };
      const plain = range.end - from === found.ends[i]! - found.starts[i]!;
      if (plain) this.#values.finding(form, bytes, start, range, true);
      else {
        // What is escaped is hidden whole: what is left of an escape would be another one.
        this.#values.tell(range.rule, bytes, from, range.end);
        bytes.fill(asterisk, from, range.end);
      }
    }
  }

  /** A whole bytea: hexadecimal, or (bytea_output = escape) text. */
  bytea(bytes: Buffer, start: number, end: number): Replacement {
    if (bytes[start] === backslash && bytes[start + 1] === 0x78) this.hexadecimal(bytes, start, end);
    else this.escaped(Form.bytea, bytes, start, end, 'copy');
    return null;
  }

  /** A float, or money: the number is looked at without its marks, and hidden whole. */
  number(bytes: Buffer, start: number, end: number): Replacement {
    if (end - start < 9 || end - start > 64) return null;
    const written = bytes.toString('latin1', start, end);
    const exponent = written.includes('e');
    const plain = exponent ? plainDecimal(Number(written)) : written.replaceAll(/[^\d.-]/g, '');
    const digits = Buffer.from(plain, 'latin1');
    const found = this.#values.masking.scan(digits, 0, digits.length);
    if (found.length === 0) return null;
    const rule = found.rules[0]!;
    this.#values.tell(rule, bytes, start, end);
    const instead = this.#values.masking.keepsLength(rule)
      ? null
      : this.#values.masking.mask(rule, digits, 0, digits.length, 'digits');
    if (instead === 'null') return instead;
    this.#values.masking.redact(bytes, start, end, 'digits');
    return null;
  }
}

const isHex = new Uint8Array(256);
for (const byte of Buffer.from('0123456789abcdefABCDEF')) isHex[byte] = 1;
