/**
 * The relay's end of tunnels: `GET /v1/sessions/:id/tunnel`. The session decides what its streams are. One tunnel per
 * session: a newer one replaces it.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ByteChannel } from '../bytes/channel.ts';
import type { SessionEnd } from '../model/outcome.ts';
import { acceptUpgrade, afterUpgrade } from '../wire/yamux/websocket-handshake.ts';
import { muxOverWebSocket, sessionEndCode } from '../wire/yamux/websocket-pipe.ts';
import type { WebSocketMux, WebSocketMuxOptions } from '../wire/yamux/websocket-pipe.ts';
import type { SessionTunnel } from './sessions/live-session.ts';
import type { UpgradeService } from './upgrade.ts';

/** The session as its tunnel sees it. */
export interface TunnelledSession {
  /** The tunnel is open. It closes the one before. */
  attach(tunnel: SessionTunnel): void;
  /** The tunnel is gone, whoever closed it. */
  detach(tunnel: SessionTunnel): void;
  /** One connection of a client. */
  accept(client: ByteChannel): void;
  /** The bytes that came together have all been delivered: the tick's work can be recorded and answered. */
  readonly gate: { flush(): void };
}

export interface TunnelServiceOptions {
  /** For tests. */
  readonly keepAlive?: WebSocketMuxOptions['keepAlive'];
}

export class TunnelService implements UpgradeService<TunnelledSession> {
  readonly #options: TunnelServiceOptions;
  readonly #tunnels = new Set<RelayTunnel>();

  constructor(options: TunnelServiceOptions = {}) {
    this.#options = options;
  }

  get open(): number {
    return this.#tunnels.size;
  }

  close(): void {
    for (const tunnel of this.#tunnels) tunnel.close('relay-stopped');
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer, session: TunnelledSession): void {
    if (!acceptUpgrade(request, socket)) return;
    afterUpgrade(socket, head);
    const ends = muxOverWebSocket(socket, {
      role: 'server',
      accept: (stream) => session.accept(stream),
      received: () => {
        session.gate.flush();
        ends.mux.flush();
      },
      // The gate has collected the tick's answers already; a second wait for its end would only cost.
      schedule: (flush) => process.nextTick(flush),
      closed: () => {
        this.#tunnels.delete(tunnel);
        session.detach(tunnel);
      },
      ...(this.#options.keepAlive !== undefined && { keepAlive: this.#options.keepAlive }),
    });
    const tunnel = new RelayTunnel(ends);
    this.#tunnels.add(tunnel);
    session.attach(tunnel);
  }
}

class RelayTunnel implements SessionTunnel {
  readonly #ends: WebSocketMux;

  constructor(ends: WebSocketMux) {
    this.#ends = ends;
  }

  flush(): void {
    this.#ends.mux.flush();
  }

  close(why: SessionEnd): void {
    this.#ends.close({ code: sessionEndCode, reason: why });
  }
}
