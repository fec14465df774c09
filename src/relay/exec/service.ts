/** The relay's end of `GET /v1/sessions/:id/exec` (`wire/exec.ts`): one program a socket, for clients that speak no SSH. */
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { execMessageBytes, execSubprotocol } from '../../wire/exec.ts';
import { RelayError } from '../error.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import { refuse, type UpgradeService } from '../upgrade.ts';
import { ExecConnection } from './connection.ts';

/** The session as its programs see it. */
export type ExecSession = Pick<LiveSession, 'exec' | 'leave' | 'end' | 'runsPrograms'>;

export class ExecService implements UpgradeService<ExecSession> {
  readonly #connections = new Set<ExecConnection>();
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: execMessageBytes,
    handleProtocols: () => execSubprotocol,
  });

  close(): void {
    for (const connection of this.#connections) connection.close('relay-stopped');
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer, session: ExecSession): void {
    socket.on('error', () => socket.destroy());
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!offered.includes(execSubprotocol))
      return refuse(socket, new RelayError('request-invalid', `This speaks ${execSubprotocol}.`));
    if (!session.runsPrograms)
      return refuse(socket, new RelayError('request-invalid', 'This target runs no programs.'));
    if (socket instanceof Socket) socket.setTimeout(0).setNoDelay(true);
    this.#server.handleUpgrade(request, socket, head, (websocket) => {
      const connection: ExecConnection = new ExecConnection(websocket, session, () =>
        this.#connections.delete(connection),
      );
      this.#connections.add(connection);
    });
  }
}
