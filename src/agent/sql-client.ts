/**
 * SQL over a session's tunnel, with node-postgres: results as they come, at the pace of whoever takes them. PostgreSQL's own
 * texts of values, nothing parsed.
 */
import pg from 'pg';
import { ChannelStream } from '../bytes/channel-stream.ts';
import type { SessionAnswer } from '../wire/api.ts';
import { AgentError } from './error.ts';
import type { Tunnel } from './tunnel.ts';

export interface SqlColumn {
  readonly name: string;
  /** OID of its type. */
  readonly type: number;
}

/** An error or a notice of the server, or of the relay in its place. */
export interface SqlMessage {
  readonly severity: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
  /** In the text, from 1. */
  readonly position: number | null;
}

/** Where results go. False: it wants no more until `SqlClient.resume`. */
export interface SqlReceiver {
  columns(columns: readonly SqlColumn[]): void;
  row(values: readonly (string | null)[]): boolean;
  /** What COPY TO STDOUT sends. */
  copied(bytes: Buffer): boolean;
  /** The end of one statement, with its tag; null for an empty text. */
  completed(tag: string | null): void;
}

/** Protocol 3.0: 1234 << 16 | 5678. */
const cancelCode = 80_877_102;

/** The parts of node-postgres that its types do not tell. */
interface Connection {
  readonly stream: ChannelStream;
  query(text: string): void;
  sendCopyFail(message: string): void;
}
interface Fields {
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
}

export class SqlClient {
  readonly #tunnel: Tunnel;
  readonly #client: pg.Client;
  readonly #stream: ChannelStream;

  private constructor(tunnel: Tunnel, client: pg.Client, stream: ChannelStream) {
    this.#tunnel = tunnel;
    this.#client = client;
    this.#stream = stream;
  }

  /** @throws AgentError `relay-unreachable`; what the target says, see `messageOf` */
  static async connect(
    tunnel: Tunnel,
    { database }: SessionAnswer,
    user: string,
    notice: (message: SqlMessage) => void,
  ): Promise<SqlClient> {
    const channel = tunnel.open();
    if (channel === null) throw lost();
    const stream = new SocketLike(channel);
    const client = new pg.Client({
      stream: () => stream as never,
      user,
      password: '',
      application_name: 'hoop',
      client_encoding: 'UTF8',
      ...(database !== null && { database }),
    });
    client.on('notice', (message) => notice(toldBy(message)));
    client.on('error', () => undefined);
    await client.connect();
    return new SqlClient(tunnel, client, stream);
  }

  /** One text, of any number of statements. Rejects with what the server said, see `messageOf`. */
  run(text: string, receiver: SqlReceiver): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.query(
        new StreamedQuery(text, receiver, (error) => (error ? reject(error) : resolve())) as never,
      );
    });
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Asks the server to stop what runs; a question to people is withdrawn. */
  cancel(): void {
    const { processID, secretKey } = this.#client as unknown as { processID: number; secretKey: number };
    const channel = this.#tunnel.open();
    if (channel === null) return;
    channel.receive({
      data: () => undefined,
      end: () => channel.destroy(),
      drained: () => undefined,
      closed: () => undefined,
    });
    const request = Buffer.alloc(16);
    request.writeInt32BE(16, 0);
    request.writeInt32BE(cancelCode, 4);
    request.writeInt32BE(processID, 8);
    request.writeInt32BE(secretKey, 12);
    channel.write(request);
    channel.end();
  }

  close(): Promise<void> {
    return this.#client.end().catch(() => undefined);
  }
}

/** What a failure says; null when it is none of the server's. */
export function messageOf(error: unknown): SqlMessage | null {
  return error instanceof pg.DatabaseError ? toldBy(error) : null;
}

/** Policy, or people, said no; PostgreSQL says `permission denied for …`. */
export const isDenied = ({ sqlstate, message }: SqlMessage): boolean =>
  sqlstate === '42501' && /^permission denied (by policy|in review [0-9A-Z]{26})$/.test(message);

export const lost = (cause?: unknown): AgentError =>
  new AgentError('relay-unreachable', 'the connection through the relay was lost', {
    hint: 'whether the command took effect is not known; the record tells: hoop audit sessions',
    cause,
  });

function toldBy(told: object): SqlMessage {
  const { severity, code, message, detail, hint, position } = told as Partial<Record<string, string>>;
  return {
    severity: severity ?? 'ERROR',
    sqlstate: code ?? '',
    message: message ?? '',
    detail: detail ?? null,
    hint: hint ?? null,
    position: position === undefined ? null : Number(position),
  };
}

/** What node-postgres asks of a socket that is connected already. */
class SocketLike extends ChannelStream {
  connect(): void {
    process.nextTick(() => this.emit('connect'));
  }

  setNoDelay(): void {}
  setKeepAlive(): void {}
  ref(): void {}
  unref(): void {}
}

/** A simple query whose results are passed on; node-postgres calls its methods by name. */
class StreamedQuery {
  /** node-postgres puts a function here unless there is one. */
  readonly callback = (): void => undefined;
  readonly #text: string;
  readonly #receiver: SqlReceiver;
  readonly #over: (error: Error | null) => void;
  #stream: ChannelStream | null = null;

  constructor(text: string, receiver: SqlReceiver, over: (error: Error | null) => void) {
    this.#text = text;
    this.#receiver = receiver;
    this.#over = over;
  }

  submit(connection: Connection): null {
    this.#stream = connection.stream;
    connection.query(this.#text);
    return null;
  }

  handleRowDescription({ fields }: Fields): void {
    this.#receiver.columns(fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID })));
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    if (!this.#receiver.row(fields)) this.#stream?.pause();
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    if (!this.#receiver.copied(chunk)) this.#stream?.pause();
  }

  /** Stdin holds the SQL itself. */
  handleCopyInResponse(connection: Connection): void {
    connection.sendCopyFail('COPY FROM STDIN needs a client that sends data: hoop connect NAME -- psql');
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#receiver.completed(text);
  }

  handleEmptyQuery(): void {
    this.#receiver.completed(null);
  }

  handlePortalSuspended(): void {}

  /** The last that node-postgres tells of this query. */
  handleError(error: Error): void {
    this.#over(error);
  }

  handleReadyForQuery(): void {
    this.#over(null);
  }
}
