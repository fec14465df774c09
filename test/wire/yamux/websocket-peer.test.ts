/** Our WebSockets against those of another implementation (`ws`), and against peers that break the rules. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { Mux } from '../../../src/wire/yamux/mux.ts';
import { WebSocketViolation } from '../../../src/wire/yamux/websocket-frames.ts';
import { acceptUpgrade, afterUpgrade, requestUpgrade } from '../../../src/wire/yamux/websocket-handshake.ts';
import { muxOverWebSocket } from '../../../src/wire/yamux/websocket-pipe.ts';
import type { CloseReason, WebSocketMux } from '../../../src/wire/yamux/websocket-pipe.ts';
import { listen } from './pair.ts';

interface Server extends AsyncDisposable {
  readonly port: number;
  readonly tunnel: Promise<WebSocketMux>;
  readonly closed: Promise<{ error: { cause?: unknown } | null; peer: CloseReason | null }>;
}

/** Our end as the server; its streams echo. */
async function ourServer(): Promise<Server> {
  const listener = http.createServer();
  const closed = Promise.withResolvers<Awaited<Server['closed']>>();
  const tunnel = Promise.withResolvers<WebSocketMux>();
  const sockets = new Set<Duplex>();
  listener.on('connection', (socket) => sockets.add(socket));
  listener.on('upgrade', (request, socket: Duplex, head) => {
    if (!acceptUpgrade(request, socket)) return;
    afterUpgrade(socket, head);
    tunnel.resolve(
      muxOverWebSocket(socket, {
        role: 'server',
        accept: (stream) =>
          stream.receive({
            data: (chunk) => void stream.write(chunk),
            end: () => stream.end(),
            drained: () => {},
            closed: () => {},
          }),
        closed: (error, peer) => closed.resolve({ error, peer }),
      }),
    );
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    port: (listener.address() as AddressInfo).port,
    tunnel: tunnel.promise,
    closed: closed.promise,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

/** A mux whose pipe is a `ws` WebSocket, as a stranger would write it. */
function muxOverForeign(webSocket: WebSocket, role: 'client' | 'server'): Mux {
  const mux: Mux = new Mux({
    role,
    pipe: {
      headroom: 0,
      bufferedBytes: 0,
      send: (memory, end) => webSocket.send(memory.subarray(0, end)),
      close: () => webSocket.close(1000),
    },
    accept:
      role === 'client'
        ? null
        : (stream) =>
            stream.receive({
              data: (chunk) => void stream.write(chunk),
              end: () => stream.end(),
              drained: () => {},
              closed: () => {},
            }),
    closed: () => {},
  });
  webSocket.on('message', (data: Buffer) => mux.receive(data));
  return mux;
}

const sample = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));

async function echoes(mux: Mux): Promise<void> {
  const stream = mux.open()!;
  const notes = listen(stream);
  for (const [from, to] of [
    [0, 1],
    [1, 200],
    [200, 70_000],
    [70_000, sample.length],
  ])
    stream.write(Buffer.from(sample.subarray(from, to)));
  stream.end();
  assert.equal(await notes.over, null);
  assert.ok(notes.bytes.equals(sample));
}

test('a client of another implementation, with real masks: bytes, pings, the close', async () => {
  await using server = await ourServer();
  const webSocket = new WebSocket(`ws://127.0.0.1:${server.port}/`);
  await once(webSocket, 'open');
  webSocket.ping('are you there');
  const [pong] = (await once(webSocket, 'pong')) as [Buffer];
  assert.equal(pong.toString(), 'are you there');
  await echoes(muxOverForeign(webSocket, 'client'));
  (await server.tunnel).close({ code: 4000, reason: 'killed' });
  const [code, reason] = (await once(webSocket, 'close')) as [number, Buffer];
  assert.deepEqual([code, reason.toString()], [4000, 'killed']);
  await server.closed;
});

test('a server of another implementation: bytes, pings, its close and its reason', async () => {
  const listener = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(listener, 'listening');
  const far = once(listener, 'connection') as Promise<[WebSocket]>;
  const { request, reads, agrees } = requestUpgrade(
    `http://127.0.0.1:${(listener.address() as AddressInfo).port}/`,
    {},
    {},
  );
  const closed = Promise.withResolvers<CloseReason | null>();
  const [response, socket, head] = (await once(request, 'upgrade')) as [http.IncomingMessage, Duplex, Buffer];
  assert.ok(agrees(response));
  afterUpgrade(socket, head);
  const { mux } = muxOverWebSocket(socket, {
    role: 'client',
    accept: null,
    reads,
    closed: (_error, peer) => closed.resolve(peer),
  });
  const [webSocket] = await far;
  muxOverForeign(webSocket, 'server');
  webSocket.ping('here?');
  assert.equal(String(((await once(webSocket, 'pong')) as [Buffer])[0]), 'here?');
  await echoes(mux);
  const theirs = once(webSocket, 'close') as Promise<[number]>;
  webSocket.close(4000, 'deadline');
  assert.deepEqual(await closed.promise, { code: 4000, reason: 'deadline' });
  assert.equal((await theirs)[0], 4000);
  await new Promise((resolve) => listener.close(resolve));
});

const handshake = (more: string): string => `GET / HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
const good =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

/** Sends `bytes` behind a handshake, in one piece; resolves with all that came back. */
async function rawExchange(port: number, opening: string, bytes: Buffer): Promise<Buffer> {
  const socket = net.connect(port, '127.0.0.1');
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  socket.on('error', () => {});
  socket.write(Buffer.concat([Buffer.from(opening), bytes]));
  await once(socket, 'close');
  return Buffer.concat(parts);
}

for (const [what, headers, status] of [
  ['another version', good.replace('13', '8'), '426'],
  ['no key', good.replace(/Sec-WebSocket-Key.*\r\n/, ''), '400'],
  ['a key of another length', good.replace('dGhl', ''), '400'],
  ['another protocol', good.replace('websocket', 'h2c'), '400'],
] as const)
  test(`a handshake with ${what} is refused`, async () => {
    await using server = await ourServer();
    const answer = (await rawExchange(server.port, handshake(headers), Buffer.alloc(0))).toString('latin1');
    assert.equal(answer.split(' ')[1], status);
    assert.doesNotMatch(answer, /Sec-WebSocket-Accept/);
  });

test('an answer that is not that of a WebSocket server is told apart', async () => {
  const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
  for (const lines of [`Sec-WebSocket-Accept: ${accept}\r\n`, '', 'Sec-WebSocket-Extensions: x\r\n']) {
    const listener = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () =>
        socket.end(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${lines}\r\n`,
        ),
      );
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { request, agrees } = requestUpgrade(
      `http://127.0.0.1:${(listener.address() as AddressInfo).port}/`,
      {},
      {},
    );
    const [response, socket] = (await once(request, 'upgrade')) as [http.IncomingMessage, Duplex];
    assert.equal(agrees(response), false);
    socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
  }
});

const key = [0, 0, 0, 0];
for (const [what, code, frame] of [
  ['no mask', 1002, [0x82, 1, 0]],
  ['a reserved bit', 1002, [0xc2, 0x80, ...key]],
  ['an unknown opcode', 1002, [0x83, 0x80, ...key]],
  ['an unknown control opcode', 1002, [0x8b, 0x80, ...key]],
  ['text', 1003, [0x81, 0x80, ...key]],
  ['a control frame in fragments', 1002, [0x09, 0x80, ...key]],
  ['a long control frame', 1002, [0x89, 0xfe, 0, 126, ...key]],
  ['a continuation of nothing', 1002, [0x80, 0x80, ...key]],
  ['a message within a message', 1002, [0x02, 0x80, ...key, 0x82, 0x80, ...key]],
  ['a message of more than 1 MiB', 1009, [0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, ...key]],
  ['a message of 2^63 bytes', 1009, [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, ...key]],
  ['a close code of one byte', 1002, [0x88, 0x81, ...key, 3]],
  ['a close code that may not be sent', 1002, [0x88, 0x82, ...key, 0x03, 0xee]],
] as const)
  test(`a peer that sends ${what} is told ${code} and cut`, async () => {
    await using server = await ourServer();
    const answer = await rawExchange(server.port, handshake(good), Buffer.from(frame));
    const frames = answer.subarray(answer.indexOf('\r\n\r\n') + 4);
    assert.deepEqual([...frames], [0x88, 2, code >> 8, code & 0xff]);
    assert.match(answer.toString('latin1'), /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
    const { error, peer } = await server.closed;
    assert.ok(error?.cause instanceof WebSocketViolation);
    assert.equal(peer, null);
  });

test('a peer that only says that it closes gets its code back', async () => {
  await using server = await ourServer();
  const close = Buffer.from([0x88, 0x83, 1, 2, 3, 4, 0x0f ^ 1, 0xa0 ^ 2, 0x78 ^ 3]);
  const answer = await rawExchange(server.port, handshake(good), close);
  assert.deepEqual([...answer.subarray(answer.indexOf('\r\n\r\n') + 4)], [0x88, 2, 0x0f, 0xa0]);
  assert.deepEqual((await server.closed).peer, { code: 4000, reason: 'x' });
});
