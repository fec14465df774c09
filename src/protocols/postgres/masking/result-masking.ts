/**
 * Masking of one connection's answers, as the backend calls it: in the order of the messages, before their bytes are
 * handed to the gate's `output`. Rows of one command that follow one another are masked together.
 */
import type { ConnectionGate } from '../../../gate/gate.ts';
import type { Masking } from '../../../gate/masking.ts';
import { PostgresError } from '../error.ts';
import { headerBytes } from '../messages/frame.ts';
import { decodeRowDescription } from '../messages/query.ts';
import type { Column } from '../messages/query.ts';
import { resultShape } from './columns.ts';
import type { ResultShape } from './columns.ts';
import { HiddenText } from './hidden-text.ts';
import { RowMasker } from './rows.ts';
import { TextMasker } from './text-messages.ts';
import { ValueMasker } from './values.ts';

/** Portals whose columns are kept; a client that opens more without end does not make the relay grow. */
const shapesBound = 4096;

export class ResultMasking {
  readonly #values: ValueMasker;
  readonly #rows: RowMasker;
  readonly #texts: TextMasker;
  readonly #masking: Masking;
  /** Columns of what is being answered, by command: a portal's, or those of a simple query's last statement. */
  readonly #shapes = new Map<number, ResultShape>();
  /** Commands whose portal the client, or the relay, has asked the target to describe. */
  readonly #asked = new Set<number>();
  constructor(gate: ConnectionGate, masking: Masking) {
    this.#masking = masking;
    this.#values = new ValueMasker(gate, masking);
    const hidden = new HiddenText(this.#values);
    this.#rows = new RowMasker(this.#values, hidden);
    this.#texts = new TextMasker(this.#values, hidden);
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
    if (this.#shapes.size >= shapesBound) this.#shapes.clear();
    this.#shapes.set(
      command,
      resultShape(this.#masking, columns, (column) => this.#sources(column)),
    );
    return true;
  }

  /** Calls back, later, when what was missing is known; with an error when it cannot be known. */
  whenKnown(_then: (error: Error | null) => void): void {}

  /** CopyData messages of `command`; as `rows`. */
  copied(_command: number, _bytes: Buffer, _start: number, _end: number): Buffer | null {
    return null;
  }

  #sources(column: Column): { name: string; origin: null }[] {
    return [{ name: column.name, origin: null }];
  }

  /** A statement, or a portal, is answered to its end. */
  completed(command: number): void {
    if (this.#shapes.size > 0) this.#shapes.delete(command);
    if (this.#asked.size > 0) this.#asked.delete(command);
  }

  /** No transaction is open: there is no portal any more. */
  idle(): void {
    if (this.#shapes.size > 0) this.#shapes.clear();
  }

  /**
   * Rows of `command`: `bytes[start, end)` are DataRow messages, the first of which is number `row`. Returns what stands
   * instead of them, or null when they were changed in place, if at all.
   */
  rows(command: number, bytes: Buffer, start: number, end: number, row: number): Buffer | null {
    const shape = this.#shapes.get(command);
    if (shape === undefined) {
      throw new PostgresError('postgres-unexpected-message', 'the target sent rows that it did not describe');
    }
    this.#values.command = command;
    return this.#rows.mask(bytes, start, end, shape, row);
  }

  /** One whole message with text in it, see `text-messages.ts`; as `rows`. */
  text(command: number, type: number, bytes: Buffer, start: number, end: number): Buffer | null {
    this.#values.command = command;
    return this.#texts.mask(type, bytes, start, end);
  }
}
