/**
 * Syslog over TLS (RFC 5425): octet counting on one connection. The protocol has no acknowledgement: a batch counts as taken when
 * all of it was written and the connection still stood a moment later. What was in the receiver's buffers when it died is
 * sent again only when that moment had not passed.
 */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';
import type { Destination, DestinationOptions } from './destination.ts';
import { StreamError } from './error.ts';

const connectMs = 15_000;
const writeMs = 30_000;
const settleMs = 200;
const defaultPort = 6514;

export class SyslogDestination implements Destination {
  readonly #url: URL;
  readonly #options: DestinationOptions;
  #socket: TLSSocket | null = null;

  constructor(url: URL, options: DestinationOptions) {
    this.#url = url;
    this.#options = options;
  }

  async send(lines: readonly string[], stop: AbortSignal): Promise<void> {
    const bytes = Buffer.concat(lines.flatMap(framed));
    try {
      const socket = (this.#socket ??= await this.#connect(stop));
      await written(socket, bytes, AbortSignal.any([stop, AbortSignal.timeout(writeMs)]));
      await delay(settleMs, undefined, { signal: stop });
      if (socket.destroyed || socket.readableEnded) throw new Error('the connection was closed');
    } catch (cause) {
      this.close();
      if (cause instanceof StreamError) throw cause;
      throw new StreamError('stream-unreachable', `${this.#url.host} does not take messages`, { cause });
    }
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  async #connect(stop: AbortSignal): Promise<TLSSocket> {
    const { hostname, port } = this.#url;
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const socket = connect({
      host,
      port: Number(port || defaultPort),
      servername: /^[\d.:[\]]+$/.test(hostname) ? undefined : hostname,
      minVersion: 'TLSv1.2',
      ca: this.#options.ca?.(),
      ...this.#options.client?.(),
    });
    socket.on('error', () => undefined); // told by whoever waits, and by `destroyed` at the next batch
    socket.resume();
    try {
      await once(socket, 'secureConnect', {
        signal: AbortSignal.any([stop, AbortSignal.timeout(connectMs)]),
      });
      return socket;
    } catch (cause) {
      socket.destroy();
      throw new StreamError('stream-unreachable', `${this.#url.host} cannot be reached`, { cause });
    }
  }
}

/** `MSG-LEN SP SYSLOG-MSG`. */
function framed(line: string): Buffer[] {
  const message = Buffer.from(line);
  return [Buffer.from(`${message.length} `), message];
}

function written(socket: TLSSocket, bytes: Buffer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(new Error('it was not written in time', { cause: signal.reason }));
    const close = (): void => reject(new Error('the connection was closed'));
    signal.addEventListener('abort', fail, { once: true });
    socket.once('close', close);
    socket.write(bytes, (error) => {
      signal.removeEventListener('abort', fail);
      socket.off('close', close);
      if (error) reject(error);
      else resolve();
    });
  });
}
