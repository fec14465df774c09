/**
 * One value in text format: what a detector found in it, or all of it, is recorded and replaced so that it stays a value
 * of its type. Replaces in place where the length is kept; otherwise says what stands instead.
 */
import type { ConnectionGate } from '../../../gate/gate.ts';
import type { Findings, Masking, ValueKind } from '../../../gate/masking.ts';
import type { FoundValues } from './found-values.ts';
import { JsonStrings, jsonEscaped } from './json-text.ts';
import { Form } from './types.ts';

/** Null: done in place. A Buffer stands instead of the range; `'null'`: the whole value becomes NULL. */
export type Replacement = Buffer | 'null' | null;

const asterisk = 0x2a, zero = 0x30, one = 0x31, quote = 0x22, backslash = 0x5c; // prettier-ignore

/** Marks that must stay: between values in arrays, composites, ranges and hstore; in XML. */
const structuralMarks = marks('"\\{}()[],=>');
const xmlMarks = marks('<>&;');

export class ValueMasker {
  readonly masking: Masking;
  readonly #gate: ConnectionGate;
  readonly #json = new JsonStrings();
  /** Where the value at hand stands: reused for every redaction. */
  readonly #place = { row: -1, column: -1, offset: 0, length: 0 };
  command = 0;
  /** First byte of the value at hand, from which places are counted; or of the message, where values have no place. */
  origin = 0;

  constructor(gate: ConnectionGate, masking: Masking) {
    this.#gate = gate;
    this.masking = masking;
  }

  /** Another run of messages begins, perhaps in the memory of the last one. */
  begin(): void {
    this.#json.forget();
  }

  /** A JSON value goes on at `start`, and is walked up to `end` before it goes on again. */
  jsonGoesOn(bytes: Buffer, start: number): void {
    this.#json.goOn(bytes, start);
  }

  jsonWalked(bytes: Buffer, start: number, end: number): void {
    this.#json.inString(bytes, start, end);
  }

  /** The value at hand; -1 and -1 where it stands in no row. */
  at(row: number, column: number, origin: number): void {
    this.#place.row = row;
    this.#place.column = column;
    this.origin = origin;
  }

  /** Records the original; before it is changed. */
  tell(rule: number, bytes: Buffer, start: number, end: number, offset = start - this.origin): void {
    this.#place.offset = offset;
    this.#place.length = end - start;
    this.#gate.redacted(this.command, rule, this.#place, bytes, start, end);
  }

  /** Records the originals of all that was found in `values`, the first of which is in row `firstRow`. */
  tellRows(
    bytes: Buffer,
    findings: Findings,
    { starts, columns, rows }: FoundValues,
    firstRow: number,
  ): void {
    const { masking: rules } = this;
    if (findings.length > 0)
      this.#gate.redactedRows(this.command, { bytes, findings, starts, columns, rows, firstRow, rules });
  }

  /**
   * A finding `[start, end)` in a value that begins at `valueStart`; ascending for one value. `fixed`: the length must be kept.
   */
  finding(form: Form, bytes: Buffer, valueStart: number, range: ValueRange, fixed: boolean): Replacement {
    this.tell(range.rule, bytes, range.start, range.end);
    return this.hide(form, bytes, valueStart, range, fixed);
  }

  /** As `finding`, of one that has been told. */
  hide(form: Form, bytes: Buffer, valueStart: number, range: ValueRange, fixed: boolean): Replacement {
    const { start, end, rule } = range;
    if (form === Form.text) return this.replace(rule, bytes, start, end, 'text', fixed); // what most values are
    switch (form) {
      case Form.json:
        return this.#inJson(bytes, valueStart, range, fixed);
      case Form.structured:
        return this.#between(structuralMarks, bytes, range, fixed);
      case Form.xml:
        return this.#between(xmlMarks, bytes, range, fixed);
      case Form.digits:
      case Form.number:
        return this.replace(rule, bytes, start, end, 'digits', fixed);
      case Form.network:
        return this.#address(bytes, range, fixed);
      case Form.hex:
        return this.replace(rule, bytes, start, end, 'hex', fixed);
      case Form.clock:
      case Form.bits:
      case Form.boolean:
        fillOwn(form, bytes, start, end);
        return null;
      default:
        return this.replace(rule, bytes, start, end, 'text', fixed);
    }
  }

  /** All of the value `[start, end)`, by a rule of its column. */
  whole(form: Form, bytes: Buffer, range: ValueRange, fixed: boolean): Replacement {
    const { start, end, rule } = range;
    if (start === end) return this.#emptyValue(form, rule, fixed);
    this.tell(rule, bytes, start, end);
    switch (form) {
      case Form.digits:
      case Form.number:
        return this.replace(rule, bytes, start, end, 'digits', fixed);
      case Form.network:
        return this.#address(bytes, range, fixed);
      case Form.hex:
        return this.replace(rule, bytes, start, end, 'hex', fixed);
      case Form.json:
        return this.#wholeJson(bytes, start, end, rule, fixed);
      case Form.bytea:
        return this.#wholeBytea(bytes, start, end, rule, fixed);
      case Form.structured:
        if (!isStructured(bytes, start, end)) return this.replace(rule, bytes, start, end, 'text', fixed);
        break;
      case Form.clock:
      case Form.bits:
      case Form.boolean:
        break;
      case Form.xml: {
        const instead = this.replace(rule, bytes, start, end, 'text', fixed);
        return instead instanceof Buffer ? xmlEscaped(instead) : instead;
      }
      default:
        return this.replace(rule, bytes, start, end, 'text', fixed);
    }
    if (!fixed && this.nullifies(rule)) return 'null';
    fillOwn(form, bytes, start, end);
    return null;
  }

  /** True when `rule` makes values NULL. */
  nullifies(rule: number): boolean {
    if (this.masking.keepsLength(rule)) return false;
    return this.masking.mask(rule, Buffer.from('*'), 0, 1, 'text') === 'null';
  }

  /** The rule's own replacement, or, where the length must be kept and the rule does not, asterisks or zeros. */
  replace(
    rule: number,
    bytes: Buffer,
    start: number,
    end: number,
    kind: ValueKind,
    fixed: boolean,
  ): Replacement {
    if (fixed && !this.masking.keepsLength(rule)) {
      this.masking.redact(bytes, start, end, kind);
      return null;
    }
    return this.masking.mask(rule, bytes, start, end, kind);
  }

  /** There is nothing to hide in an empty value but that it is empty. */
  #emptyValue(form: Form, rule: number, fixed: boolean): Replacement {
    if (fixed || (form !== Form.text && form !== Form.structured)) return null;
    const instead = this.masking.keepsLength(rule)
      ? null
      : this.masking.mask(rule, Buffer.alloc(0), 0, 0, 'text');
    return instead;
  }

  #inJson(bytes: Buffer, valueStart: number, { start, end, rule }: ValueRange, fixed: boolean): Replacement {
    if (allDigits(bytes, start, end) && !this.#json.inString(bytes, valueStart, start)) {
      const instead = this.replace(rule, bytes, start, end, 'digits', fixed);
      return instead === 'null' ? Buffer.from('null') : instead;
    }
    if (bytes.subarray(start, end).includes(quote)) {
      for (let i = start; i < end; i++) if (bytes[i] !== quote) bytes[i] = asterisk;
      return null;
    }
    const instead = this.replace(rule, bytes, start, end, 'text', fixed);
    if (instead === 'null') return Buffer.alloc(0);
    return instead === null ? null : jsonEscaped(instead);
  }

  /** A document becomes one string of the same length, or a number: nothing of its shape is told. */
  #wholeJson(bytes: Buffer, start: number, end: number, rule: number, fixed: boolean): Replacement {
    if (!fixed && !this.masking.keepsLength(rule)) {
      const copy = Buffer.from(bytes.subarray(start, end));
      const instead = this.masking.mask(rule, copy, 0, copy.length, 'text');
      if (instead === 'null') return instead;
      if (instead !== null) return Buffer.from(`"${jsonEscaped(instead).toString('latin1')}"`, 'latin1');
    }
    if (end - start < 2) bytes[start] = zero;
    else {
      bytes.fill(asterisk, start, end);
      bytes[start] = quote;
      bytes[end - 1] = quote;
    }
    return null;
  }

  #wholeBytea(bytes: Buffer, start: number, end: number, rule: number, fixed: boolean): Replacement {
    const hexadecimal = bytes[start] === backslash && bytes[start + 1] === 0x78;
    if (hexadecimal && end - start === 2) return null;
    if (!hexadecimal) {
      if (!fixed && this.nullifies(rule)) return 'null';
      bytes.fill(asterisk, start, end);
      return null;
    }
    return this.replace(rule, bytes, start + 2, end, 'hex', fixed);
  }

  #address(bytes: Buffer, { start, end, rule }: ValueRange, fixed: boolean): Replacement {
    const instead = this.replace(rule, bytes, start, end, 'hex', fixed);
    if (instead === null) decimalParts(bytes, start, end);
    return instead;
  }

  /** What stands between `marks` is hidden: all but the last piece whole, the last by its rule. */
  #between(marks: Uint8Array, bytes: Buffer, { start, end, rule }: ValueRange, fixed: boolean): Replacement {
    let last = end;
    while (last > start && marks[bytes[last - 1]!] === 0) last--;
    if (last === start) {
      const kind = allDigits(bytes, start, end) ? 'digits' : 'text';
      const instead = this.replace(rule, bytes, start, end, kind, fixed || !this.masking.keepsLength(rule));
      return instead === 'null' ? null : instead;
    }
    for (let i = start; i < last; i++) if (marks[bytes[i]!] === 0) bytes[i] = asterisk;
    if (last < end) this.masking.redact(bytes, last, end, 'text');
    return null;
  }
}

interface ValueRange {
  readonly start: number;
  readonly end: number;
  readonly rule: number;
}

/** A replacement of this relay's own, for forms in which a rule's would not be valid. The length is kept. */
export function fillOwn(form: Form, bytes: Buffer, start: number, end: number): void {
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    const digit = byte >= zero && byte <= 0x39;
    if (form === Form.boolean) bytes[i] = 0x66;
    // 11 is an hour, a minute, a day and a month; 1111 is a year.
    else if (form === Form.clock) bytes[i] = digit ? one : byte;
    else if (form === Form.bits || digit) bytes[i] = zero;
    else if (structuralMarks[byte] === 0 && byte !== 0x20) bytes[i] = asterisk;
  }
}

/** Makes hexadecimal digits of an address decimal where they must be: in IPv4 (up to 199 in a part) and behind a slash. */
function decimalParts(bytes: Buffer, start: number, end: number): void {
  const slash = bytes.subarray(start, end).indexOf('/');
  const prefix = slash === -1 ? end : start + slash;
  const from = bytes.subarray(start, prefix).includes(':') ? prefix : start;
  let first = true;
  for (let i = from; i < end; i++) {
    if (isSeparator(bytes[i])) {
      first = true;
      continue;
    }
    const byte = bytes[i]!;
    const value = i > prefix ? 0 : (byte <= 0x39 ? byte - zero : (byte | 0x20) - 0x57) % 10;
    const leads = first && i + 1 < end && !isSeparator(bytes[i + 1]);
    bytes[i] = leads ? one : zero + value;
    first = false;
  }
}

const isSeparator = (byte: number | undefined): boolean => byte === 0x2e || byte === 0x2f;

/** By its first and last bytes, for types of which nothing is known. */
function isStructured(bytes: Buffer, start: number, end: number): boolean {
  const [first, last] = [bytes[start]!, bytes[end - 1]!];
  return (
    (first === 0x7b && last === 0x7d) || // { }
    ((first === 0x28 || first === 0x5b) && (last === 0x29 || last === 0x5d)) || // ( ) [ ]
    (first === 0x5b && last === 0x7d) || // [0:1]={ }
    bytes.subarray(start, end).includes('"=>')
  );
}

function marks(text: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of Buffer.from(text)) table[byte] = 1;
  return table;
}

export function allDigits(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! < zero || bytes[i]! > 0x39) return false;
  return end > start;
}

const xmlEscaped = (bytes: Buffer): Buffer =>
  Buffer.from(
    bytes.toString('latin1').replace(/[<>&]/g, (mark) => `&#${mark.charCodeAt(0)};`),
    'latin1',
  );
