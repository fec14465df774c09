/** Rows of a query as a table, as CSV or as JSON: one at a time, so that a result of any size needs no memory. */
import type { SqlColumn, SqlReceiver } from '../../agent/sql-client.ts';
import { visible } from '../colour.ts';
import type { SqlFormat } from './asked.ts';

/** Writes text or bytes. False: it wants no more for now. */
export type Write = (piece: string | Buffer) => boolean;

export interface SqlOutputOptions {
  readonly write: Write;
  /** A statement that returned no rows has ended. */
  readonly note: (tag: string) => void;
}

export function sqlOutput(format: SqlFormat, options: SqlOutputOptions): SqlReceiver {
  if (format === 'csv') return new CsvOutput(options);
  return format === 'json' ? new JsonOutput(options) : new TableOutput(options);
}

type Values = readonly (string | null)[];

/** RFC 4180 with line feeds, as COPY writes it: a null is nothing, an empty text is `""`. Results stand a line apart. */
class CsvOutput implements SqlReceiver {
  readonly #options: SqlOutputOptions;
  #results = 0;
  #rows = false;

  constructor(options: SqlOutputOptions) {
    this.#options = options;
  }

  columns(columns: readonly SqlColumn[]): void {
    if (this.#results++ > 0) this.#options.write('\n');
    this.#rows = true;
    this.row(columns.map(({ name }) => name));
  }

  row(values: Values): boolean {
    return this.#options.write(`${values.map(csvField).join(',')}\n`);
  }

  copied(bytes: Buffer): boolean {
    return this.#options.write(bytes);
  }

  completed(tag: string | null): void {
    if (!this.#rows && tag !== null) this.#options.note(tag);
    this.#rows = false;
  }
}

function csvField(value: string | null): string {
  if (value === null) return '';
  return value === '' || /[",\r\n]/.test(value) || value === '\\.'
    ? `"${value.replaceAll('"', '""')}"`
    : value;
}

/** One array for each result, a row a line. */
class JsonOutput implements SqlReceiver {
  readonly #options: SqlOutputOptions;
  #row: ((values: Values) => string) | null = null;
  #first = true;

  constructor(options: SqlOutputOptions) {
    this.#options = options;
  }

  columns(columns: readonly SqlColumn[]): void {
    this.#row = rowAsJson(columns);
    this.#first = true;
    this.#options.write('[');
  }

  row(values: Values): boolean {
    const separator = this.#first ? '' : ',\n ';
    this.#first = false;
    return this.#options.write(separator + this.#row!(values));
  }

  copied(bytes: Buffer): boolean {
    return this.#options.write(bytes);
  }

  completed(tag: string | null): void {
    if (this.#row !== null) this.#options.write(']\n');
    else if (tag !== null) this.#options.note(tag);
    this.#row = null;
  }
}

const booleanType = 16;
const jsonTypes = new Set([114, 3802]);
/** int2, int4, int8, oid, float4, float8, numeric: as PostgreSQL's own to_json. */
const numberTypes = new Set([21, 23, 20, 26, 700, 701, 1700]);
const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Columns of the same name are told apart by a number, so that no value is lost. */
function rowAsJson(columns: readonly SqlColumn[]): (values: Values) => string {
  const names = namesOf(columns).map((name) => JSON.stringify(name));
  return (values) => {
    const pairs = values.map((value, at) => `${names[at]}:${valueAsJson(value, columns[at]!.type)}`);
    return `{${pairs.join(',')}}`;
  };
}

export function namesOf(columns: readonly SqlColumn[]): string[] {
  const used = new Set<string>();
  return columns.map(({ name }) => {
    let unique = name;
    for (let number = 2; used.has(unique); number++) unique = `${name}_${number}`;
    used.add(unique);
    return unique;
  });
}

export function valueAsJson(value: string | null, type: number): string {
  if (value === null) return 'null';
  if (type === booleanType) return value === 't' ? 'true' : 'false';
  if (numberTypes.has(type) && jsonNumber.test(value)) return value;
  // On one line, whatever it was written on.
  if (jsonTypes.has(type)) return value.replaceAll(/[\r\n]+/g, ' ');
  return JSON.stringify(value);
}

/** Rows of which a table knows the widths before it writes them. */
const tableRows = 1000;

/** Aligned; what a terminal would act on is shown, nothing is cut. */
class TableOutput implements SqlReceiver {
  readonly #options: SqlOutputOptions;
  #columns: readonly SqlColumn[] | null = null;
  #waiting: string[][] = [];
  #widths: number[] = [];
  #count = 0;

  constructor(options: SqlOutputOptions) {
    this.#options = options;
  }

  columns(columns: readonly SqlColumn[]): void {
    this.#columns = columns;
    this.#widths = columns.map(({ name }) => widthOf(shown(name)));
    this.#count = 0;
  }

  row(values: Values): boolean {
    const cells = values.map((value) => (value === null ? '' : shown(value)));
    this.#waiting.push(cells);
    for (const [at, cell] of cells.entries()) this.#widths[at] = Math.max(this.#widths[at]!, widthOf(cell));
    return this.#waiting.length < tableRows || this.#write();
  }

  copied(bytes: Buffer): boolean {
    return this.#options.write(bytes);
  }

  completed(tag: string | null): void {
    const columns = this.#columns;
    if (columns === null) {
      if (tag !== null) this.#options.write(`${tag}\n`);
      return;
    }
    this.#write();
    this.#options.write(`(${this.#count} row${this.#count === 1 ? '' : 's'})\n`);
    this.#columns = null;
  }

  #write(): boolean {
    const columns = this.#columns!;
    const lines = this.#waiting.map((cells) => this.#line(cells));
    if (this.#count === 0) {
      const heads = columns.map(({ name }) => shown(name));
      lines.unshift(this.#line(heads), this.#widths.map((width) => '-'.repeat(width + 2)).join('+'));
    }
    this.#count += this.#waiting.length;
    this.#waiting = [];
    return this.#options.write(lines.map((line) => `${line}\n`).join(''));
  }

  #line(cells: readonly string[]): string {
    const padded = cells.map((cell, at) => {
      const room = ' '.repeat(Math.max(0, this.#widths[at]! - widthOf(cell)));
      return numberTypes.has(this.#columns![at]!.type) ? ` ${room}${cell} ` : ` ${cell}${room} `;
    });
    return padded.join('|').trimEnd();
  }
}

const shown = (text: string): string => visible(text.replaceAll('\n', '↵').replaceAll('\t', '    '));
const widthOf = (text: string): number => Array.from(text).length;
