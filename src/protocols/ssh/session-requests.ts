/**
 * Signals and window changes to a program at the target. ssh2's own methods say nothing once the program's stdin has
 * ended, although the channel takes requests until it is closed (RFC 4254 §6.7, §6.9; only data ends with EOF, §5.3): its
 * encoder is called instead, and where that is not what it was, the methods.
 */
import type { Client, ClientChannel } from 'ssh2';

interface Encoder {
  signal(channel: number, name: string): void;
  windowChange(channel: number, rows: number, columns: number, height: number, width: number): void;
}
interface Outgoing {
  readonly id: number;
  readonly state: string;
}

export class SessionRequests {
  readonly #client: Client;
  readonly #channel: ClientChannel;

  constructor(client: Client, channel: ClientChannel) {
    this.#client = client;
    this.#channel = channel;
  }

  /** @param name without `SIG`; those of RFC 4254 §6.10 */
  signal(name: string): void {
    const half = this.#halfOpen();
    if (half === null) this.#channel.signal(name);
    else half.encoder.signal(half.id, name);
  }

  resize(columns: number, rows: number): void {
    const half = this.#halfOpen();
    if (half === null) this.#channel.setWindow(rows, columns, 0, 0);
    else half.encoder.windowChange(half.id, rows, columns, 0, 0);
  }

  /** The channel, once its stdin has ended and as long as it is not closed. */
  #halfOpen(): { encoder: Encoder; id: number } | null {
    const encoder: unknown = Reflect.get(this.#client, '_protocol');
    const outgoing: unknown = Reflect.get(this.#channel, 'outgoing');
    if (!isEncoder(encoder) || !isOutgoing(outgoing) || outgoing.state !== 'eof') return null;
    return { encoder, id: outgoing.id };
  }
}

const isEncoder = (value: unknown): value is Encoder =>
  typeof value === 'object' &&
  value !== null &&
  'signal' in value &&
  typeof value.signal === 'function' &&
  'windowChange' in value &&
  typeof value.windowChange === 'function';
const isOutgoing = (value: unknown): value is Outgoing =>
  typeof value === 'object' &&
  value !== null &&
  'id' in value &&
  typeof value.id === 'number' &&
  'state' in value &&
  typeof value.state === 'string';
