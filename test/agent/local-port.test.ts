/** The local port: who gets in, how connections end, which port it is. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { openLocalPort, openLocalSocket } from '../../src/agent/local-port.ts';
import type { LocalPort, LocalPortOptions } from '../../src/agent/local-port.ts';
import { PeerUids } from '../../src/system/peer-uid.ts';
import { pair } from '../wire/yamux/pair.ts';
import type { Pair } from '../wire/yamux/pair.ts';
import type { ByteChannel } from '../../src/bytes/channel.ts';

const linux = { skip: process.platform !== 'linux' && 'the check of the peer needs Linux' };
const peers = new PeerUids();

/** A tunnel in memory whose far end does what `serve` says with each stream. */
function tunnel(serve: (stream: ByteChannel) => void): Pair {
  const made: Pair = pair(
    { schedule: (flush) => void setImmediate(() => (flush(), carry())) },
    { accept: serve, schedule: (flush) => void setImmediate(() => (flush(), carry())) },
  );
  const carry = (): void => {
    made.client.pipe.carry(made.client.mux, made.server.mux);
    made.server.pipe.carry(made.server.mux, made.client.mux);
  };
  return made;
}

function echo(stream: ByteChannel): void {
  stream.receive({
    data: (chunk) => void stream.write(chunk),
    end: () => stream.end(),
    drained: () => {},
    closed: () => {},
  });
}

async function open(
  t: { after: (end: () => Promise<void>) => void },
  serve: (stream: ByteChannel) => void,
  options: Partial<LocalPortOptions> = {},
): Promise<LocalPort> {
  const { client } = tunnel(serve);
  const stream = () => client.mux.open();
  const port = await openLocalPort({ port: null, exact: false, peers, stream, ...options });
  t.after(() => port.close());
  return port;
}

async function exchange(where: net.NetConnectOpts, text: string): Promise<string> {
  const socket = net.connect(where);
  socket.end(text);
  const parts: Buffer[] = [];
  for await (const part of socket as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString();
}

const loopback = (port: LocalPort) => ({ port: port.port, host: '127.0.0.1' });

test('100 connections of the owner at once, each with its own stream', linux, async (t) => {
  const port = await open(t, echo);
  const texts = Array.from({ length: 100 }, (_, i) => `${i} `.repeat(i + 1));
  const answers = await Promise.all(texts.map((text) => exchange(loopback(port), text)));
  assert.deepEqual(answers, texts);
});

test('a port that is taken: the next free one, or an error where no other will do', linux, async (t) => {
  const first = await open(t, echo);
  const second = await open(t, echo, { port: first.port });
  assert.ok(second.port > first.port);
  await assert.rejects(open(t, echo, { port: first.port, exact: true }), { code: 'port-taken' });
});

test('it listens on loopback and nowhere else', linux, async (t) => {
  const port = await open(t, echo);
  const socket = net.connect({ port: port.port, host: '127.0.0.2' });
  const [error] = (await once(socket, 'error')) as [Error];
  assert.match(String(error), /ECONNREFUSED/);
});

test('whoever is not the owner is refused before a byte is read or sent on', linux, async (t) => {
  let streams = 0;
  const refused = Promise.withResolvers<void>();
  class Stranger extends PeerUids {
    override find(): Promise<number | null> {
      return Promise.resolve((process.geteuid?.() ?? 0) + 1);
    }
  }
  const port = await open(t, () => (streams += 1), {
    peers: new Stranger(),
    refused: () => refused.resolve(),
  });
  const socket = net.connect(loopback(port));
  socket.write('select 1');
  socket.on('error', () => {});
  await Promise.all([refused.promise, once(socket, 'close')]);
  assert.equal(streams, 0);
});

test('a client whose uid cannot be told is refused', linux, async (t) => {
  class Unknown extends PeerUids {
    override find(): Promise<number | null> {
      return Promise.resolve(null);
    }
  }
  const port = await open(t, echo, { peers: new Unknown() });
  const socket = net.connect(loopback(port));
  socket.on('error', () => {});
  await once(socket, 'close');
  assert.equal(socket.bytesRead, 0);
});

const twoUsers = {
  skip:
    process.platform !== 'linux'
      ? 'the check of the peer needs Linux'
      : process.geteuid!() !== 0 && 'becoming another user needs root',
};

test('two real users: the second cannot use the first one’s port', twoUsers, async (t) => {
  let streams = 0;
  let refusals = 0;
  const serve = (stream: ByteChannel) => {
    streams += 1;
    echo(stream);
  };
  const port = await open(t, serve, { refused: () => (refusals += 1) });
  const client = `
    exec 3<>/dev/tcp/127.0.0.1/${port.port} || exit 9
    printf 'hello\\n' >&3
    IFS= read -r -t 20 answer <&3; printf '%s' "$answer"`;
  const run = promisify(execFile);
  const asOwner = await run('bash', ['-c', client]);
  assert.equal(asOwner.stdout, 'hello');
  const asNobody = await run('setpriv', [
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    'bash',
    '-c',
    client,
  ]).catch((error: { stdout: string }) => error);
  assert.equal(asNobody.stdout, '');
  assert.deepEqual([streams, refusals], [1, 1]);
});

test('two real users, many at once: every one of the owner, none of the other', twoUsers, async (t) => {
  const seen: string[] = [];
  const serve = (stream: ByteChannel) =>
    stream.receive({
      data: (chunk) => void seen.push(chunk.toString()),
      end: () => stream.end(),
      drained: () => {},
      closed: () => {},
    });
  const port = await open(t, serve);
  const knock = `for i in $(seq 20); do (exec 3<>/dev/tcp/127.0.0.1/${port.port} && echo "$0" >&3; cat <&3) 2>/dev/null & done; wait`;
  const run = promisify(execFile);
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', 'bash', '-c', knock, 'nobody'];
  const owner = `for i in $(seq 20); do (exec 3<>/dev/tcp/127.0.0.1/${port.port} && echo owner >&3; read -r -t 0.01 x <&3) & done; wait`;
  // The owner's clients leave at once: those may be gone before they are looked for, which is a refusal and no leak.
  await Promise.all([run('setpriv', asNobody), run('bash', ['-c', owner])]);
  assert.ok(!seen.join('').includes('nobody'));
});

test('another user who sends and closes at once does not pass for the owner', twoUsers, async (t) => {
  let streams = 0;
  let refusals = 0;
  const refused = Promise.withResolvers<void>();
  const port = await open(t, () => (streams += 1), {
    refused: () => {
      refusals += 1;
      if (refusals === 30) refused.resolve();
    },
  });
  const hitAndRun = `for i in $(seq 30); do (exec 3<>/dev/tcp/127.0.0.1/${port.port}; echo 'drop table customers' >&3); done`;
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', 'bash', '-c', hitAndRun];
  await promisify(execFile)('setpriv', asNobody);
  await refused.promise;
  assert.equal(streams, 0);
});

test('an error that is the last thing the relay says reaches the client before the cut', linux, async (t) => {
  const message = 'FATAL: the session has ended';
  const port = await open(t, (stream) => {
    stream.receive({ data: () => {}, end: () => {}, drained: () => {}, closed: () => {} });
    stream.write(Buffer.from(message));
    setImmediate(() => stream.destroy());
  });
  const socket = net.connect(loopback(port));
  const parts: Buffer[] = [];
  for await (const part of socket as AsyncIterable<Buffer>) parts.push(part);
  assert.equal(Buffer.concat(parts).toString(), message);
});

test('a client that is killed ends its stream', linux, async (t) => {
  const closed = Promise.withResolvers<Error | null>();
  const opened = Promise.withResolvers<void>();
  const port = await open(t, (stream) =>
    stream.receive({
      data: () => opened.resolve(),
      end: () => {},
      drained: () => {},
      closed: closed.resolve,
    }),
  );
  const socket = net.connect(loopback(port));
  socket.write('x');
  await opened.promise;
  socket.resetAndDestroy();
  assert.match(String(await closed.promise), /stream-reset|dropped/);
});

test(
  'without a tunnel a client gets an ordinary end of its connection, and the port stays',
  linux,
  async (t) => {
    const port = await open(t, echo, { stream: () => null });
    const socket = net.connect(loopback(port));
    socket.on('error', () => {});
    await once(socket, 'close');
    const again = net.connect(loopback(port));
    await once(again, 'connect');
    again.destroy();
  },
);

test('a Unix socket serves as well, in a directory of the user alone', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-socket-'));
  after(() => rmSync(directory, { recursive: true }));
  const { client } = tunnel(echo);
  const stream = () => client.mux.open();
  chmodSync(directory, 0o755);
  await assert.rejects(openLocalSocket(directory, 15432, { stream }), { code: 'local-socket-unsafe' });
  chmodSync(directory, 0o700);
  const port = await openLocalSocket(directory, 15432, { stream });
  const file = path.join(directory, '.s.PGSQL.15432');
  assert.equal(await exchange({ path: file }, 'hello'), 'hello');
  await assert.rejects(openLocalSocket(directory, 15432, { stream }), { code: 'port-taken' });
  await port.close();
  assert.deepEqual(readdirSync(directory), []);
});
