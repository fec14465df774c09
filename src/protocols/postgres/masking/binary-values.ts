/**
 * One value in binary format, by its layout; containers are walked to the values in them. The length is always kept,
 * but for text that stands alone. A layout that does not hold what it announces is treated as text of unknown kind: the
 * target may define types as it likes.
 */
import { formatValue } from '../messages/values.ts';
import { Form, Layout, typeFacts } from './types.ts';
import type { TypeFacts } from './types.ts';
import type { Replacement, ValueMasker } from './values.ts';

const numeric = 1700, float4 = 700; // prettier-ignore
/** Containers in containers. */
const deepest = 16;
const none = -1;

export class BinaryValues {
  readonly #values: ValueMasker;
  readonly #digits = Buffer.alloc(512);
  /** All values below are masked by this rule; `none`: detectors look. */
  #rule = none;

  constructor(values: ValueMasker) {
    this.#values = values;
  }

  /** By detectors. */
  look(typeOid: number, bytes: Buffer, start: number, end: number, fixed = false): Replacement {
    this.#rule = none;
    const type = typeFacts(typeOid);
    if (type.layout === Layout.bytea || type.layout === Layout.text)
      return this.#scanned(Form.text, bytes, start, end, fixed);
    return this.#value(type, typeOid, bytes, start, end, 0);
  }

  /** All of the value, by a rule of its column. */
  whole(
    typeOid: number,
    bytes: Buffer,
    start: number,
    end: number,
    rule: number,
    fixed: boolean,
  ): Replacement {
    const type = typeFacts(typeOid);
    const values = this.#values;
    if (type.layout === Layout.text) return values.whole(type.form, bytes, { start, end, rule }, fixed);
    if (type.layout === Layout.json) return values.whole(Form.json, bytes, { start, end, rule }, fixed);
    values.tell(rule, bytes, start, end);
    if (!fixed && values.nullifies(rule)) return 'null';
    if (type.layout === Layout.bytea) return values.replace(rule, bytes, start, end, 'opaque', fixed);
    if (type.layout === Layout.unknown && !this.#hasControls(bytes, start, end))
      return values.replace(rule, bytes, start, end, 'text', fixed);
    this.#rule = rule;
    const instead = this.#value(type, typeOid, bytes, start, end, 0);
    this.#rule = none;
    return instead;
  }

  #value(
    type: TypeFacts,
    typeOid: number,
    bytes: Buffer,
    start: number,
    end: number,
    depth: number,
  ): Replacement {
    if (start === end) return null;
    switch (type.layout) {
      case Layout.text:
      case Layout.json:
      case Layout.bytea:
        return this.#scanned(type.form, bytes, start, end, true);
      case Layout.jsonb:
        return this.#scanned(type.form, bytes, start + 1, end, true);
      case Layout.integer:
      case Layout.float:
      case Layout.numeric:
        return this.#number(type, typeOid, bytes, start, end);
      case Layout.network:
        return this.#network(bytes, start, end);
      case Layout.fixed:
        if (this.#rule !== none) bytes.fill(0, start, end);
        return null;
      case Layout.bits:
        if (this.#rule !== none && end - start > 4) bytes.fill(0, start + 4, end);
        return null;
      case Layout.array:
      case Layout.record:
      case Layout.range:
      case Layout.multirange:
      case Layout.unknown:
        if (depth < deepest && this.#container(type, bytes, start, end, depth)) return null;
        if (this.#rule === none) this.#perhapsNumber(bytes, start, end);
        return this.#scanned(Form.text, bytes, start, end, true);
      default:
        return type.layout satisfies never;
    }
  }

  /** A value whose bytes are its text. */
  #scanned(form: Form, bytes: Buffer, start: number, end: number, fixed: boolean): Replacement {
    const values = this.#values;
    if (this.#rule !== none) {
      if (form === Form.json) {
        bytes.fill(0x2a, start, end);
        if (end - start < 2) bytes[start] = 0x30;
        else bytes[start] = bytes[end - 1] = 0x22;
      } else
        values.masking.redact(bytes, start, end, this.#hasControls(bytes, start, end) ? 'opaque' : 'text');
      return null;
    }
    const found = values.masking.scan(bytes, start, end);
    let instead: Replacement = null;
    // Of several none changes its length, so that each stays where it was found.
    const inPlace = fixed || found.length > 1;
    for (let i = 0; i < found.length; i++) {
      const range = { start: found.starts[i]!, end: found.ends[i]!, rule: found.rules[i]! };
      const one = values.finding(form, bytes, start, range, inPlace);
      if (one === 'null') instead = one;
      else if (one !== null)
        instead = Buffer.concat([bytes.subarray(start, range.start), one, bytes.subarray(range.end, end)]);
    }
    return instead;
  }

  #number(type: TypeFacts, typeOid: number, bytes: Buffer, start: number, end: number): Replacement {
    if (this.#rule !== none) {
      zeroNumber(type.layout, bytes, start, end);
      return null;
    }
    const text = decimalOf(type.layout, typeOid, bytes, start, end);
    if (text === null) return null;
    const { masking } = this.#values;
    const digits = this.#digits;
    if (text.length > digits.length) return null;
    const length = digits.write(text, 0, 'latin1');
    const found = masking.scan(digits, 0, length);
    if (found.length === 0) return null;
    const rule = found.rules[0]!;
    this.#values.tell(rule, bytes, start, end);
    if (type.layout !== Layout.integer || end - start !== 8) {
      zeroNumber(type.layout, bytes, start, end);
      return null;
    }
    const from = digits[0] === 0x2d ? 1 : 0;
    const instead = masking.mask(rule, digits, from, length, 'digits');
    if (instead === 'null') return instead;
    const masked = BigInt(digits.toString('latin1', from, length));
    bytes.writeBigInt64BE(typeOid === money ? masked * 100n : masked, start);
    return null;
  }

  /** What a domain's value in a container is made of is not told: it is looked at as what it could be, too. */
  #perhapsNumber(bytes: Buffer, start: number, end: number): void {
    const [layout, typeOid] = end - start === 8 ? [Layout.integer, 20] : [Layout.numeric, numeric];
    if (layout === Layout.numeric && !isNumeric(bytes, start, end)) return;
    const instead = this.#number(typeFacts(typeOid), typeOid, bytes, start, end);
    if (instead !== null) zeroNumber(layout, bytes, start, end);
  }

  #network(bytes: Buffer, start: number, end: number): Replacement {
    const length = bytes[start + 3] ?? 0;
    if (end - start !== 4 + length || (length !== 4 && length !== 16))
      return this.#scanned(Form.text, bytes, start, end, true);
    if (this.#rule === none) {
      const text =
        length === 4
          ? [...bytes.subarray(start + 4, end)].join('.')
          : bytes.toString('hex', start + 4, end).replace(/(....)(?=.)/g, '$1:');
      const found = this.#values.masking.scan(this.#digits, 0, this.#digits.write(text, 0, 'latin1'));
      if (found.length === 0) return null;
      this.#values.tell(found.rules[0]!, bytes, start, end);
    }
    bytes.fill(0, start + 4, end);
    return null;
  }

  /** False when the bytes are no such container. */
  #container(type: TypeFacts, bytes: Buffer, start: number, end: number, depth: number): boolean {
    switch (type.layout) {
      case Layout.array:
        return this.#array(bytes, start, end, depth);
      case Layout.record:
        return this.#record(bytes, start, end, depth);
      case Layout.range:
        return this.#range(type.element, bytes, start, end, depth);
      case Layout.multirange:
        return this.#ranges(type.element, bytes, start, end, depth);
      default:
        return (
          this.#array(bytes, start, end, depth) ||
          this.#record(bytes, start, end, depth) ||
          this.#hstore(bytes, start, end, depth)
        );
    }
  }

  /** Dimensions, flag for NULLs, element type; of each dimension size and lower bound; then the elements. */
  #array(bytes: Buffer, start: number, end: number, depth: number): boolean {
    if (end - start < 12) return false;
    const dimensions = bytes.readInt32BE(start);
    const flags = bytes.readInt32BE(start + 4);
    const element = bytes.readUInt32BE(start + 8);
    if (dimensions < 0 || dimensions > 6 || flags < 0 || flags > 1) return false;
    let at = start + 12;
    if (end - at < 8 * dimensions) return false;
    let count = dimensions === 0 ? 0 : 1;
    for (let i = 0; i < dimensions; i++, at += 8) count *= bytes.readInt32BE(at);
    if (count < 0 || count > end - at) return false;
    if (!this.#fits(bytes, at, end, count)) return false;
    for (; count > 0; count--) at = this.#element(element, bytes, at, depth);
    return true;
  }

  /** Count; of each field its type and value. */
  #record(bytes: Buffer, start: number, end: number, depth: number): boolean {
    if (end - start < 4) return false;
    const count = bytes.readInt32BE(start);
    if (count < 0 || count > 1664) return false;
    let at = start + 4;
    for (let i = 0; i < count; i++) {
      if (end - at < 8) return false;
      const length = bytes.readInt32BE(at + 4);
      if (length < -1 || length > end - at - 8) return false;
      at += 8 + Math.max(0, length);
    }
    if (at !== end) return false;
    at = start + 4;
    for (let i = 0; i < count; i++) at = this.#element(bytes.readUInt32BE(at), bytes, at + 4, depth);
    return true;
  }

  /** Flags; then the bounds that are there. */
  #range(element: number, bytes: Buffer, start: number, end: number, depth: number): boolean {
    const flags = bytes[start]!;
    const count = (flags & 1) !== 0 ? 0 : (flags & 8 ? 0 : 1) + (flags & 16 ? 0 : 1); // prettier-ignore
    if (!this.#fits(bytes, start + 1, end, count)) return false;
    let at = start + 1;
    for (let i = 0; i < count; i++) at = this.#element(element, bytes, at, depth);
    return true;
  }

  #ranges(element: number, bytes: Buffer, start: number, end: number, depth: number): boolean {
    if (end - start < 4) return false;
    const count = bytes.readInt32BE(start);
    if (count < 0 || count > end - start || !this.#fits(bytes, start + 4, end, count)) return false;
    let at = start + 4;
    for (let i = 0; i < count; i++) at = this.#element(element, bytes, at, depth);
    return true;
  }

  /** Count; keys and values in turn. */
  #hstore(bytes: Buffer, start: number, end: number, depth: number): boolean {
    if (end - start < 4) return false;
    const count = bytes.readInt32BE(start);
    if (count < 1 || count > end - start || !this.#fits(bytes, start + 4, end, 2 * count)) return false;
    let at = start + 4;
    for (let i = 0; i < 2 * count; i++) at = this.#element(text, bytes, at, depth);
    return true;
  }

  /** `count` values with their lengths fill `[at, end)` exactly. */
  #fits(bytes: Buffer, from: number, end: number, count: number): boolean {
    let at = from;
    for (let i = 0; i < count; i++) {
      if (end - at < 4) return false;
      const length = bytes.readInt32BE(at);
      if (length < -1 || length > end - at - 4) return false;
      at += 4 + Math.max(0, length);
    }
    return at === end;
  }

  /** A length and a value, which are there; returns the position behind. */
  #element(typeOid: number, bytes: Buffer, at: number, depth: number): number {
    const length = bytes.readInt32BE(at);
    if (length <= 0) return at + 4;
    const instead = this.#value(typeFacts(typeOid), typeOid, bytes, at + 4, at + 4 + length, depth + 1);
    // An element cannot become NULL or another length here.
    if (instead !== null) this.#values.masking.redact(bytes, at + 4, at + 4 + length, 'opaque');
    return at + 4 + length;
  }

  #hasControls(bytes: Buffer, start: number, end: number): boolean {
    for (let i = start; i < end; i++) if (bytes[i]! < 0x09) return true;
    return false;
  }
}

const text = 25;

/** In decimal; null where there are too few digits for anything to be found, or where it is no number. */
function decimalOf(
  layout: Layout,
  typeOid: number,
  bytes: Buffer,
  start: number,
  end: number,
): string | null {
  const length = end - start;
  if (layout === Layout.integer) {
    if (length === 4) return String(typeOid === 23 ? bytes.readInt32BE(start) : bytes.readUInt32BE(start));
    if (length !== 8) return null;
    const high = bytes.readInt32BE(start);
    if (high === 0 && bytes.readUInt32BE(start + 4) < fewDigits) return null;
    const value = bytes.readBigInt64BE(start);
    return String(typeOid === money ? value / 100n : value);
  }
  if (layout === Layout.float) {
    if (length !== (typeOid === float4 ? 4 : 8)) return null;
    const value = length === 4 ? bytes.readFloatBE(start) : bytes.readDoubleBE(start);
    return plainDecimal(value);
  }
  if (length <= 12) return null; // at most two groups of four digits
  return formatValue(numeric, 1, bytes.subarray(start, end));
}

/** Count of groups, weight, sign, scale; then so many groups of four digits. */
function isNumeric(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < 8 || bytes.readUInt16BE(start) * 2 + 8 !== end - start) return false;
  const sign = bytes.readUInt16BE(start + 4);
  if ((sign !== 0 && sign !== 0x4000) || bytes.readUInt16BE(start + 6) > 0x3fff) return false;
  for (let at = start + 8; at < end; at += 2) if (bytes.readUInt16BE(at) > 9999) return false;
  return true;
}

/** No detector looks for shorter numbers. */
const fewDigits = 1_000_000;
const money = 790;

/** Without an exponent where that is possible. */
export const plainDecimal = (value: number): string =>
  Number.isInteger(value) && Math.abs(value) < 1e21 ? value.toFixed(0) : String(value);

function zeroNumber(layout: Layout, bytes: Buffer, start: number, end: number): void {
  // A numeric keeps its head (count, weight, sign, scale): groups of zeros are a valid value.
  const from = layout === Layout.numeric ? start + 8 : start;
  if (from < end) bytes.fill(0, from, end);
}
