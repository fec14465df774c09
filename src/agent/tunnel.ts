/**
 * The agent's end of a session's tunnel: one WebSocket to the relay, each local connection a stream in it. It does not
 * reconnect; whoever opened it hears why it ended and decides.
 */
import type { Duplex } from 'node:stream';
import type { ByteChannel } from '../bytes/channel.ts';
import type { SessionEnd } from '../model/outcome.ts';
import type { LentReads } from '../system/lent-reads.ts';
import type { YamuxError } from '../wire/yamux/frame.ts';
import { afterUpgrade, requestUpgrade } from '../wire/yamux/websocket-handshake.ts';
import { muxOverWebSocket, sessionEndCode } from '../wire/yamux/websocket-pipe.ts';
import type { WebSocketMux } from '../wire/yamux/websocket-pipe.ts';
import { explain } from './http.ts';
import { handshakeMs, readRefusal, upgraded, type Refusal, type UpgradeOptions } from './upgrade.ts';

export type { RefusedUpgrade } from './upgrade.ts';

export interface TunnelEnd {
  /** What the relay said; null when it said nothing: the tunnel was lost, or we closed it. */
  readonly reason: SessionEnd | null;
  /** What was wrong with the tunnel itself; null when nothing was. */
  readonly error: YamuxError | null;
}

/** Complete by its type: a reason that is not here was not sent by a relay. */
const sessionEnds: Readonly<Record<SessionEnd, true>> = {
  ended: true,
  deadline: true,
  killed: true,
  'access-ended': true,
  disconnected: true,
  'target-unreachable': true,
  'relay-stopped': true,
  'evidence-failed': true,
  'masking-failed': true,
  interrupted: true,
};
export const isSessionEnd = (text: string): text is SessionEnd => Object.hasOwn(sessionEnds, text);

export class Tunnel {
  readonly #ends: WebSocketMux;
  /** Settles once, and never rejects. */
  readonly closed: Promise<TunnelEnd>;

  private constructor(ends: WebSocketMux, closed: Promise<TunnelEnd>) {
    this.#ends = ends;
    this.closed = closed;
  }

  /** @throws RelayProblem when the relay refuses; AgentError `relay-unreachable`, `relay-untrusted` */
  static open(options: UpgradeOptions): Promise<Tunnel> {
    return upgraded(options, (headers) => upgrade(options, headers));
  }

  /** For `upgrade` only. */
  static over(socket: Duplex, reads: LentReads): Tunnel {
    const { promise, resolve } = Promise.withResolvers<TunnelEnd>();
    const ends = muxOverWebSocket(socket, {
      role: 'client',
      accept: null,
      reads,
      // Several connections wait for one another, so that one write is enough; one alone waits for nobody.
      schedule: (flush) => void (ends.mux.streamCount > 1 ? setImmediate(flush) : process.nextTick(flush)),
      closed: (error, peer) => {
        const told = peer?.code === sessionEndCode ? peer.reason : null;
        resolve({ error, reason: told !== null && isSessionEnd(told) ? told : null });
      },
    });
    return new Tunnel(ends, promise);
  }

  /** A stream for a new local connection; null when the tunnel is over or full. */
  open(): ByteChannel | null {
    return this.#ends.mux.open();
  }

  get connections(): number {
    return this.#ends.mux.streamCount;
  }

  /** Ends every connection. The session lives on at the relay until it is ended there. */
  close(): void {
    this.#ends.close({ code: 1000, reason: '' });
  }
}

function upgrade(options: UpgradeOptions, headers: Record<string, string>): Promise<Tunnel | Refusal> {
  const { promise, resolve, reject } = Promise.withResolvers<Tunnel | Refusal>();
  if (options.signal?.aborted) return Promise.reject(options.signal.reason);
  const { request, reads, agrees } = requestUpgrade(options.url, headers, {
    minVersion: 'TLSv1.2',
    ...(options.authorities !== undefined && { ca: options.authorities }),
  });
  const failed = (error: unknown): void =>
    reject(options.signal?.aborted ? options.signal.reason : explain(error, options.url));
  const abort = (): void => void request.destroy(new Error('given up'));
  const timer = setTimeout(() => request.destroy(new Error('no answer in time')), handshakeMs);
  options.signal?.addEventListener('abort', abort);
  const answered = (): void => {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', abort);
  };
  request.on('error', failed);
  request.on('close', answered);
  request.on('response', (response) => {
    readRefusal(response, options.url)
      .then(resolve, failed)
      .finally(() => request.destroy());
  });
  request.on('upgrade', (response, socket, head) => {
    answered();
    if (agrees(response)) {
      afterUpgrade(socket, head);
      resolve(Tunnel.over(socket, reads));
      return;
    }
    socket.on('error', failed);
    socket.destroy();
    failed(new Error('the upgrade was not answered as a WebSocket'));
  });
  return promise;
}
