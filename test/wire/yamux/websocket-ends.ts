/** Two ends of a tunnel over a real WebSocket on loopback, for tests and the micro-benchmark. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import type { ByteChannel } from '../../../src/bytes/channel.ts';
import type { YamuxError } from '../../../src/wire/yamux/frame.ts';
import { acceptUpgrade, afterUpgrade, requestUpgrade } from '../../../src/wire/yamux/websocket-handshake.ts';
import { muxOverWebSocket } from '../../../src/wire/yamux/websocket-pipe.ts';
import type { CloseReason, WebSocketMux } from '../../../src/wire/yamux/websocket-pipe.ts';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** A self-made certificate for localhost, new each time. */
export function selfSigned(): Certificate {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-cert-'));
  try {
    const [key, cert] = [path.join(directory, 'key.pem'), path.join(directory, 'cert.pem')];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const how = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
    ];
    execFileSync('openssl', [...how, '-keyout', key, '-out', cert, ...names], { stdio: 'pipe' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface Closed {
  readonly error: YamuxError | null;
  readonly peer: CloseReason | null;
}

export interface Ends extends AsyncDisposable {
  readonly client: WebSocketMux;
  readonly server: WebSocketMux;
  readonly clientSocket: Duplex;
  readonly serverSocket: Duplex;
  readonly clientClosed: Promise<Closed>;
  readonly serverClosed: Promise<Closed>;
  onStream: (stream: ByteChannel) => void;
  /** Destroys the TCP connection below. */
  cut(): void;
}

export interface EndsOptions {
  readonly secure?: boolean;
  readonly windowBytes?: number;
  readonly clientKeepAlive?: (tick: () => void) => () => void;
}

export async function openEnds(options: EndsOptions): Promise<Ends> {
  const certificate = options.secure === true ? selfSigned() : null;
  const listener = certificate === null ? http.createServer() : https.createServer(certificate);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const [clientClosed, serverClosed] = [Promise.withResolvers<Closed>(), Promise.withResolvers<Closed>()];
  const window = options.windowBytes === undefined ? {} : { windowBytes: options.windowBytes };
  let ends: Ends | null = null;
  const server = new Promise<{ socket: Duplex; tunnel: WebSocketMux }>((resolve) => {
    listener.on('upgrade', (request, socket: Duplex, head) => {
      assert.ok(acceptUpgrade(request, socket));
      afterUpgrade(socket, head);
      const tunnel = muxOverWebSocket(socket, {
        role: 'server',
        accept: (stream) => ends!.onStream(stream),
        closed: (error, peer) => serverClosed.resolve({ error, peer }),
        ...window,
      });
      resolve({ socket, tunnel });
    });
  });
  const url = `${certificate === null ? 'http' : 'https'}://localhost:${(listener.address() as AddressInfo).port}/`;
  const { request, reads, agrees } = requestUpgrade(
    url,
    {},
    certificate === null ? {} : { ca: certificate.cert },
  );
  const near = new Promise<{ socket: Duplex; tunnel: WebSocketMux }>((resolve, reject) => {
    request.on('error', reject);
    request.on('upgrade', (response, socket, head) => {
      assert.ok(agrees(response));
      afterUpgrade(socket, head);
      const tunnel = muxOverWebSocket(socket, {
        role: 'client',
        accept: null,
        reads,
        closed: (error, peer) => clientClosed.resolve({ error, peer }),
        ...window,
        ...(options.clientKeepAlive === undefined ? {} : { keepAlive: options.clientKeepAlive }),
      });
      resolve({ socket, tunnel });
    });
  });
  const { socket: clientSocket, tunnel: client } = await near;
  const far = await server;
  ends = {
    client,
    server: far.tunnel,
    clientSocket,
    serverSocket: far.socket,
    clientClosed: clientClosed.promise,
    serverClosed: serverClosed.promise,
    onStream: () => {},
    cut: () => void far.socket.destroy(),
    [Symbol.asyncDispose]: async () => {
      clientSocket.destroy();
      far.socket.destroy();
      await Promise.all([clientClosed.promise, serverClosed.promise]);
      await new Promise((resolve) => listener.close(resolve));
    },
  };
  return ends;
}
