/** Both programs' ends of a tunnel against each other: the upgrade, its refusals, the streams, the end. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { Tunnel } from '../../src/agent/tunnel.ts';
import type { RefusedUpgrade } from '../../src/agent/tunnel.ts';
import type { ByteChannel } from '../../src/bytes/channel.ts';
import { RelayError } from '../../src/relay/error.ts';
import { TunnelService } from '../../src/relay/tunnel.ts';
import type { TunnelServiceOptions, TunnelledSession } from '../../src/relay/tunnel.ts';
import { UpgradeServer } from '../../src/relay/upgrade.ts';
import type { UpgradeServerOptions } from '../../src/relay/upgrade.ts';
import type { SessionTunnel } from '../../src/relay/sessions/live-session.ts';
import { codeOf, listen } from '../wire/yamux/pair.ts';
import { selfSigned } from '../wire/yamux/websocket-ends.ts';

const session = '01JD0000000000000000000000';
const certificate = selfSigned();

/** A session that echoes, and notes its tunnels. */
class Echo implements TunnelledSession {
  readonly tunnels: SessionTunnel[] = [];
  readonly detached: SessionTunnel[] = [];
  onDetach: (() => void) | null = null;
  flushes = 0;
  readonly gate = { flush: () => void (this.flushes += 1) };

  attach(tunnel: SessionTunnel): void {
    this.tunnels.at(-1)?.close('disconnected');
    this.tunnels.push(tunnel);
  }

  detach(tunnel: SessionTunnel): void {
    this.detached.push(tunnel);
    this.onDetach?.();
  }

  accept(client: ByteChannel): void {
    client.receive({
      data: (chunk) => void client.write(chunk),
      end: () => client.end(),
      drained: () => {},
      closed: () => {},
    });
  }
}

interface Relay extends AsyncDisposable {
  readonly url: string;
  readonly tunnels: TunnelService;
}

type Authorization = Pick<UpgradeServerOptions<TunnelledSession>, 'authorize' | 'refusalHeaders'>;

async function relay(options: Authorization & TunnelServiceOptions, secure = false): Promise<Relay> {
  const server = secure ? https.createServer(certificate) : http.createServer();
  const tunnels = new TunnelService(options);
  const upgrades = new UpgradeServer({ ...options, services: { tunnel: tunnels } });
  server.on('upgrade', (request, socket, head) => void upgrades.upgrade(request, socket, head));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  return {
    url: `${secure ? 'https' : 'http'}://localhost:${port}/v1/sessions/${session}/tunnel`,
    tunnels,
    [Symbol.asyncDispose]: async () => {
      upgrades.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const noHeaders = () => Promise.resolve({});
const withProof = () => Promise.resolve({ authorization: 'DPoP token', dpop: 'proof' });
const fromBrowser = () => Promise.resolve({ origin: 'https://example.com' });

for (const secure of [false, true]) {
  test(`connections echo through a tunnel over ${secure ? 'https' : 'http'}, and the gate is told of each batch`, async () => {
    const echo = new Echo();
    await using server = await relay({ authorize: () => Promise.resolve(echo) }, secure);
    const tunnel = await Tunnel.open({
      url: server.url,
      headers: noHeaders,
      ...(secure && { authorities: [certificate.cert] }),
    });
    const streams = Array.from({ length: 20 }, () => tunnel.open()!);
    const notes = streams.map((stream) => listen(stream));
    for (const [i, stream] of streams.entries()) {
      stream.write(Buffer.from(`statement ${i}`));
      stream.end();
    }
    await Promise.all(notes.map((note) => note.over));
    assert.deepEqual(
      notes.map((note) => note.bytes.toString()),
      streams.map((_, i) => `statement ${i}`),
    );
    assert.ok(echo.flushes >= 1);
    assert.equal(tunnel.connections, 0);
    tunnel.close();
    assert.deepEqual(await tunnel.closed, { error: null, reason: null });
  });
}

test('the authorization sees the request and the session asked for', async () => {
  const seen: unknown[] = [];
  await using server = await relay({
    authorize: (request, id) => {
      seen.push([request.headers.authorization, request.headers.dpop, id, request.url]);
      return Promise.resolve(new Echo());
    },
  });
  const tunnel = await Tunnel.open({ url: server.url, headers: withProof });
  tunnel.close();
  await tunnel.closed;
  assert.deepEqual(seen, [['DPoP token', 'proof', session, `/v1/sessions/${session}/tunnel`]]);
});

test('a refusal arrives as the problem that it is, and is not tried again', async () => {
  let asked = 0;
  const authorize = () => {
    asked += 1;
    return Promise.reject(
      new RelayError('session-unknown', 'There is no such session.', { hint: 'open one' }),
    );
  };
  await using server = await relay({ authorize });
  await assert.rejects(Tunnel.open({ url: server.url, headers: noHeaders }), {
    name: 'RelayProblem',
    code: 'session-unknown',
    status: 404,
    hint: 'open one',
  });
  assert.equal(asked, 1);
  assert.equal(server.tunnels.open, 0);
});

test('a proof that lacks the nonce is made again with the one in the refusal', async () => {
  const answer = http.createServer();
  const services = { tunnel: new TunnelService() };
  const tunnels = new UpgradeServer({ authorize: () => Promise.resolve(new Echo()), services });
  answer.on('upgrade', (request, socket, head) => {
    if (request.headers.dpop === 'with n1') void tunnels.upgrade(request, socket, head);
    else {
      const body = JSON.stringify({ title: 'nonce', status: 401, code: 'dpop-nonce-required' });
      socket.end(
        `HTTP/1.1 401 Unauthorized\r\nDPoP-Nonce: n1\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      );
    }
  });
  await new Promise<void>((resolve) => answer.listen(0, '127.0.0.1', resolve));
  const { port } = answer.address() as net.AddressInfo;
  const attempts: (RefusedUpgrade | null)[] = [];
  const tunnel = await Tunnel.open({
    url: `http://localhost:${port}/v1/sessions/${session}/tunnel`,
    headers: (refused) => {
      attempts.push(refused);
      return Promise.resolve({ dpop: `with ${refused?.headers['dpop-nonce'] ?? 'nothing'}` });
    },
  });
  assert.deepEqual(
    attempts.map((refused) => refused?.code),
    [undefined, 'dpop-nonce-required'],
  );
  tunnel.close();
  await tunnel.closed;
  await new Promise((resolve) => answer.close(resolve));
});

test('what is no tunnel is refused: other paths, other ids, requests of browsers, plain requests', async () => {
  await using server = await relay({ authorize: () => Promise.resolve(new Echo()) });
  const base = server.url.replace(/\/v1.*/, '');
  for (const path of [
    '/',
    '/v1/sessions/x/tunnel',
    `/v1/sessions/${session}/tunnel/more`,
    `/v1/sessions/${session}`,
  ])
    await assert.rejects(Tunnel.open({ url: base + path, headers: noHeaders }), { code: 'session-unknown' });
  await assert.rejects(Tunnel.open({ url: server.url, headers: fromBrowser }), { code: 'session-unknown' });
});

test('a failure inside the authorization says nothing of itself', async () => {
  await using server = await relay({ authorize: () => Promise.reject(new Error('secret detail')) });
  await assert.rejects(Tunnel.open({ url: server.url, headers: noHeaders }), {
    code: 'internal',
    status: 500,
    message: 'The relay failed.',
  });
});

test('the end of the session is told with its reason', async () => {
  const echo = new Echo();
  await using server = await relay({ authorize: () => Promise.resolve(echo) });
  const tunnel = await Tunnel.open({ url: server.url, headers: noHeaders });
  const notes = listen(tunnel.open()!);
  echo.tunnels[0]!.close('killed');
  assert.deepEqual(await tunnel.closed, { error: null, reason: 'killed' });
  assert.equal(codeOf(await notes.over), 'tunnel-lost');
  assert.equal(tunnel.open(), null);
});

test('a second tunnel of a session replaces the first', async () => {
  const echo = new Echo();
  await using server = await relay({ authorize: () => Promise.resolve(echo) });
  const first = await Tunnel.open({ url: server.url, headers: noHeaders });
  const second = await Tunnel.open({ url: server.url, headers: noHeaders });
  assert.deepEqual(await first.closed, { error: null, reason: 'disconnected' });
  if (echo.detached.length === 0) await new Promise<void>((resolve) => (echo.onDetach = resolve));
  assert.deepEqual(echo.detached, [echo.tunnels[0]]);
  const stream = second.open()!;
  const notes = listen(stream);
  const echoed = new Promise<void>((resolve) => (notes.onData = () => resolve()));
  stream.write(Buffer.from('x'));
  await echoed;
  second.close();
  await second.closed;
});

test('a relay that is not there, and one whose certificate is not trusted', async () => {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const url = `http://localhost:${port}/v1/sessions/${session}/tunnel`;
  await assert.rejects(Tunnel.open({ url, headers: noHeaders }), { code: 'relay-unreachable' });
  await using secure = await relay({ authorize: () => Promise.resolve(new Echo()) }, true);
  await assert.rejects(Tunnel.open({ url: secure.url, headers: noHeaders }), { code: 'relay-untrusted' });
});

test('opening can be given up', async () => {
  const silent = net.createServer((socket) => void sockets.push(socket));
  const sockets: net.Socket[] = [];
  after(() => sockets.forEach((socket) => socket.destroy()));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as net.AddressInfo;
  const stop = new AbortController();
  silent.on('connection', () => stop.abort(new Error('given up')));
  const url = `http://localhost:${port}/v1/sessions/${session}/tunnel`;
  await assert.rejects(Tunnel.open({ url, headers: noHeaders, signal: stop.signal }), {
    message: 'given up',
  });
  silent.close();
});
