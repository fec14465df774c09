/**
 * A message too long to be held, in pieces and in bounded memory: DataRow, CopyData, FunctionCallResponse. Its length was
 * told with its first bytes, so that every replacement keeps the length: rules of any mode redact here. What is not
 * decided yet (the beginning of something, at the end of a piece) is held back until more comes.
 */
import type { ValueStream } from '../../../gate/masking.ts';
import { PostgresError } from '../error.ts';
import { headerBytes } from '../messages/frame.ts';
import { BinaryValues } from './binary-values.ts';
import { Way } from './columns.ts';
import type { ColumnPlan } from './columns.ts';
import type { HiddenText } from './hidden-text.ts';
import { Unescaped } from './json-text.ts';
import { Form, Layout } from './types.ts';
import { fillOwn } from './values.ts';
import type { ValueMasker } from './values.ts';

/** A value that cannot be looked at in pieces (a container in binary format) may be so long. */
const wholeBytes = 16 * 1024 * 1024;
const asterisk = 0x2a, quote = 0x22, zero = 0x30; // prettier-ignore

/** How the message is made. */
export type LargeShape =
  | { readonly kind: 'row'; readonly columns: readonly ColumnPlan[]; readonly row: number }
  /** `headed`: the header of binary COPY data comes first. */
  | {
      readonly kind: 'tuple';
      readonly columns: readonly ColumnPlan[];
      readonly row: number;
      readonly headed: boolean;
    }
  /** A row of COPY as text or CSV, without columns of its own. */
  | { readonly kind: 'line'; readonly csv: boolean; readonly row: number }
  /** The result of a function call. */
  | { readonly kind: 'value' };

/** How a value is treated piece by piece. */
type Treatment = 'pass' | 'fill' | 'raw' | 'json' | 'copy' | 'hex' | 'whole';

export class LargeMessage {
  readonly #values: ValueMasker;
  readonly #binary: BinaryValues;
  readonly #hidden: HiddenText;
  readonly #shape: LargeShape;
  readonly #text = new Unescaped();
  /** Bytes of the message still to come. */
  #missing: number;
  /** What came and was not delivered. */
  #held: Buffer = Buffer.alloc(0);
  #column = -1;
  /** Of the value at hand: still to be decided, decided so far, how. */
  #left = 0;
  #done = 0;
  #treatment: Treatment = 'pass';
  #form: Form = Form.text;
  /** A bytea is written as text (bytea_output = escape). */
  #escapes = false;
  #plan: ColumnPlan | null = null;
  #stream: ValueStream | null = null;
  #decoded: Buffer = Buffer.alloc(0);

  /** `bytes`: length of the message with its header. */
  constructor(values: ValueMasker, hidden: HiddenText, shape: LargeShape, bytes: number) {
    this.#values = values;
    this.#hidden = hidden;
    this.#binary = new BinaryValues(values);
    this.#shape = shape;
    this.#missing = bytes;
  }

  get missing(): number {
    return this.#missing;
  }

  /** Takes the next bytes, which may be changed in place; returns what may be delivered, valid until the next call. */
  push(piece: Buffer): Buffer {
    this.#missing -= piece.length;
    const bytes = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    const at = this.#walk(bytes);
    this.#held = Buffer.from(bytes.subarray(at));
    if (this.#missing === 0 && (at < bytes.length || !this.#complete)) throw malformed();
    return bytes.subarray(0, at);
  }

  get #complete(): boolean {
    const count = 'columns' in this.#shape ? this.#shape.columns.length : 1;
    return this.#left === 0 && this.#column >= count;
  }

  #walk(bytes: Buffer): number {
    let at = 0;
    if (this.#column === -1) {
      at = this.#head(bytes);
      if (at === 0) return 0;
      this.#column = 0;
      if (this.#shape.kind === 'line') this.#begin(null, this.#missing + bytes.length - at);
    }
    while (!this.#complete) {
      if (this.#left === 0) {
        if (bytes.length - at < 4) return at;
        const length = bytes.readInt32BE(at);
        at += 4;
        if (length < -1 || length > this.#missing + bytes.length - at) throw malformed();
        const plan = 'columns' in this.#shape ? this.#shape.columns[this.#column]! : null;
        if (length <= 0) this.#column++;
        else this.#begin(plan, length);
        continue;
      }
      const available = Math.min(bytes.length - at, this.#left);
      const last = available === this.#left;
      if (this.#treatment === 'whole' && !last) return at;
      const decided = this.#piece(bytes, at, at + available, last);
      this.#left -= decided - at;
      this.#done += decided - at;
      at = decided;
      if (this.#left > 0) return at;
      this.#column++;
    }
    return at;
  }

  /** Header of the message, and what stands before its first value; returns where that begins, 0 when it is not here. */
  #head(bytes: Buffer): number {
    const shape = this.#shape;
    if (bytes.length < headerBytes) return 0;
    if (shape.kind === 'line' || shape.kind === 'value') return headerBytes;
    let at = headerBytes;
    if (shape.kind === 'tuple' && shape.headed) {
      if (bytes.length < at + 19) return 0;
      const extension = bytes.readUInt32BE(at + 15);
      if (extension > 65_536) throw malformed();
      at += 19 + extension;
    }
    if (bytes.length < at + 2) return 0;
    if (bytes.readInt16BE(at) !== shape.columns.length) throw malformed();
    return at + 2;
  }

  #begin(plan: ColumnPlan | null, length: number): void {
    this.#left = length;
    this.#done = 0;
    this.#plan = plan;
    this.#treatment = this.#treatmentOf(plan);
    this.#form = plan === null ? Form.structured : plan.binary ? binaryForm(plan) : plan.type.form;
    if (this.#shape.kind === 'value') this.#form = Form.text;
    this.#stream = this.#values.masking.stream();
    this.#values.begin();
    if (this.#treatment === 'whole' && length > wholeBytes) throw tooLong();
  }

  #treatmentOf(plan: ColumnPlan | null): Treatment {
    if (plan === null) {
      if (!this.#values.masking.detects) return 'pass';
      return this.#shape.kind === 'line' && !this.#shape.csv ? 'copy' : 'raw';
    }
    if (plan.way === Way.pass) return 'pass';
    if (plan.rule !== -1) return plan.binary && !isText(plan.type.layout) ? 'whole' : 'fill';
    if (plan.binary) {
      if (plan.type.layout === Layout.json) return 'json';
      return isText(plan.type.layout) || plan.type.layout === Layout.unknown ? 'raw' : 'whole';
    }
    if (plan.type.form === Form.json) return 'json';
    if (plan.type.form === Form.bytea) return 'hex';
    return plan.type.form === Form.number ? 'whole' : 'raw';
  }

  /** Masks `bytes[start, end)` of the value at hand; returns up to where that is decided. */
  #piece(bytes: Buffer, start: number, end: number, last: boolean): number {
    const row = 'row' in this.#shape ? this.#shape.row : -1;
    this.#values.at(row, this.#plan === null ? -1 : this.#column, start - this.#done);
    switch (this.#treatment) {
      case 'pass':
        return end;
      case 'fill':
        if (end - start < 2 && !last && this.#done === 0) return start; // what a bytea is its first two bytes tell
        this.#fill(bytes, start, end, last);
        return end;
      case 'whole':
        this.#whole(bytes, start, end);
        return end;
      case 'raw': {
        const found = this.#stream!.push(bytes, start, end, last);
        for (let i = 0; i < found.length; i++)
          this.#finding(bytes, found.starts[i]!, found.ends[i]!, found.rules[i]!);
        return last ? end : this.#stream!.decided;
      }
      case 'hex':
        return this.#hexadecimal(bytes, start, end, last);
      default:
        return this.#escaped(this.#treatment, bytes, start, end, last);
    }
  }

  #finding(bytes: Buffer, start: number, end: number, rule: number): void {
    this.#values.finding(this.#form, bytes, start, { start, end, rule }, true);
  }

  #escaped(style: 'json' | 'copy', bytes: Buffer, start: number, end: number, last: boolean): number {
    const text = this.#text;
    text.read(bytes, start, end, style, last);
    const found = this.#stream!.push(text.bytes, 0, text.length, last);
    if (style === 'json') this.#values.jsonGoesOn(bytes, start);
    for (let i = 0; i < found.length; i++) {
      const range = {
        start: text.positions[found.starts[i]!]!,
        end: text.positions[found.ends[i]!]!,
        rule: found.rules[i]!,
      };
      if (!bytes.subarray(range.start, range.end).includes(backslash))
        this.#values.finding(this.#form, bytes, start, range, true);
      else {
        this.#values.tell(range.rule, bytes, range.start, range.end);
        bytes.fill(asterisk, range.start, range.end);
      }
    }
    const decided = last ? end : text.positions[this.#stream!.decided]!;
    if (style === 'json') this.#values.jsonWalked(bytes, start, decided);
    return decided;
  }

  /** Bytes in hexadecimal behind `\x`, two digits each. */
  #hexadecimal(bytes: Buffer, start: number, end: number, last: boolean): number {
    let from = start;
    if (this.#done === 0) {
      if (end - start < 2) return last ? end : start;
      if (bytes[start] !== backslash || bytes[start + 1] !== 0x78) {
        this.#treatment = 'copy'; // bytea_output = escape
        return this.#escaped('copy', bytes, start, end, last);
      }
      from += 2;
    }
    const count = (end - from) >> 1;
    if (this.#decoded.length < count) this.#decoded = Buffer.allocUnsafeSlow(2 * count);
    this.#decoded.write(bytes.toString('latin1', from, from + 2 * count), 0, 'hex');
    const found = this.#stream!.push(this.#decoded, 0, count, last);
    for (let i = 0; i < found.length; i++) {
      const [at, to, rule] = [from + 2 * found.starts[i]!, from + 2 * found.ends[i]!, found.rules[i]!];
      this.#values.tell(rule, bytes, at, to);
      this.#values.masking.redact(bytes, at, to, 'hex');
    }
    return last ? end : from + 2 * this.#stream!.decided;
  }

  /** All of the value is hidden, by a rule of its column. */
  #fill(bytes: Buffer, start: number, end: number, last: boolean): void {
    const { masking } = this.#values;
    this.#values.tell(this.#plan!.rule, bytes, start, end);
    switch (this.#form) {
      case Form.json:
        bytes.fill(asterisk, start, end);
        if (this.#done === 0) bytes[start] = quote;
        if (last) bytes[end - 1] = this.#done + end - start === 1 ? zero : quote;
        return;
      case Form.structured:
      case Form.clock:
      case Form.bits:
      case Form.boolean:
        fillOwn(this.#form, bytes, start, end);
        return;
      case Form.bytea:
        if (this.#done === 0) this.#escapes = bytes[start] !== backslash || bytes[start + 1] !== 0x78;
        if (this.#escapes) bytes.fill(asterisk, start, end);
        else masking.redact(bytes, this.#done === 0 ? start + 2 : start, end, 'hex');
        return;
      case Form.digits:
      case Form.number:
        masking.redact(bytes, start, end, 'digits');
        return;
      case Form.hex:
      case Form.network:
        masking.redact(bytes, start, end, 'hex');
        return;
      default:
        masking.redact(bytes, start, end, this.#plan!.type.layout === Layout.bytea ? 'opaque' : 'text');
    }
  }

  #whole(bytes: Buffer, start: number, end: number): void {
    const { rule, typeOid, binary } = this.#plan!;
    const instead = !binary
      ? this.#hidden.number(bytes, start, end)
      : rule === -1
        ? this.#binary.look(typeOid, bytes, start, end, true)
        : this.#binary.whole(typeOid, bytes, start, end, rule, true);
    if (instead !== null) this.#values.masking.redact(bytes, start, end, binary ? 'opaque' : 'digits');
  }
}

const backslash = 0x5c;

const isText = (layout: Layout): boolean =>
  layout === Layout.text || layout === Layout.json || layout === Layout.bytea;

const binaryForm = ({ type }: ColumnPlan): Form => (type.layout === Layout.json ? Form.json : Form.text);

const malformed = (): PostgresError =>
  new PostgresError(
    'postgres-malformed-message',
    'the target sent a long message that is not as it described it',
  );

const tooLong = (): PostgresError =>
  new PostgresError('postgres-message-too-large', 'a value is too long to be masked in its binary format', {
    hint: 'Ask for it in text format.',
  });
