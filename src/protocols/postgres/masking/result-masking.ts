/**
 * Masking of one connection's answers, as the backend calls it: in the order of the messages, before their bytes are
 * handed to the gate's `output`. Rows of one command that follow one another are masked together.
 */
import type { ConnectionGate } from '../../../gate/gate.ts';
import type { ColumnSource, Masking } from '../../../gate/masking.ts';
import { PostgresError } from '../error.ts';
import { headerBytes } from '../messages/frame.ts';
import { decodeRowDescription } from '../messages/query.ts';
import type { Column } from '../messages/query.ts';
import type { Catalog } from './catalog.ts';
import { resultShape } from './columns.ts';
import type { ResultShape } from './columns.ts';
import { CopyPlans } from './copy-plans.ts';
import { CopyMasker } from './copy-rows.ts';
import { checkEncoding } from './encodings.ts';
import { ErrorDetails } from './error-details.ts';
import type { TableName } from './error-details.ts';
import { HiddenText } from './hidden-text.ts';
import { LargeMessage } from './large-message.ts';
import type { LargeShape } from './large-message.ts';
import { RowMasker } from './rows.ts';
import { TextMasker } from './text-messages.ts';
import { ValueMasker } from './values.ts';

/** Message types, as ASCII. */
const dataRow = 0x44, errorResponse = 0x45, notice = 0x4e, copyData = 0x64, parameterStatus = 0x53; // prettier-ignore

/** Portals whose columns are kept; a client that opens more without end does not make the relay grow. */
const shapesBound = 4096;

export class ResultMasking {
  /** What the client's commands will copy. */
  readonly copies: CopyPlans;
  readonly #values: ValueMasker;
  readonly #hidden: HiddenText;
  readonly #rows: RowMasker;
  readonly #copyRows: CopyMasker;
  readonly #details: ErrorDetails;
  readonly #texts: TextMasker;
  readonly #masking: Masking;
  /** Columns of what is being answered, by command: a portal's, or those of a simple query's last statement. */
  readonly #shapes = new Map<number, ResultShape>();
  /** Commands whose portal the client, or the relay, has asked the target to describe. */
  readonly #asked = new Set<number>();
  #catalog: Catalog | null = null;
  /** Relations whose names are missing. */
  #missing: number[] = [];
  /** A table whose columns are missing. */
  #missingTable: TableName | null = null;
  /** A transaction has changed names and is not over. */
  #renaming = false;

  constructor(gate: ConnectionGate, masking: Masking) {
    this.#masking = masking;
    this.#values = new ValueMasker(gate, masking);
    const hidden = new HiddenText(this.#values);
    this.#hidden = hidden;
    this.#rows = new RowMasker(this.#values, hidden);
    this.#copyRows = new CopyMasker(this.#values, hidden);
    this.#details = new ErrorDetails(masking, this.#values);
    this.#texts = new TextMasker(this.#values, hidden);
    this.copies = new CopyPlans(masking, (column) => this.#knownSources(column));
  }

  /** Where names of columns are asked for; before the first message. */
  useCatalog(catalog: Catalog): void {
    this.#catalog = catalog;
    this.copies.catalog = catalog;
  }

  /** The portal of `command` will be described before its rows come. */
  asked(command: number): void {
    if (this.#asked.size >= shapesBound) this.#asked.clear();
    this.#asked.add(command);
  }

  /** The target must be asked for the columns of this portal before it is executed. */
  mustAsk(command: number): boolean {
    return !this.#asked.has(command);
  }

  /** Columns of what follows for `command`. False: names have to be asked for first, see `whenKnown`. */
  described(command: number, bytes: Buffer, start: number, end: number): boolean {
    const columns = decodeRowDescription(bytes.subarray(start + headerBytes, end));
    this.#missing = [];
    const shape = resultShape(this.#masking, columns, (column) => this.#sources(column));
    if (this.#missing.length > 0) return false;
    this.#catalog?.answered();
    if (this.#shapes.size >= shapesBound) this.#shapes.clear();
    this.#shapes.set(command, shape);
    return true;
  }

  #sources({ name, tableOid, attributeNumber }: Column): readonly ColumnSource[] {
    const itself = { name, origin: null };
    if (tableOid === 0 || !this.#masking.needsOrigins) return [itself];
    const origins = this.#catalog?.origins(tableOid, attributeNumber);
    if (origins === undefined) this.#missing.push(tableOid);
    return origins === undefined || origins.length === 0
      ? [itself]
      : origins.map((origin) => ({ name, origin }));
  }

  /** @throws PostgresError when its names have to be asked for, which is too late */
  #knownSources(column: Column): readonly ColumnSource[] {
    this.#missing = [];
    const sources = this.#sources(column);
    if (this.#missing.length > 0) throw unknownColumns();
    return sources;
  }

  /** Calls back, later, when what was missing is known; with an error when it cannot be known. */
  whenKnown(then: (error: Error | null) => void): void {
    const catalog = this.#catalog;
    if (catalog === null) throw unknownColumns();
    const table = this.#missingTable;
    this.#missingTable = null;
    (table === null ? catalog.learn(this.#missing) : catalog.learnTable(table.schema, table.table)).then(
      () => then(null),
      (error: unknown) => then(unknownColumns(error)),
    );
  }

  /** A statement, or a portal, is answered to its end; its tag begins at `tag`. */
  completed(command: number, bytes: Buffer, tag: number): void {
    if (this.#shapes.size > 0) this.#shapes.delete(command);
    if (this.#asked.size > 0) this.#asked.delete(command);
    if (!this.#masking.needsOrigins || !mayRename(bytes, tag)) return;
    this.#renaming = true;
    this.#catalog?.forget();
  }

  /** ReadyForQuery, to `command` and what was before it. `idle`: no transaction is open, so that there is no portal. */
  ready(command: number, idle: boolean): void {
    this.copies.answered(command);
    if (!idle) return;
    if (this.#shapes.size > 0) this.#shapes.clear();
    if (!this.#renaming) return;
    this.#renaming = false;
    this.#catalog?.forget();
  }

  /**
   * Rows of `command`: `bytes[start, end)` are DataRow messages, the first of which is number `row`. Returns what stands
   * instead of them, or null when they were changed in place, if at all.
   */
  rows(command: number, bytes: Buffer, start: number, end: number, row: number): Buffer | null {
    const shape = this.#shapeOf(command);
    this.#values.command = command;
    return this.#rows.mask(bytes, start, end, shape, row);
  }

  /** @throws PostgresError when there is none */
  #shapeOf(command: number): ResultShape {
    const shape = this.#shapes.get(command);
    if (shape !== undefined) return shape;
    throw new PostgresError('postgres-unexpected-message', 'the target sent rows that it did not describe');
  }

  /** CopyOutResponse: data of a COPY follows. */
  copyBegins(command: number, bytes: Buffer, start: number, end: number): void {
    const body = start + headerBytes;
    if (end - body < 3)
      throw new PostgresError('postgres-malformed-message', 'a CopyOutResponse is too short');
    this.#copyRows.begin(this.copies.take(command, bytes[body] === 1, bytes.readUInt16BE(body + 1)));
  }

  /** CopyData messages of `command`; as `rows`. */
  copied(command: number, bytes: Buffer, start: number, end: number): Buffer | null {
    this.#values.command = command;
    return this.#copyRows.mask(bytes, start, end);
  }

  /**
   * A message of `command` that is too long to be held: DataRow, CopyData or FunctionCallResponse.
   * @throws PostgresError when it cannot be masked in pieces
   */
  large(command: number, type: number, bytes: number, row: number): LargeMessage {
    this.#values.command = command;
    const shape: LargeShape =
      type === dataRow
        ? { kind: 'row', columns: this.#shapeOf(command).columns, row }
        : type === copyData
          ? this.#copyRows.largeShape()
          : { kind: 'value' };
    return new LargeMessage(this.#values, this.#hidden, shape, bytes);
  }

  /** False: an error, or a notice, can only be told when its table is known, see `whenKnown`. */
  tellable(bytes: Buffer, start: number, end: number): boolean {
    this.#missingTable = this.#details.unknownTable(this.#catalog, bytes, start, end);
    return this.#missingTable === null;
  }

  /** One whole message with text in it, see `text-messages.ts`; as `rows`. */
  text(command: number, type: number, bytes: Buffer, start: number, end: number): Buffer | null {
    this.#values.command = command;
    if (type === errorResponse || type === notice) this.#details.mask(this.#catalog, bytes, start, end);
    else if (type === parameterStatus) checkEncoding(bytes.subarray(start + headerBytes, end));
    return this.#texts.mask(type, bytes, start, end);
  }
}

/** ALTER, CREATE, CALL, DROP, DO: what they change of names is seen by others when their transaction ends. */
function mayRename(bytes: Buffer, tag: number): boolean {
  const letters = bytes.toString('latin1', tag, tag + 2);
  return letters === 'AL' || letters === 'CR' || letters === 'CA' || letters === 'DR' || letters === 'DO';
}

const unknownColumns = (cause?: unknown): PostgresError =>
  new PostgresError('postgres-masking-refused', 'the target does not tell where columns come from', {
    hint: 'Ask the relay’s operator: its role at the target must be able to connect and to read the catalog.',
    ...(cause === undefined ? {} : { cause }),
  });
