/** PostgreSQL's bytes as what they say: rows as values, notices and errors as texts. What means nothing to a person is left out. */
import { MessageSplitter, typeOf, type Message } from '../../protocols/postgres/messages/frame.ts';
import { decodeErrorResponse } from '../../protocols/postgres/messages/error.ts';
import {
  decodeCommandComplete,
  decodeDataRow,
  decodeNotificationResponse,
  decodeRowDescription,
  type Column,
} from '../../protocols/postgres/messages/query.ts';
import { formatValue } from '../../protocols/postgres/messages/values.ts';
import type { StreamKind } from '../recording/records.ts';
import type { Command } from './commands.ts';
import {
  placeOf,
  shown,
  type RecordOf,
  type TranscriptContent,
  type TranscriptItem,
} from './transcript-item.ts';

/** A message longer than this is not shown; the recording has it. */
const longestShownBytes = 64 * 1024 * 1024;

/** What is known of one connection while its bytes go by. */
interface ConnectionState {
  splitter: MessageSplitter | null;
  inputSplitter: MessageSplitter | null;
  /** The last row description, of whatever statement. */
  described: readonly Column[] | null;
  /** The command that `columns` belong to. */
  shownFor: number;
  columns: readonly Column[];
}

export class PostgresTranscript implements TranscriptContent {
  readonly #connections = new Map<number, ConnectionState>();
  readonly #commands = new Map<number, Command>();
  /** Row descriptions by statement: a client may ask for one once and run the statement often. */
  readonly #statements = new Map<number, readonly Column[]>();

  opened(): void {}

  command(command: Command): void {
    this.#commands.set(command.command, command);
  }

  ended({ command }: RecordOf<'outcome'>): [] {
    this.#commands.delete(command);
    return [];
  }

  closed({ connection }: RecordOf<'connection-closed'>): [] {
    this.#connections.delete(connection);
    return [];
  }

  *bytes(record: RecordOf<StreamKind>): Generator<TranscriptItem> {
    const state = this.#state(record.connection);
    const side = record.kind === 'output' ? 'splitter' : 'inputSplitter';
    if (state[side] === null) return;
    try {
      for (const message of state[side].push(record.bytes)) {
        if (side === 'splitter') yield* this.#message(record, state, message);
        else if (message.type === typeOf('d'))
          yield { ...placeOf(record), kind: 'copy-in', data: shown(message.body) };
      }
    } catch {
      state[side] = null;
      yield { ...placeOf(record), kind: 'unreadable' };
    }
  }

  *#message(
    record: { t: number; connection: number; command: number },
    state: ConnectionState,
    { type, body }: Message,
  ): Generator<TranscriptItem> {
    const at = placeOf(record);
    switch (String.fromCharCode(type)) {
      case 'T':
        state.described = decodeRowDescription(body);
        state.shownFor = -1;
        return;
      case 'D': {
        const values = decodeDataRow(body);
        if (state.shownFor !== record.command) {
          state.columns = this.#columns(record.command, state, values.length);
          state.shownFor = record.command;
          yield { ...at, kind: 'columns', names: state.columns.map(({ name }) => name) };
        }
        const texts = values.map((value, column) => {
          const { typeOid, format } = state.columns[column]!;
          return formatValue(typeOid, format, value);
        });
        yield { ...at, kind: 'row', values: texts };
        return;
      }
      case 'C':
        if (state.shownFor !== record.command && state.described !== null)
          yield { ...at, kind: 'columns', names: state.described.map(({ name }) => name) };
        state.described = null;
        state.shownFor = -1;
        yield { ...at, kind: 'complete', tag: decodeCommandComplete(body).tag };
        return;
      case 'E':
      case 'N': {
        const { severity, sqlstate: code, message, detail, hint } = decodeErrorResponse(body);
        yield {
          ...at,
          kind: type === typeOf('E') ? 'error' : 'notice',
          severity,
          code,
          message,
          detail,
          hint,
        };
        return;
      }
      case 'A': {
        const { channel, payload } = decodeNotificationResponse(body);
        yield { ...at, kind: 'notification', channel, payload };
        return;
      }
      case 'd':
        yield { ...at, kind: 'copy-out', data: shown(body) };
        return;
      default:
        return;
    }
  }

  /** How to read the rows of a command: the description that came for it, or for its statement earlier, or none. */
  #columns(number: number, state: ConnectionState, width: number): readonly Column[] {
    const command = this.#commands.get(number);
    const statement = command?.statement ?? null;
    let columns = state.described?.length === width ? state.described : null;
    if (columns !== null && statement !== null) this.#statements.set(statement, columns);
    if (columns === null && statement !== null) columns = this.#statements.get(statement) ?? null;
    if (columns === null || columns.length !== width) columns = Array.from({ length: width }, unknownColumn);
    const asked = command?.resultFormats ?? [];
    if (asked.length === 0) return columns;
    return columns.map((column, at) =>
      Object.assign({}, column, { format: (asked.length === 1 ? asked[0] : asked[at]) ?? 0 }),
    );
  }

  #state(connection: number): ConnectionState {
    let state = this.#connections.get(connection);
    if (state === undefined) {
      const [splitter, inputSplitter] = [
        new MessageSplitter(longestShownBytes),
        new MessageSplitter(longestShownBytes),
      ];
      state = { splitter, inputSplitter, described: null, shownFor: -1, columns: [] };
      this.#connections.set(connection, state);
    }
    return state;
  }
}

const unknownColumn = (_: unknown, at: number): Column => ({
  name: `column ${at + 1}`,
  tableOid: 0,
  attributeNumber: 0,
  typeOid: 0,
  typeSize: -1,
  typeModifier: -1,
  format: 0,
});
