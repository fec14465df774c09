/** A socket as a ByteChannel: order, bounds, ends, and the change to TLS in mid-connection. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { LentReads } from '../../src/system/lent-reads.ts';
import { SocketChannel } from '../../src/system/socket-channel.ts';
import { codeOf, listen } from '../wire/yamux/pair.ts';
import { selfSigned } from '../wire/yamux/websocket-ends.ts';

interface Joined extends AsyncDisposable {
  readonly near: SocketChannel;
  readonly far: net.Socket;
}

/** @param lent whether what is read stands in memory that is read into again */
async function joined(lent: boolean): Promise<Joined> {
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const reads = lent ? new LentReads() : null;
  const where = { port, host: '127.0.0.1', allowHalfOpen: true };
  const socket = net.connect(reads === null ? where : { ...where, onread: reads.onread });
  if (lent) socket.pause();
  const [far] = (await once(server, 'connection')) as [net.Socket];
  await once(socket, 'connect');
  far.on('error', () => {});
  return {
    near: new SocketChannel(socket, reads),
    far,
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
      far.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function readAll(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  // Else the iterator would destroy the socket at the end of what it reads, with what it has still to send.
  for await (const part of socket.iterator({ destroyOnReturn: false })) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

for (const [kind, lent] of [
  ['an ordinary socket', false],
  ['a socket with lent reads', true],
] as const) {
  test(`${kind}: chunks of one tick leave in order, and the end after them; the other direction stays open`, async () => {
    await using ends = await joined(lent);
    const notes = listen(ends.near);
    for (let i = 0; i < 100; i++) ends.near.write(Buffer.from(`${i},`));
    ends.near.end();
    const text = (await readAll(ends.far)).toString();
    assert.equal(text, Array.from({ length: 100 }, (_, i) => `${i},`).join(''));
    ends.far.end('late');
    assert.equal(await notes.over, null);
    assert.deepEqual([notes.bytes.toString(), notes.ended], ['late', true]);
  });

  test(`${kind}: nothing is read before there is a receiver, nor while it pauses`, async () => {
    await using ends = await joined(lent);
    ends.far.write('first');
    await new Promise((resolve) => setImmediate(resolve));
    const notes = listen(ends.near);
    const first = Promise.withResolvers<void>();
    notes.onData = () => {
      ends.near.pause();
      first.resolve();
    };
    await first.promise;
    await new Promise<void>((resolve) => ends.far.write('second', () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(notes.bytes.toString(), 'first');
    notes.onData = null;
    ends.near.resume();
    ends.far.end();
    ends.near.end();
    await notes.over;
    assert.equal(notes.bytes.toString(), 'firstsecond');
  });

  test(`${kind}: write says when to hold back, and drained follows once the peer reads`, async () => {
    await using ends = await joined(lent);
    const notes = listen(ends.near);
    let written = 0;
    const drained = Promise.withResolvers<void>();
    notes.onDrained = () => drained.resolve();
    while (ends.near.write(Buffer.alloc(64 * 1024))) {
      written += 64 * 1024;
      await new Promise((resolve) => setImmediate(resolve));
      assert.ok(written < 64 * 1024 * 1024, 'never held back');
    }
    ends.far.resume();
    await drained.promise;
  });

  test(`${kind}: a cut is told as an error, exactly once`, async () => {
    await using ends = await joined(lent);
    const notes = listen(ends.near);
    ends.near.write(Buffer.from('x'));
    ends.far.resetAndDestroy();
    assert.equal(codeOf(await notes.over), 'ECONNRESET');
  });

  test(`${kind}: destroyWhenSent sends everything first, though the peer keeps its direction open`, async () => {
    await using ends = await joined(lent);
    const notes = listen(ends.near);
    ends.near.write(Buffer.alloc(3_000_000, 7));
    ends.near.destroyWhenSent();
    assert.equal((await readAll(ends.far)).length, 3_000_000);
    await notes.over;
  });

  test(`${kind}: the change to TLS keeps channel and receiver, and verifies the peer`, async () => {
    const certificate = selfSigned();
    await using ends = await joined(lent);
    const notes = listen(ends.near);
    const offered = Promise.withResolvers<void>();
    notes.onData = () => offered.resolve();
    ends.near.write(Buffer.from('?'));
    const [question] = (await once(ends.far, 'data')) as [Buffer];
    assert.equal(question.toString(), '?');
    ends.far.write('S');
    await offered.promise;
    const server = new tls.TLSSocket(ends.far, { isServer: true, ...certificate });
    server.on('data', (chunk: Buffer) => server.write(Buffer.concat([Buffer.from('over TLS: '), chunk])));
    const secure = await ends.near.startTls({
      ca: certificate.cert,
      host: 'localhost',
      servername: 'localhost',
    });
    assert.equal(secure.authorized, true);
    const answered = Promise.withResolvers<void>();
    notes.onData = () => answered.resolve();
    ends.near.write(Buffer.from('hello'));
    await answered.promise;
    assert.equal(notes.bytes.toString(), 'Sover TLS: hello');
  });

  test(`${kind}: TLS with a name that the certificate does not have is refused, and the channel closes`, async () => {
    const certificate = selfSigned();
    await using ends = await joined(lent);
    const notes = listen(ends.near);
    const server = new tls.TLSSocket(ends.far, { isServer: true, ...certificate });
    server.on('error', () => {});
    await assert.rejects(
      ends.near.startTls({ ca: certificate.cert, host: 'db.example', servername: 'db.example' }),
      {
        code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      },
    );
    assert.equal(codeOf(await notes.over), 'ERR_TLS_CERT_ALTNAME_INVALID');
  });

  test(`${kind}: bytes slipped in before the encryption are not taken for bytes of it`, async () => {
    const certificate = selfSigned();
    await using ends = await joined(lent);
    ends.near.pause();
    const notes = listen(ends.near);
    ends.near.pause();
    // The peer, or who sits between, sends plain bytes and only then begins TLS.
    await new Promise<void>((resolve) =>
      ends.far.write('plain text ahead of the handshake', () => resolve()),
    );
    const server = new tls.TLSSocket(ends.far, { isServer: true, ...certificate });
    server.on('error', () => {});
    await assert.rejects(
      ends.near.startTls({ ca: certificate.cert, host: 'localhost', servername: 'localhost' }),
    );
    await notes.over;
    assert.equal(notes.length, 0);
  });

  test(`${kind}: bulk both ways at once arrives as it was sent`, async () => {
    await using ends = await joined(lent);
    const notes = listen(ends.near);
    const sent = Buffer.alloc(20_000_000);
    for (let i = 0; i < sent.length; i++) sent[i] = (i * 7 + (i >> 9)) & 0xff;
    const received = readAll(ends.far);
    ends.far.end(sent);
    let at = 0;
    const chunk = Buffer.alloc(100_000);
    const fill = (): void => {
      for (let size = 1; at < sent.length; size = (size * 3) % 100_003) {
        const end = Math.min(sent.length, at + Math.min(size, chunk.length));
        const written = chunk.subarray(0, sent.copy(chunk, 0, at, end));
        at = end;
        const goOn = ends.near.write(written);
        written.fill(0xdb); // it was lent
        if (!goOn) return;
      }
      ends.near.end();
    };
    notes.onDrained = fill;
    fill();
    assert.ok((await received).equals(sent));
    assert.equal(await notes.over, null);
    assert.equal(notes.length, sent.length);
    assert.ok(notes.bytes.equals(sent));
  });
}
