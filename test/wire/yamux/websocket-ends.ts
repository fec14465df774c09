/** Two ends of a tunnel over a real WebSocket on loopback, for tests and the micro-benchmark. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { ByteChannel } from '../../../src/bytes/channel.ts';
import type { YamuxError } from '../../../src/wire/yamux/frame.ts';
import { muxOverWebSocket, webSocketOptions } from '../../../src/wire/yamux/websocket-pipe.ts';
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
  readonly clientSocket: WebSocket;
  readonly serverSocket: WebSocket;
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
  const webSockets = new WebSocketServer({ noServer: true, ...webSocketOptions });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const [clientClosed, serverClosed] = [Promise.withResolvers<Closed>(), Promise.withResolvers<Closed>()];
  const window = options.windowBytes === undefined ? {} : { windowBytes: options.windowBytes };
  let ends: Ends | null = null;
  const server = new Promise<{ webSocket: WebSocket; tunnel: WebSocketMux; cut: () => void }>((resolve) => {
    listener.on('upgrade', (request, socket, head) =>
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        const tunnel = muxOverWebSocket(webSocket, socket, {
          role: 'server',
          accept: (stream) => ends!.onStream(stream),
          closed: (error, peer) => serverClosed.resolve({ error, peer }),
          ...window,
        });
        resolve({ webSocket, tunnel, cut: () => socket.destroy() });
      }),
    );
  });
  const url = `${certificate === null ? 'ws' : 'wss'}://localhost:${(listener.address() as AddressInfo).port}/`;
  const clientSocket = new WebSocket(url, {
    ...webSocketOptions,
    ...(certificate === null ? {} : { ca: certificate.cert }),
    generateMask: () => {},
    family: 4,
  });
  const client = await new Promise<WebSocketMux>((resolve, reject) => {
    let below: Duplex | null = null;
    clientSocket.on('upgrade', (response) => {
      below = response.socket;
    });
    clientSocket.on('error', reject);
    clientSocket.on('open', () =>
      resolve(
        muxOverWebSocket(clientSocket, below!, {
          role: 'client',
          accept: null,
          closed: (error, peer) => clientClosed.resolve({ error, peer }),
          ...window,
          ...(options.clientKeepAlive === undefined ? {} : { keepAlive: options.clientKeepAlive }),
        }),
      ),
    );
  });
  const far = await server;
  ends = {
    client,
    server: far.tunnel,
    clientSocket,
    serverSocket: far.webSocket,
    clientClosed: clientClosed.promise,
    serverClosed: serverClosed.promise,
    onStream: () => {},
    cut: far.cut,
    [Symbol.asyncDispose]: async () => {
      clientSocket.terminate();
      far.webSocket.terminate();
      await Promise.all([clientClosed.promise, serverClosed.promise]);
      await new Promise((resolve) => listener.close(resolve));
    },
  };
  return ends;
}
