/**
 * The opening handshake of a WebSocket (RFC 6455, section 4) at both ends: HTTP/1.1 upgrade, version 13, no extension
 * and no subprotocol. Who may open one is decided by the callers; cookies and origins are their business.
 */
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { LentReads } from '../../system/lent-reads.ts';

/** Hashed with the client's key: shows that the answer comes from something that knows the protocol. */
const acceptOf = (key: string): string =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

export interface UpgradeRequest {
  /** Its events `upgrade`, `response` and `error` tell what came of it. */
  readonly request: ClientRequest;
  /** Of the socket that `upgrade` brings, which from then on may read without the stream between. */
  readonly reads: LentReads;
  /** Whether the answer of an `upgrade` event is that of a WebSocket server to this very request. */
  agrees(response: IncomingMessage): boolean;
}

/**
 * Asks for a WebSocket over a connection of its own. Redirects are not followed.
 * @param url http or https
 */
export function requestUpgrade(
  url: string,
  headers: Readonly<Record<string, string>>,
  options: tls.SecureContextOptions,
): UpgradeRequest {
  const key = randomBytes(16).toString('base64');
  const { request } = url.startsWith('https:') ? https : http;
  const reads = new LentReads();
  return {
    reads,
    request: request(url, {
      createConnection: () => connect(new URL(url), options, reads),
      headers: {
        ...headers,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': key,
      },
    }).end(),
    agrees: ({ statusCode, headers: answer }) =>
      statusCode === 101 &&
      answer.upgrade?.toLowerCase() === 'websocket' &&
      answer['sec-websocket-accept'] === acceptOf(key) &&
      answer['sec-websocket-extensions'] === undefined &&
      answer['sec-websocket-protocol'] === undefined,
  };
}

/** What is read is copied into the stream, until somebody else takes it. */
function connect(url: URL, options: tls.SecureContextOptions, reads: LentReads): net.Socket {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const secure = url.protocol === 'https:';
  const where = { host, port: Number(url.port) || (secure ? 443 : 80), onread: reads.onread };
  const names = { servername: net.isIP(host) === 0 ? host : '', ALPNProtocols: ['http/1.1'] };
  const socket = secure ? tls.connect({ ...options, ...names, ...where }) : net.connect(where);
  reads.receiver = (chunk) => void socket.push(Buffer.from(chunk));
  return socket;
}

/**
 * Answers an upgrade that the caller has authorised. False: it asked for something else; it was told so, and the
 * socket closes.
 */
export function acceptUpgrade(request: IncomingMessage, socket: Duplex): boolean {
  const { headers } = request;
  const key = headers['sec-websocket-key'] ?? '';
  const version = headers['sec-websocket-version'];
  const asked =
    request.method === 'GET' &&
    request.httpVersion === '1.1' &&
    headers.upgrade?.toLowerCase() === 'websocket';
  if (!asked || version !== '13' || !/^[+/0-9A-Za-z]{22}==$/.test(key)) {
    const status = asked && version !== '13' ? '426 Upgrade Required' : '400 Bad Request';
    const answer = ['Connection: close', 'Content-Length: 0', 'Sec-WebSocket-Version: 13'];
    socket.on('error', () => socket.destroy());
    socket.end(`HTTP/1.1 ${status}\r\n${answer.join('\r\n')}\r\n\r\n`, () => socket.destroy());
    return false;
  }
  const answer = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${acceptOf(key)}`];
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${answer.join('\r\n')}\r\n\r\n`);
  return true;
}

/**
 * Makes what an `upgrade` event gave ready for frames.
 * @param head what came behind the handshake; becomes the first bytes that `socket` delivers
 */
export function afterUpgrade(socket: Duplex, head: Buffer): void {
  if (head.length > 0) socket.unshift(head);
  if (!(socket instanceof net.Socket)) return;
  socket.setTimeout(0);
  socket.setNoDelay(true);
}
