/**
 * WebSocket upgrades of the relay: `GET /v1/sessions/:id/NAME`. Who asks is decided before the handshake is answered, in
 * the same way for every service; what is spoken afterwards is the service's.
 */
import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { isSessionId } from '../model/ids.ts';
import type { SessionId } from '../model/ids.ts';
import { problemOf } from './api/problem.ts';
import { RelayError } from './error.ts';

/** What a session's sockets are for: its tunnel, one program. */
export interface UpgradeService<Session> {
  /** Answers the handshake of somebody who may. Never throws. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, session: Session): void;
  /** Cuts everything that is open. */
  close(): void;
}

export interface UpgradeServerOptions<Session> {
  /** Who asks, and for which session of theirs. @throws HoopError, told to the caller as a problem document */
  readonly authorize: (request: IncomingMessage, session: SessionId) => Promise<Session>;
  /** By the last part of the path. */
  readonly services: Readonly<Record<string, UpgradeService<Session>>>;
  /** Headers of a refusal: the nonce that the next proof needs. */
  readonly refusalHeaders?: (error: unknown) => Readonly<Record<string, string>>;
}

/** Upgrades that wait for their authorization, at most. */
const pendingLimit = 256;
const authorizeMs = 15_000;

export class UpgradeServer<Session> {
  readonly #options: UpgradeServerOptions<Session>;
  #pending = 0;

  constructor(options: UpgradeServerOptions<Session>) {
    this.#options = options;
  }

  /** For the HTTP server's `upgrade` event; takes every upgrade, refuses what is no service. Never throws or rejects. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const gone = (): void => void socket.destroy();
    socket.on('error', gone);
    const timer = setTimeout(gone, authorizeMs);
    this.#pending += 1;
    try {
      const { id, service } = this.#requested(request);
      const session = await this.#options.authorize(request, id);
      if (socket.destroyed) return;
      socket.off('error', gone);
      service.accept(request, socket, head, session);
    } catch (error) {
      refuse(socket, error, this.#options.refusalHeaders?.(error) ?? {});
    } finally {
      clearTimeout(timer);
      this.#pending -= 1;
    }
  }

  /** For the end of the process, after the sessions have said why. */
  close(): void {
    for (const service of Object.values(this.#options.services)) service.close();
  }

  #requested(request: IncomingMessage): { id: SessionId; service: UpgradeService<Session> } {
    if (this.#pending > pendingLimit)
      throw new RelayError('relay-overloaded', 'Too many tunnels are being opened.');
    const [, id = '', name = ''] = /^\/v1\/sessions\/([^/?]+)\/([a-z]+)$/.exec(request.url ?? '') ?? [];
    const { services } = this.#options;
    const service = Object.hasOwn(services, name) ? services[name] : undefined;
    // A browser says where its script came from; no program of ours does.
    const foreign = request.method !== 'GET' || request.headers.origin !== undefined;
    if (foreign || service === undefined || !isSessionId(id))
      throw new RelayError('session-unknown', 'There is no such session.');
    return { id, service };
  }
}

/** Answers with a problem document instead of the upgrade. */
export function refuse(socket: Duplex, error: unknown, headers: Readonly<Record<string, string>> = {}): void {
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
