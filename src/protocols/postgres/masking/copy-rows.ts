/**
 * COPY … TO STDOUT (https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9): rows in text, CSV or binary
 * format. PostgreSQL sends a row as one CopyData message (the binary header together with the first row); a message that
 * ends within a row is not accepted, because its rest could not be attributed.
 */
import { BytePlaces } from '../../../bytes/byte-places.ts';
import { PostgresError } from '../error.ts';
import { headerBytes } from '../messages/frame.ts';
import { Backslashes } from './backslashes.ts';
import { BinaryValues } from './binary-values.ts';
import { Way } from './columns.ts';
import type { ColumnPlan } from './columns.ts';
import type { CopyStatement } from './copy-statement.ts';
import { Edits } from './edits.ts';
import { FoundValues } from './found-values.ts';
import type { HiddenText } from './hidden-text.ts';
import type { LargeShape } from './large-message.ts';
import { Form, typeFacts } from './types.ts';
import type { TypeFacts } from './types.ts';
import { allDigits } from './values.ts';
import type { Replacement, ValueMasker } from './values.ts';

const newline = 0x0a, backslash = 0x5c, asterisk = 0x2a, doubleQuote = 0x22; // prettier-ignore
const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');

/** A column of a COPY; less is known of it than of a result's. */
export interface CopyColumn {
  readonly rule: number;
  readonly exempt: boolean;
  /** Null: not known. */
  readonly typeOid: number | null;
  readonly type: TypeFacts | null;
}

/** What is known of a COPY when its data begins. */
export interface CopyPlan {
  readonly binary: boolean;
  /** How it is written; null: not known. */
  readonly statement: CopyStatement | null;
  /** Null: not known; then no rule names a column of it. */
  readonly columns: readonly CopyColumn[] | null;
}

export class CopyMasker {
  readonly #values: ValueMasker;
  readonly #binary: BinaryValues;
  readonly #hidden: HiddenText;
  readonly #found = new FoundValues();
  readonly #edits = new Edits();
  /** Position of each message of the run. */
  #messages: number[] = [];
  #plan: CopyPlan = { binary: false, statement: null, columns: null };
  /** What becomes of the fields of a column that hold no mark. */
  #ways: Uint8Array = new Uint8Array(0);
  readonly #backslashes = new Backslashes();
  /** Of the run, where values are separated by nothing else. */
  readonly #delimiters = new BytePlaces();
  #nextDelimiter = 0;
  /** The finding at hand. */
  readonly #range = { start: 0, end: 0, rule: 0 };
  /** Number of the first row of the run. */
  #firstRow = 0;
  #csv = false;
  #delimiter = 0x09;
  #quote = doubleQuote;
  #escape = doubleQuote;
  /** Marks other than a double quote may stand between the characters of a value: `123--45--6789`. */
  #doubles = false;

  constructor(values: ValueMasker, hidden: HiddenText) {
    this.#values = values;
    this.#binary = new BinaryValues(values);
    this.#hidden = hidden;
  }

  /** A COPY begins. @throws PostgresError when its marks are what values are masked with */
  begin(plan: CopyPlan): void {
    const { statement } = plan;
    this.#plan = plan;
    this.#firstRow = 0;
    this.#csv = statement?.format === 'csv';
    this.#delimiter = markOf(statement?.delimiter ?? '\t');
    this.#quote = markOf(statement?.quote ?? '"');
    this.#escape = markOf(statement?.escape ?? '"');
    this.#doubles = this.#csv && (this.#quote !== doubleQuote || this.#escape !== doubleQuote);
    this.#ways = Uint8Array.from(plan.columns ?? [], (column) => this.#wayOf(column));
  }

  #wayOf({ rule, exempt, type }: CopyColumn): Way {
    if (rule !== -1) return Way.look;
    if (exempt || type?.scanned === false || !this.#values.masking.detects) return Way.pass;
    return type?.form === Form.number ? Way.look : Way.scan;
  }

  /** A row that is too long to be held comes next. @throws PostgresError when it cannot be masked in pieces */
  largeShape(): LargeShape {
    const { binary, statement, columns } = this.#plan;
    const row = this.#rowOf(0);
    const headed = this.#firstRow++ === 0;
    if (!binary) {
      if (columns?.some(({ rule }) => rule !== -1) !== true && !this.#doubles)
        return { kind: 'line', csv: statement?.format === 'csv', row };
      throw new PostgresError(
        'postgres-message-too-large',
        'a row of this COPY is too long for its quotes, or for the rules of its columns',
        {
          hint: 'Use SELECT, or leave the long column out.',
        },
      );
    }
    const plans = (columns ?? []).map(({ rule, exempt, typeOid, type }): ColumnPlan => {
      const facts = type ?? typeFacts(0);
      const way = rule === -1 && (exempt || !facts.scanned) ? Way.pass : Way.look;
      return { way, rule, exempt, binary: true, typeOid: typeOid ?? 0, type: facts };
    });
    return { kind: 'tuple', columns: plans, row, headed };
  }

  /** As `RowMasker.mask`, for CopyData messages. */
  mask(bytes: Buffer, start: number, end: number): Buffer | null {
    this.#values.begin();
    this.#found.clear();
    this.#backslashes.forget(start);
    this.#messages = [];
    this.#nextDelimiter = 0;
    if (!this.#plan.binary && !this.#csv) this.#delimiters.find(bytes, start, end, this.#delimiter);
    for (let at = start; at < end;) {
      const next = at + 1 + bytes.readInt32BE(at + 1);
      this.#edits.messageAt = at;
      this.#edits.lengthAt = -1;
      if (this.#plan.binary) this.#tuples(bytes, at + headerBytes, next);
      else if (this.#csv) this.#csvLine(bytes, at + headerBytes, next);
      else this.#textLine(bytes, at + headerBytes, next);
      this.#messages.push(at);
      at = next;
    }
    this.#scan(bytes);
    this.#firstRow += this.#messages.length;
    return this.#edits.empty ? null : this.#edits.apply(bytes, start, end);
  }

  /** The row that is being read, or (-1) the headings. */
  #rowOf(message: number): number {
    const row = this.#firstRow + message;
    if (this.#plan.statement?.header !== true || this.#plan.binary) return row;
    return row - 1;
  }

  // ---- text and CSV ----

  /** Fields without marks are noted without a call of `#field`. */
  #textLine(bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    const last = lineEnd(bytes, end);
    const message = this.#messages.length;
    const ways = this.#rowOf(message) === -1 ? noWays : this.#ways;
    const columns = this.#backslashes.within(bytes, start, last)
      ? this.#escapedLine(bytes, start, last, ways, message)
      : this.#plainLine(bytes, start, last, ways, message);
    this.#checkColumns(columns);
  }

  /** Every row passes here. Returns how many columns it has. */
  #plainLine(bytes: Buffer, start: number, last: number, ways: Uint8Array, message: number): number {
    const { places, count } = this.#delimiters;
    let next = this.#nextDelimiter;
    while (next < count && places[next]! < start) next++; // a byte of the message's length
    let column = 0;
    for (let from = start; from <= last; column++) {
      const to = next < count && places[next]! < last ? places[next++]! : last;
      const way = column < ways.length ? ways[column]! : Way.look;
      if (way === Way.look) this.#field(bytes, from, to, column);
      else if (way === Way.scan && to > from) this.#found.add(from, to, column, message);
      from = to + 1;
    }
    this.#nextDelimiter = next;
    return column;
  }

  #escapedLine(bytes: Buffer, start: number, last: number, ways: Uint8Array, message: number): number {
    const delimiter = this.#delimiter;
    let column = 0;
    for (let at = start; at <= last; column++) {
      const from = at;
      let escaped = false;
      for (; at < last && bytes[at] !== delimiter; at++)
        if (bytes[at] === backslash) {
          escaped = true;
          at++;
        }
      const to = at < last ? at : last;
      const way = escaped || column >= ways.length ? Way.look : ways[column]!;
      if (way === Way.look) this.#field(bytes, from, to, column);
      else if (way === Way.scan && to > from) this.#found.add(from, to, column, message);
      at = to + 1;
    }
    return column;
  }

  #csvLine(bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    const last = lineEnd(bytes, end);
    let column = 0;
    for (let at = start; at <= last; column++) {
      const fieldEnd = this.#csvFieldEnd(bytes, at, last);
      this.#field(bytes, at, fieldEnd, column);
      at = fieldEnd + 1;
    }
    this.#checkColumns(column);
  }

  #checkColumns(count: number): void {
    const { columns } = this.#plan;
    if (columns !== null && count !== columns.length) throw malformed();
  }

  #csvFieldEnd(bytes: Buffer, start: number, end: number): number {
    const [quote, escape, delimiter] = [this.#quote, this.#escape, this.#delimiter];
    let at = start;
    let quoted = false;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === delimiter && !quoted) break;
      if (byte !== quote && byte !== escape) continue;
      const next = at + 1 < end ? bytes[at + 1] : -1;
      if (quoted && byte === escape && (next === quote || next === escape)) at++;
      else if (byte === quote) quoted = !quoted;
    }
    return at;
  }

  /** One field as it is written. */
  #field(bytes: Buffer, fieldStart: number, fieldEnd: number, column: number): void {
    let [start, end] = [fieldStart, fieldEnd];
    const message = this.#messages.length;
    const row = this.#rowOf(message);
    if (start === end) return;
    if (this.#csv && bytes[start] === this.#quote && end - start >= 2) [start, end] = [start + 1, end - 1];
    else if (!this.#csv && end - start === 2 && bytes[start] === backslash && bytes[start + 1] === 0x4e)
      return;
    if (start === end) return;
    const known = row === -1 ? undefined : this.#plan.columns?.[column];
    this.#values.at(row, row === -1 ? -1 : column, start);
    if (known !== undefined && known.rule !== -1) {
      this.#whole(bytes, fieldStart, fieldEnd, start, end, known);
      return;
    }
    if (known?.exempt === true || known?.type?.scanned === false || !this.#values.masking.detects) return;
    if (this.#backslashes.within(bytes, start, end)) {
      this.#hidden.hexadecimal(bytes, start, end);
      if (!this.#csv) {
        this.#hidden.escaped(this.#form(bytes, start, end, known), bytes, start, end, 'copy');
        return;
      }
    }
    if (this.#doubles && start !== fieldStart) {
      const form = this.#form(bytes, start, end, known);
      this.#hidden.quoted(form, bytes, start, end, this.#quote, this.#escape);
      return;
    }
    if (known?.type?.form === Form.number) {
      const instead = this.#hidden.number(bytes, start, end);
      if (instead !== null) this.#edits.replace(fieldStart, fieldEnd, this.#null());
      return;
    }
    this.#found.add(start, end, column, message);
  }

  #whole(
    bytes: Buffer,
    fieldStart: number,
    fieldEnd: number,
    start: number,
    end: number,
    known: CopyColumn,
  ): void {
    const { rule } = known;
    const form = known.type?.form ?? Form.structured;
    const marked = this.#csv
      ? bytes.subarray(start, end).includes(this.#quote)
      : bytes.subarray(start, end).includes(backslash);
    if (!marked && !(this.#csv && form === Form.json)) {
      this.#put(
        fieldStart,
        fieldEnd,
        start,
        end,
        this.#values.whole(form, bytes, { start, end, rule }, false),
      );
      return;
    }
    // Marks of this format stand in the value: it is hidden whole, so that no half of one is left.
    this.#values.tell(rule, bytes, start, end);
    const instead = this.#values.masking.keepsLength(rule)
      ? null
      : this.#values.masking.mask(rule, bytes, start, end, 'text');
    if (instead === 'null' || (instead !== null && form !== Form.bytea && form !== Form.json)) {
      this.#put(fieldStart, fieldEnd, start, end, instead);
    } else if (form === Form.bytea && !this.#csv && isHexadecimal(bytes, start)) {
      this.#values.masking.redact(bytes, start + 3, end, 'hex');
    } else if (form === Form.json) this.#put(fieldStart, fieldEnd, start, end, zeroText);
    else bytes.fill(asterisk, start, end);
  }

  #put(fieldStart: number, fieldEnd: number, start: number, end: number, instead: Replacement): void {
    if (instead === 'null') this.#edits.replace(fieldStart, fieldEnd, this.#null());
    else if (instead !== null) this.#edits.replace(start, end, this.#written(instead));
  }

  #scan(bytes: Buffer): void {
    const values = this.#found;
    if (values.count === 0) return;
    const found = this.#values.masking.scanValues(bytes, values.starts, values.ends, values.count);
    this.#values.tellRows(bytes, found, values, this.#rowOf(0));
    const range = this.#range;
    for (let i = 0; i < found.length; i++) {
      const value = found.values[i]!;
      let after = i + 1;
      while (after < found.length && found.values[after] === value) after++;
      const [start, end] = [values.starts[value]!, values.ends[value]!];
      const column = values.columns[value]!;
      const message = values.rows[value]!;
      const row = this.#rowOf(message);
      const known = row === -1 ? undefined : this.#plan.columns?.[column];
      this.#edits.messageAt = this.#messages[message]!;
      const form = this.#form(bytes, start, end, known);
      let nullified = false;
      for (let j = i; j < after && !nullified; j++) nullified = this.#values.nullifies(found.rules[j]!);
      const quoted = this.#csv && bytes[end] === this.#quote ? 1 : 0;
      const hidden = nullified ? i : after;
      for (let j = i; j < hidden; j++) {
        range.start = found.starts[j]!;
        range.end = found.ends[j]!;
        range.rule = found.rules[j]!;
        this.#put(0, 0, range.start, range.end, this.#values.hide(form, bytes, start, range, false));
      }
      i = after - 1;
      if (nullified) this.#edits.replace(start - quoted, end + quoted, this.#null());
    }
  }

  /** How the value is written, as far as it can be told. */
  #form(bytes: Buffer, start: number, end: number, known: CopyColumn | undefined): Form {
    const form = known?.type?.form;
    if (form === Form.text && !this.#csv) return form;
    if (form !== undefined && form !== Form.text && form !== Form.json) return form;
    if (allDigits(bytes, start, end)) return form === Form.text ? Form.text : Form.digits;
    // Quotes are doubled in CSV, and stay as they are.
    const first = bytes[start];
    if (
      this.#csv ||
      form === Form.json ||
      first === 0x7b ||
      first === 0x5b ||
      first === 0x28 ||
      first === 0x22
    )
      return Form.structured;
    return first === 0x3c ? Form.xml : Form.text;
  }

  /** A replacement with the marks of this format taken out (an asterisk is none, see `markOf`), or escaped. */
  #written(instead: Buffer): Buffer {
    const out: number[] = [];
    for (const byte of instead) {
      if (byte === newline || byte === 0x0d || byte === this.#delimiter) out.push(asterisk);
      else if (!this.#csv && byte === backslash) out.push(backslash, backslash);
      else if (this.#csv && (byte === this.#quote || byte === this.#escape)) out.push(asterisk);
      else out.push(byte);
    }
    return Buffer.from(out);
  }

  #null(): Buffer {
    return Buffer.from(this.#plan.statement?.nullText ?? '\\N');
  }

  // ---- binary ----

  /** A header, if it is the first message; then whole rows; or the end. */
  #tuples(bytes: Buffer, start: number, end: number): void {
    const message = this.#messages.length;
    let at = start;
    if (this.#firstRow + message === 0) {
      if (end - at < 19 || !bytes.subarray(at, at + signature.length).equals(signature)) throw malformed();
      const extension = bytes.readUInt32BE(at + 15);
      if (extension > end - at - 19) throw malformed();
      at += 19 + extension;
    }
    while (at < end) {
      if (end - at < 2) throw malformed();
      const count = bytes.readInt16BE(at);
      at += 2;
      if (count === -1) break;
      const { columns } = this.#plan;
      if (count < 0 || (columns !== null && count !== columns.length)) throw malformed();
      for (let column = 0; column < count; column++) {
        const length = end - at < 4 ? -2 : bytes.readInt32BE(at);
        at += 4;
        if (length < -1 || length > end - at) throw malformed();
        if (length > 0) this.#value(bytes, at, at + length, column, this.#rowOf(message));
        at += Math.max(0, length);
      }
    }
    if (at !== end) throw malformed();
  }

  #value(bytes: Buffer, start: number, end: number, column: number, row: number): void {
    const known = this.#plan.columns?.[column];
    this.#values.at(row, column, start);
    this.#edits.lengthAt = start - 4;
    let instead: Replacement = null;
    if (known !== undefined && known.rule !== -1) {
      instead = this.#binary.whole(known.typeOid ?? 0, bytes, start, end, known.rule, false);
    } else if (known?.exempt !== true && known?.type?.scanned !== false && this.#values.masking.detects) {
      instead = this.#binary.look(known?.typeOid ?? 0, bytes, start, end);
    }
    if (instead === 'null') this.#edits.nullify(start, end);
    else if (instead !== null) this.#edits.replace(start, end, instead);
  }
}

/** As a bytea begins in text format: `\\x`; else (bytea_output = escape) it is written as text. */
const isHexadecimal = (bytes: Buffer, at: number): boolean =>
  bytes[at] === backslash && bytes[at + 1] === backslash && bytes[at + 2] === 0x78;

const noWays = new Uint8Array(0);

/** Where the last field of a line ends. */
function lineEnd(bytes: Buffer, end: number): number {
  if (bytes[end - 1] !== newline) throw malformed();
  return bytes[end - 2] === 0x0d ? end - 2 : end - 1;
}

const zeroText = Buffer.from('0');

/** A mark between values must not be what values are masked with. */
function markOf(text: string): number {
  const byte = text.charCodeAt(0);
  if (text.length !== 1 || byte === asterisk || /[0-9A-Za-z]/.test(text)) {
    throw new PostgresError(
      'postgres-masking-refused',
      `COPY with the mark ${JSON.stringify(text)} cannot be masked`,
      {
        hint: 'Use a delimiter and a quote that are neither letters, digits nor an asterisk.',
      },
    );
  }
  return byte;
}

const malformed = (): PostgresError =>
  new PostgresError('postgres-malformed-message', 'the target sent COPY data that is not whole rows');
