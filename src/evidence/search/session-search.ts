/**
 * Searches one session, segment by segment: what its records say is put together into texts, one for each stream of each
 * connection, and one for commands and their parameters.
 */
import { EvidenceError } from '../error.ts';
import { LargeContents } from '../read/large-contents.ts';
import { encodingLabel } from '../read/postgres-content.ts';
import type { SegmentRecord, StreamKind } from '../recording/records.ts';
import type { Matcher } from './matcher.ts';
import { putParameters } from './parameters-text.ts';
import { PostgresText } from './postgres-text.ts';
import { RecordReader } from './record-reader.ts';
import { TerminalText } from './terminal-text.ts';
import { SearchText, type FoundLine } from './text.ts';

/** Where in a session something is looked for. */
export const searchKinds = ['command', 'parameters', 'input', 'output', 'error-output'] as const;
export type SearchKind = (typeof searchKinds)[number];

/** A line that was found, and where. */
export interface SearchMatch extends FoundLine {
  readonly kind: SearchKind;
}

export interface SearchChoice {
  readonly kinds: readonly SearchKind[];
  /** Lines before and after. */
  readonly context: number;
}

const nothing = Buffer.alloc(0);

interface Stream {
  readonly kind: StreamKind;
  readonly text: SearchText;
  readonly take: Take;
}

type Take = (bytes: Buffer, start: number, end: number) => void;

interface Connection {
  /** A decoder's name; null: UTF-8. */
  readonly encoding: string | null;
  readonly terminal: boolean;
  readonly streams: Map<StreamKind, Stream>;
}

interface Statement {
  /** In UTF-8. */
  readonly text: Buffer;
  /** It has a match: else the many commands that run it need no look. */
  readonly found: boolean;
  readonly parameterTypes: readonly number[];
  readonly apart: boolean;
}

export class SessionSearch {
  readonly #matcher: Matcher;
  readonly #kinds: ReadonlySet<SearchKind>;
  readonly #context: number;
  readonly #reader = new RecordReader();
  readonly #connections = new Map<number, Connection>();
  readonly #statements = new Map<number, Statement>();
  readonly #contents = new LargeContents();
  readonly #commands = new SearchText(true);
  readonly #parameters = new SearchText(true);
  #protocol = '';
  /** The one at hand. */
  #segment: Buffer = nothing;
  #found: SearchMatch[] = [];

  constructor(matcher: Matcher, { kinds, context }: SearchChoice) {
    this.#matcher = matcher;
    this.#kinds = new Set(kinds);
    this.#context = context;
  }

  /**
   * The next segment.
   * @returns what was found and can be told, in order of time
   * @throws EvidenceError `recording-damaged`, `search-pattern-invalid`
   */
  segment(bytes: Buffer): SearchMatch[] {
    const reader = this.#reader;
    reader.open(bytes);
    this.#segment = bytes;
    while (reader.next()) this.#record();
    return this.#tell(false);
  }

  /** What waited for more lines. */
  end(): SearchMatch[] {
    return this.#tell(true);
  }

  #record(): void {
    const reader = this.#reader;
    switch (reader.kind) {
      case 'input':
      case 'output':
      case 'error-output':
        if (this.#kinds.has(reader.kind)) this.#stream(reader.kind);
        return;
      case 'command':
        this.#command();
        return;
      case 'segment':
      case 'connection':
      case 'connection-closed':
      case 'statement':
      case 'blob':
        this.#told(reader.record());
        return;
      default:
    }
  }

  #stream(kind: StreamKind): void {
    const reader = this.#reader;
    const connection = reader.uint();
    const stream = this.#streamOf(kind, connection);
    stream.text.from(reader.t, connection, reader.uint());
    reader.range();
    stream.take(this.#segment, reader.from, reader.to);
  }

  #streamOf(kind: StreamKind, number: number): Stream {
    const connection = this.#connection(number);
    let stream = connection.streams.get(kind);
    if (stream === undefined) {
      const text = new SearchText(false);
      stream = { kind, text, take: this.#intoText(connection, text) };
      connection.streams.set(kind, stream);
    }
    return stream;
  }

  /** What makes text of a stream's bytes. */
  #intoText({ encoding, terminal }: Connection, text: SearchText): Take {
    if (terminal) {
      const shown = new TerminalText(text);
      return (bytes, start, end) => shown.take(bytes, start, end);
    }
    if (this.#protocol !== 'postgres') return (bytes, start, end) => text.put(bytes, start, end);
    const messages = new PostgresText(text, encoding);
    return (bytes, start, end) => messages.take(bytes, start, end);
  }

  #connection(number: number): Connection {
    let connection = this.#connections.get(number);
    if (connection === undefined) {
      connection = { encoding: null, terminal: false, streams: new Map() };
      this.#connections.set(number, connection);
    }
    return connection;
  }

  #told(record: SegmentRecord | null): void {
    switch (record?.kind) {
      case 'segment':
        this.#protocol = record.protocol;
        for (const [id, { apart }] of this.#statements) if (!apart) this.#statements.delete(id);
        return;
      case 'connection': {
        const { connection, parameters } = record;
        const encoding = encodingLabel(parameters.get('client_encoding') ?? 'UTF8');
        this.#connections.set(connection, { encoding, terminal: parameters.has('term'), streams: new Map() });
        return;
      }
      case 'connection-closed':
        for (const { kind, text } of this.#connections.get(record.connection)?.streams.values() ?? [])
          this.#search(kind, text, true);
        this.#connections.delete(record.connection);
        return;
      case 'statement': {
        if (this.#statements.has(record.statement)) return;
        const { statement, connection, parameterTypes } = record;
        const text = this.#utf8(Buffer.from(this.#contents.whole(record.text)), connection);
        const apart = !Buffer.isBuffer(record.text);
        this.#statements.set(statement, { text, found: this.#isFound(text), parameterTypes, apart });
        return;
      }
      case 'blob':
        this.#contents.take(record.blob, record.offset, record.bytes);
        return;
      default:
    }
  }

  #command(): void {
    const reader = this.#reader;
    const number = reader.uint();
    const command = reader.uint();
    const statement = reader.isUint ? this.#statement(reader.uint()) : null;
    const text = statement?.text ?? this.#utf8(this.#content() ?? nothing, number);
    const parameters = this.#content();
    if (this.#kinds.has('command') && statement?.found !== false) {
      this.#commands.from(reader.t, number, command);
      this.#commands.put(text, 0, text.length);
      this.#commands.endLine();
    }
    if (parameters === null || !this.#kinds.has('parameters')) return;
    this.#parameters.from(reader.t, number, command);
    const types = statement?.parameterTypes ?? [];
    const { encoding } = this.#connection(number);
    putParameters({ protocol: this.#protocol, parameters, text, types, encoding }, this.#parameters);
    this.#parameters.endLine();
  }

  #utf8(text: Buffer, connection: number): Buffer {
    const { encoding } = this.#connection(connection);
    return encoding === null ? text : Buffer.from(new TextDecoder(encoding).decode(text));
  }

  #isFound(text: Buffer): boolean {
    let found = false;
    this.#matcher.find(text, 0, text.length, () => {
      found = true;
    });
    return found;
  }

  /** Of the command at hand; null: it has none. */
  #content(): Buffer | null {
    const reader = this.#reader;
    if (reader.isBytes) {
      reader.range();
      return this.#segment.subarray(reader.from, reader.to);
    }
    const content = reader.content();
    return content === null ? null : this.#contents.whole(content);
  }

  #statement(id: number): Statement {
    const known = this.#statements.get(id);
    if (known !== undefined) return known;
    throw new EvidenceError(
      'recording-damaged',
      'A command refers to a statement that the recording does not have.',
    );
  }

  #tell(over: boolean): SearchMatch[] {
    this.#search('command', this.#commands, true);
    this.#search('parameters', this.#parameters, true);
    for (const { streams } of this.#connections.values())
      for (const { kind, text } of streams.values()) this.#search(kind, text, over);
    const found = this.#found.toSorted((a, b) => a.t - b.t);
    this.#found = [];
    return found;
  }

  #search(kind: SearchKind, text: SearchText, over: boolean): void {
    text.search(this.#matcher, this.#context, over, (line) => this.#found.push({ kind, ...line }));
  }
}
