/**
 * A run of whole DataRow messages: walked once, scanned once for all values of all its rows, and changed in place; a
 * message is copied only where a replacement has another length.
 */
import { PostgresError } from '../error.ts';
import { headerBytes } from '../messages/frame.ts';
import { Backslashes } from './backslashes.ts';
import { BinaryValues } from './binary-values.ts';
import { Way } from './columns.ts';
import type { ColumnPlan, ResultShape } from './columns.ts';
import { Edits } from './edits.ts';
import { FoundValues } from './found-values.ts';
import type { HiddenText } from './hidden-text.ts';
import { Form } from './types.ts';
import type { Replacement, ValueMasker } from './values.ts';

export class RowMasker {
  readonly #values: ValueMasker;
  readonly #binary: BinaryValues;
  readonly #hidden: HiddenText;
  readonly #found = new FoundValues();
  readonly #edits = new Edits();
  /** Position of each message of the run. */
  #messages = new Int32Array(1024);
  /** The finding at hand. */
  readonly #range = { start: 0, end: 0, rule: 0 };
  readonly #backslashes = new Backslashes();

  constructor(values: ValueMasker, hidden: HiddenText) {
    this.#values = values;
    this.#binary = new BinaryValues(values);
    this.#hidden = hidden;
  }

  /**
   * Masks `bytes[start, end)`, DataRow messages and nothing else, which are rows of `shape` from number `row` on.
   * Returns what stands instead, or null when the bytes were changed in place, if at all.
   * @throws PostgresError when they are not such rows
   */
  mask(bytes: Buffer, start: number, end: number, shape: ResultShape, row: number): Buffer | null {
    if (shape.idle) return null;
    this.#values.begin();
    this.#found.clear();
    this.#backslashes.forget(start);
    let message = 0;
    for (let at = start; at < end; message++) {
      if (message === this.#messages.length) this.#growMessages();
      this.#messages[message] = at;
      const next = at + 1 + bytes.readInt32BE(at + 1);
      this.#walk(bytes, at, next, shape, message, row + message);
      at = next;
    }
    this.#scan(bytes, shape, row);
    return this.#edits.empty ? null : this.#edits.apply(bytes, start, end);
  }

  #growMessages(): void {
    const larger = new Int32Array(2 * this.#messages.length);
    larger.set(this.#messages);
    this.#messages = larger;
  }

  /** One message. What is scanned is noted here and not by a call: this runs for every value of every row. */
  #walk(bytes: Buffer, start: number, end: number, shape: ResultShape, message: number, row: number): void {
    const { ways } = shape;
    const columns = ways.length;
    const body = start + headerBytes;
    if (end - body < 2 || ((bytes[body]! << 8) | bytes[body + 1]!) !== columns) throw malformed();
    const found = this.#found;
    const backslashes = this.#backslashes;
    found.reserve(columns);
    const { starts, ends, columns: places, rows } = found;
    let { count } = found;
    let at = body + 2;
    for (let column = 0; column < columns; column++) {
      if (end - at < 4) throw malformed();
      const length = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
      at += 4;
      const valueEnd = length > 0 ? at + length : at;
      if (length < -1 || valueEnd > end) throw malformed();
      const way = ways[column]!;
      if (
        length > 0 &&
        (way === Way.scan ||
          (way === Way.unescape &&
            (backslashes.next >= valueEnd ||
              this.#plain(bytes, at, valueEnd, shape.columns[column]!, start, column, row))))
      ) {
        starts[count] = at;
        ends[count] = valueEnd;
        places[count] = column;
        rows[count++] = message;
      } else if (way === Way.look && length >= 0) {
        this.#look(bytes, at, valueEnd, shape.columns[column]!, start, column, row);
      }
      at = valueEnd;
    }
    if (at !== end) throw malformed();
    found.count = count;
  }

  /** False: there are backslashes in the value, and it was masked without them. True: it can be scanned as it is. */
  #plain(
    bytes: Buffer,
    start: number,
    end: number,
    plan: ColumnPlan,
    message: number,
    column: number,
    row: number,
  ): boolean {
    if (!this.#backslashes.within(bytes, start, end)) return true;
    this.#values.at(row, column, start);
    this.#edits.messageAt = message;
    this.#edits.lengthAt = start - 4;
    this.#hidden.hexadecimal(bytes, start, end);
    if (plan.type.form !== Form.json) return true;
    this.#hidden.escaped(Form.json, bytes, start, end, 'json');
    return false;
  }

  #look(
    bytes: Buffer,
    start: number,
    end: number,
    plan: ColumnPlan,
    message: number,
    column: number,
    row: number,
  ): void {
    const { type, typeOid, rule, binary } = plan;
    this.#values.at(row, column, start);
    this.#edits.messageAt = message;
    this.#edits.lengthAt = start - 4;
    let instead: Replacement;
    if (rule !== -1 && binary)
      instead = start === end ? null : this.#binary.whole(typeOid, bytes, start, end, rule, false);
    else if (rule !== -1) instead = this.#values.whole(type.form, bytes, { start, end, rule }, false);
    else if (binary) instead = this.#binary.look(typeOid, bytes, start, end);
    else if (type.form === Form.bytea) instead = this.#hidden.bytea(bytes, start, end);
    else instead = this.#hidden.number(bytes, start, end);
    this.#replace(start, end, start, end, instead);
  }

  #scan(bytes: Buffer, shape: ResultShape, row: number): void {
    const values = this.#found;
    if (values.count === 0) return;
    const found = this.#values.masking.scanValues(bytes, values.starts, values.ends, values.count);
    this.#values.tellRows(bytes, found, values, row);
    const { length, starts, ends, rules } = found;
    const range = this.#range;
    for (let i = 0; i < length; i++) {
      const value = found.values[i]!;
      const valueStart = values.starts[value]!;
      const { type, binary } = shape.columns[values.columns[value]!]!;
      range.start = starts[i]!;
      range.end = ends[i]!;
      range.rule = rules[i]!;
      const form = binary && type.form !== Form.json ? Form.text : type.form;
      const instead = this.#values.hide(form, bytes, valueStart, range, false);
      if (instead === null) continue;
      this.#edits.messageAt = this.#messages[values.rows[value]!]!;
      this.#edits.lengthAt = valueStart - 4;
      this.#replace(valueStart, values.ends[value]!, range.start, range.end, instead);
    }
  }

  #replace(valueStart: number, valueEnd: number, start: number, end: number, instead: Replacement): void {
    if (instead === null) return;
    if (instead === 'null') this.#edits.nullify(valueStart, valueEnd);
    else this.#edits.replace(start, end, instead);
  }
}

const malformed = (): PostgresError =>
  new PostgresError('postgres-malformed-message', 'the target sent a row that is not as it described it');
