/** The exec socket against scripted peers: who is let in, what is refused, and how much may wait. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import WebSocket from 'ws';
import { ExecService, type ExecSession } from '../../src/relay/exec/service.ts';
import { UpgradeServer } from '../../src/relay/upgrade.ts';
import type { AskedFor } from '../../src/protocols/ssh/asked-program.ts';
import type { ClientEnd } from '../../src/protocols/ssh/program.ts';
import { channels, closeFrame, execSubprotocol, frameOf } from '../../src/wire/exec.ts';

const request = { v: 1, command: 'cat', environment: {}, terminal: null, stdin: true, endsSession: true };

interface Script {
  asked: AskedFor[];
  signals: string[];
  ended: string[];
  client: ClientEnd | null;
}
const script: Script = { asked: [], signals: [], ended: [], client: null };
let runsPrograms = true;
const session: ExecSession = {
  get runsPrograms() {
    return runsPrograms;
  },
  exec: (_socket, client, asked) => {
    script.asked.push(asked);
    script.client = client;
    client.input.pause();
    return {
      signal: (name) => void script.signals.push(name),
      resize: ({ columns, rows }) => void script.signals.push(`${columns}x${rows}`),
      abandon: (why) => void script.signals.push(why),
      closed: new Promise(() => undefined),
    };
  },
  leave: () => undefined,
  end: async (why) => void script.ended.push(why),
};
const server = http.createServer();
const upgrades = new UpgradeServer({ authorize: async () => session, services: { exec: new ExecService() } });
server.on('upgrade', (asked, socket, head) => void upgrades.upgrade(asked, socket, head));
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/sessions/01JD0000000000000000000000/exec`;
after(() => {
  upgrades.close();
  server.closeAllConnections();
  server.close();
});

const closeOf = (socket: WebSocket): Promise<number> =>
  new Promise((resolve) => {
    socket.on('error', () => undefined);
    socket.on('close', resolve);
  });

async function open(): Promise<WebSocket> {
  const socket = new WebSocket(url, execSubprotocol);
  await new Promise((resolve) => socket.on('open', resolve));
  return socket;
}

async function refusal(
  options: WebSocket.ClientOptions,
  protocols: string[] = [execSubprotocol],
): Promise<number> {
  const socket = new WebSocket(url, protocols, options);
  socket.on('error', () => undefined);
  return new Promise((resolve) =>
    socket.on('unexpected-response', (_asked, answer) => resolve(answer.statusCode ?? 0)),
  );
}

test('no browser, no other protocol, no target that runs no programs', async () => {
  assert.equal(await refusal({ origin: 'https://example.com' }), 404);
  assert.equal(await refusal({}, ['v4.channel.k8s.io']), 400);
  runsPrograms = false;
  assert.equal(await refusal({}), 400);
  runsPrograms = true;
});

test('the first message is the request, exactly; anything else closes, and nothing runs', async () => {
  const before = script.asked.length;
  const wrong = [
    Buffer.from(JSON.stringify(request)),
    'no json',
    JSON.stringify({ ...request, more: 1 }),
    JSON.stringify({ ...request, v: 2 }),
    JSON.stringify({ ...request, command: 'a\0b' }),
    JSON.stringify({ ...request, command: 'x'.repeat(128 * 1024 + 1) }),
    JSON.stringify({ ...request, environment: { 'A B': 'x' } }),
    JSON.stringify({ ...request, terminal: { term: 'a\u001b', columns: 1, rows: 1 } }),
  ];
  for (const message of wrong) {
    const socket = await open();
    const closed = closeOf(socket);
    socket.send(message);
    assert.equal(await closed, 1002);
  }
  const long = await open();
  const closed = closeOf(long);
  long.send('x'.repeat(1024 * 1024 + 1));
  assert.equal(await closed, 1009);
  assert.equal(script.asked.length, before);
});

test('a signal does not wait behind stdin that nobody takes; what is taken is told', async () => {
  const socket = await open();
  const texts: string[] = [];
  socket.on('message', (data: Buffer, isBinary) => isBinary || texts.push(data.toString()));
  socket.send(JSON.stringify(request));
  for (let i = 0; i < 4; i++) socket.send(frameOf(channels.stdin, Buffer.alloc(64 * 1024)));
  socket.send(JSON.stringify({ signal: 'INT' }));
  socket.send(frameOf(channels.resize, Buffer.from('{"Width":80,"Height":24}')));
  while (!script.signals.includes('80x24')) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(script.signals.slice(-2), ['INT', '80x24']);
  assert.deepEqual(texts, []);
  let read = 0;
  script.client!.input.on('data', (chunk: Buffer) => (read += chunk.length)).resume();
  const ended = new Promise((resolve) => script.client!.input.on('end', resolve));
  socket.send(closeFrame(channels.stdin));
  await ended;
  assert.equal(read, 256 * 1024);
  while (texts.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    texts.reduce((sum, text) => sum + JSON.parse(text).taken, 0),
    256 * 1024,
  );
  const status = new Promise<string>((resolve) => {
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary && data[0] === channels.status) resolve(data.subarray(1).toString());
    });
  });
  const closed = closeOf(socket);
  script.client!.exit({ code: 3 }, null);
  const { reason, details } = JSON.parse(await status);
  assert.deepEqual([reason, details.causes], ['NonZeroExitCode', [{ reason: 'ExitCode', message: '3' }]]);
  assert.equal(await closed, 1000);
  assert.equal(script.ended.at(-1), 'ended');
});

test('a client that goes takes its session with it', async () => {
  const before = script.ended.length;
  const socket = await open();
  socket.send(JSON.stringify(request));
  const asked = script.asked.length;
  while (script.asked.length === asked) await new Promise((resolve) => setImmediate(resolve));
  socket.terminate();
  while (script.ended.length === before) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(script.ended.at(-1), 'disconnected');
  assert.equal(script.signals.at(-1), 'disconnected');
});
