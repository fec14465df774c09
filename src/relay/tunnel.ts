/**
 * The relay's end of tunnels: the WebSocket upgrade of `GET /v1/sessions/:id/tunnel`. Who asks is decided before the
 * handshake is answered; the session decides what its streams are. One tunnel per session: a newer one replaces it.
 */
import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ByteChannel } from '../bytes/channel.ts';
import { isSessionId } from '../model/ids.ts';
import type { SessionId } from '../model/ids.ts';
import type { SessionEnd } from '../model/outcome.ts';
import { acceptUpgrade, afterUpgrade } from '../wire/yamux/websocket-handshake.ts';
import { muxOverWebSocket, sessionEndCode } from '../wire/yamux/websocket-pipe.ts';
import type { WebSocketMux, WebSocketMuxOptions } from '../wire/yamux/websocket-pipe.ts';
import { problemOf } from './api/problem.ts';
import { RelayError } from './error.ts';
import type { SessionTunnel } from './sessions/live-session.ts';

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

export interface TunnelServerOptions {
  /** Who asks, and for which session of theirs. @throws HoopError, told to the caller as a problem document */
  readonly authorize: (request: IncomingMessage, session: SessionId) => Promise<TunnelledSession>;
  /** Headers of a refusal: the nonce that the next proof needs. */
  readonly refusalHeaders?: (error: unknown) => Readonly<Record<string, string>>;
  /** For tests. */
  readonly keepAlive?: WebSocketMuxOptions['keepAlive'];
}

/** Upgrades that wait for their authorization, at most. */
const pendingLimit = 256;
const authorizeMs = 15_000;

export class TunnelServer {
  readonly #options: TunnelServerOptions;
  readonly #tunnels = new Set<RelayTunnel>();
  #pending = 0;

  constructor(options: TunnelServerOptions) {
    this.#options = options;
  }

  get open(): number {
    return this.#tunnels.size;
  }

  /** For the HTTP server's `upgrade` event; takes every upgrade, refuses what is no tunnel. Never throws or rejects. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const gone = (): void => void socket.destroy();
    socket.on('error', gone);
    const timer = setTimeout(gone, authorizeMs);
    this.#pending += 1;
    try {
      const session = await this.#options.authorize(request, this.#requested(request));
      if (socket.destroyed) return;
      socket.off('error', gone);
      this.#accept(request, socket, head, session);
    } catch (error) {
      refuse(socket, error, this.#options.refusalHeaders?.(error) ?? {});
    } finally {
      clearTimeout(timer);
      this.#pending -= 1;
    }
  }

  /** Cuts every tunnel; for the end of the process, after the sessions have said why. */
  close(): void {
    for (const tunnel of this.#tunnels) tunnel.close('relay-stopped');
  }

  #requested(request: IncomingMessage): SessionId {
    if (this.#pending > pendingLimit)
      throw new RelayError('relay-overloaded', 'Too many tunnels are being opened.');
    const id = /^\/v1\/sessions\/([^/?]+)\/tunnel$/.exec(request.url ?? '')?.[1] ?? '';
    // A browser says where its script came from; no program of ours does.
    if (request.method !== 'GET' || request.headers.origin !== undefined || !isSessionId(id))
      throw new RelayError('session-unknown', 'There is no such session.');
    return id;
  }

  #accept(request: IncomingMessage, socket: Duplex, head: Buffer, session: TunnelledSession): void {
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

function refuse(socket: Duplex, error: unknown, headers: Readonly<Record<string, string>>): void {
  if (socket.destroyed || !socket.writable) return;
  const problem = problemOf(error);
  const body = JSON.stringify(problem);
  const lines = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`,
    'Connection: close',
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  // A header value with a line break would be a response of somebody else's choice.
  if (lines.some((text) => /[\r\n]/.test(text))) socket.destroy();
  else socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
