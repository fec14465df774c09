/**
 * A session as its client saw it: commands and, decoded, what came back. Results are shown as values, not as bytes; what
 * has no meaning for a person (parameter status, ready for query) is left out.
 */
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
import type { RedactionPart } from '../recording/redactions.ts';
import type { SegmentRecord, StreamKind } from '../recording/records.ts';
import { CommandAssembler, type Command, type CommandOutcome } from './commands.ts';
import { RuleNames, type NamedRedaction } from './originals.ts';
import { SegmentCursor } from './segment-cursor.ts';

/** What happened; `micros` since `session.opened`. */
export type TranscriptItem = {
  readonly micros: number;
  readonly connection: number;
  /** 0: of no command. */
  readonly command: number;
} & (
  | { readonly kind: 'connected'; readonly parameters: Readonly<Record<string, string>> }
  | { readonly kind: 'disconnected'; readonly reason: string }
  | { readonly kind: 'command'; readonly text: string; readonly parameters: Command['parameters'] }
  /** What follows was masked, here. `part` `statement`: `command` is the statement's id. */
  | { readonly kind: 'masked'; readonly part: RedactionPart; readonly places: readonly NamedRedaction[] }
  | { readonly kind: 'columns'; readonly names: readonly string[] }
  | { readonly kind: 'row'; readonly values: readonly (string | null)[] }
  | { readonly kind: 'complete'; readonly tag: string }
  | {
      readonly kind: 'error' | 'notice';
      readonly severity: string;
      readonly code: string;
      readonly message: string;
      readonly detail: string | null;
      readonly hint: string | null;
    }
  | { readonly kind: 'notification'; readonly channel: string; readonly payload: string }
  /** A piece of COPY data, as text where it is UTF-8. */
  | { readonly kind: 'copy-in' | 'copy-out'; readonly data: string }
  | { readonly kind: 'outcome'; readonly outcome: CommandOutcome['kind']; readonly errorCode: string | null }
  /** From here on this connection's bytes are not messages. */
  | { readonly kind: 'unreadable' }
);

/** A message longer than this is not shown; the recording has it. */
const longestShownBytes = 64 * 1024 * 1024;

/**
 * Everything of a session, in the order of the record.
 * @param directory the session's
 * @throws EvidenceError `recording-damaged`
 */
export async function* readTranscript(directory: string): AsyncGenerator<TranscriptItem> {
  const transcript = new Transcript();
  for await (const record of new SegmentCursor(directory).records()) yield* transcript.take(record);
}

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

class Transcript {
  readonly #assembler = new CommandAssembler();
  readonly #rules = new RuleNames();
  readonly #connections = new Map<number, ConnectionState>();
  readonly #commands = new Map<number, Command>();
  /** Row descriptions by statement: a client may ask for one once and run the statement often. */
  readonly #statements = new Map<number, readonly Column[]>();

  *take(record: SegmentRecord): Generator<TranscriptItem> {
    const command = this.#assembler.take(record);
    const micros = record.t;
    switch (record.kind) {
      case 'connection': {
        const parameters = Object.fromEntries(record.parameters);
        yield { kind: 'connected', micros, connection: record.connection, command: 0, parameters };
        return;
      }
      case 'connection-closed':
        this.#connections.delete(record.connection);
        yield { ...place(record, 0), kind: 'disconnected', reason: record.reason };
        return;
      case 'command':
        this.#commands.set(record.command, command!);
        yield { ...place(record), kind: 'command', text: command!.text, parameters: command!.parameters };
        return;
      case 'outcome': {
        this.#commands.delete(record.command);
        const { outcome, errorCode } = record;
        yield { ...place(record), kind: 'outcome', outcome, errorCode };
        return;
      }
      case 'rule':
        this.#rules.take(record);
        return;
      case 'redactions':
        yield {
          ...place(record, record.subject),
          kind: 'masked',
          part: record.part,
          places: [...this.#rules.places(record)],
        };
        return;
      case 'input':
      case 'output':
        yield* this.#bytes(record);
        return;
      default:
        return;
    }
  }

  *#bytes(record: Extract<SegmentRecord, { kind: StreamKind }>): Generator<TranscriptItem> {
    const state = this.#state(record.connection);
    const side = record.kind === 'output' ? 'splitter' : 'inputSplitter';
    if (state[side] === null) return;
    try {
      for (const message of state[side].push(record.bytes)) {
        if (side === 'splitter') yield* this.#message(record, state, message);
        else if (message.type === typeOf('d'))
          yield { ...place(record), kind: 'copy-in', data: shown(message.body) };
      }
    } catch {
      state[side] = null;
      yield { ...place(record), kind: 'unreadable' };
    }
  }

  *#message(
    record: { t: number; connection: number; command: number },
    state: ConnectionState,
    { type, body }: Message,
  ): Generator<TranscriptItem> {
    const at = place(record);
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

const place = (
  { t, connection, command }: { t: number; connection: number; command?: number },
  known?: number,
): { micros: number; connection: number; command: number } => ({
  micros: t,
  connection,
  command: known ?? command ?? 0,
});

const unknownColumn = (_: unknown, at: number): Column => ({
  name: `column ${at + 1}`,
  tableOid: 0,
  attributeNumber: 0,
  typeOid: 0,
  typeSize: -1,
  typeModifier: -1,
  format: 0,
});

function shown(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return text.includes('\ufffd') ? `\\x${bytes.toString('hex')}` : text;
}
