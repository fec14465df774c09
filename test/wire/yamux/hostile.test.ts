/** A peer that breaks the rules: the tunnel ends with a go-away, and memory stays within the stated bounds. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Flag, FrameType, GoAwayCode, encodeHeader, headerBytes } from '../../../src/wire/yamux/frame.ts';
import { codeOf, listen, pair } from './pair.ts';

function frame(
  type: number,
  flags: number,
  stream: number,
  length: number,
  payload = Buffer.alloc(0),
): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  encodeHeader(bytes, 0, type, flags, stream, length);
  return Buffer.concat([bytes, payload]);
}

const { SYN, ACK, FIN, RST } = Flag;
const { Data, WindowUpdate, Ping, GoAway } = FrameType;
const open = frame(WindowUpdate, SYN, 1, 0);
const MiB = 1024 * 1024;

const violations: [name: string, bytes: Buffer][] = [
  ['another version', Buffer.concat([Buffer.from([1]), Buffer.alloc(11)])],
  ['an unknown type', frame(4, 0, 0, 0)],
  ['an unknown flag', frame(Data, 16, 1, 0)],
  ['data on the session itself', frame(Data, SYN, 0, 0)],
  ['credit for the session itself', frame(WindowUpdate, 0, 0, 10)],
  ['a ping on a stream', frame(Ping, SYN, 1, 0)],
  ['a ping that is neither question nor answer', frame(Ping, 0, 0, 0)],
  ['an answer to no ping', frame(Ping, ACK, 0, 7)],
  ['a go-away with flags', frame(GoAway, SYN, 0, 0)],
  ['a stream of the wrong parity', frame(WindowUpdate, SYN, 2, 0)],
  ['a stream that was never opened', frame(Data, 0, 5, 0)],
  ['a stream of ours that was never opened', frame(Data, 0, 2, 0)],
  ['a stream opened twice', Buffer.concat([open, open])],
  ['a stream opened out of order', Buffer.concat([frame(Data, SYN, 9, 0), frame(Data, SYN, 7, 0)])],
  ['an opening that is also an answer', frame(Data, SYN | ACK, 1, 0)],
  ['an opening that is also a reset', frame(Data, SYN | RST, 1, 0)],
  ['an acknowledgement that nobody awaits', Buffer.concat([open, frame(Data, ACK, 1, 0)])],
  ['a frame longer than the window', Buffer.concat([open, frame(Data, 0, 1, MiB + 1)])],
  ['a frame of 4 GiB', Buffer.concat([open, frame(Data, 0, 1, 0xffffffff)])],
  [
    'frames that together exceed the window',
    Buffer.concat([open, frame(Data, 0, 1, MiB, Buffer.alloc(MiB)), frame(Data, 0, 1, 1)]),
  ],
  ['data after the end', Buffer.concat([open, frame(Data, FIN, 1, 0), frame(Data, 0, 1, 1)])],
  ['an end after the end', Buffer.concat([open, frame(Data, FIN, 1, 0), frame(WindowUpdate, FIN, 1, 0)])],
  [
    'credit beyond 32 bits',
    Buffer.concat([open, frame(WindowUpdate, 0, 1, 0xffffffff), frame(WindowUpdate, 0, 1, 0xffffffff)]),
  ],
  [
    'more than a window for a stream that is gone',
    Buffer.concat([open, frame(Data, RST, 1, 0), frame(Data, 0, 1, MiB + 1)]),
  ],
];

for (const [name, bytes] of violations) {
  test(`${name} ends the tunnel with a protocol error`, () => {
    for (const pieces of [bytes.length, 1]) {
      const { server } = pair();
      server.pipe.keep = true;
      for (let at = 0; at < bytes.length && server.closed === undefined; at += pieces)
        server.mux.receive(Buffer.from(bytes.subarray(at, at + pieces)));
      assert.equal(codeOf(server.closed), 'tunnel-protocol');
      const last = Buffer.concat(server.pipe.sent).subarray(-headerBytes);
      assert.deepEqual(last, frame(GoAway, 0, 0, GoAwayCode.ProtocolError));
      assert.equal(server.pipe.closed, 'orderly');
      assert.equal(server.mux.streamCount, 0);
      assert.equal(server.mux.open(), null);
    }
  });
}

test('the client accepts no stream at all', () => {
  const { client } = pair();
  client.mux.receive(frame(WindowUpdate, SYN, 2, 0));
  assert.equal(codeOf(client.closed), 'tunnel-protocol');
});

test('random bytes give an end or nothing, never another failure', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
      const { server } = pair();
      for (const chunk of chunks) server.mux.receive(Buffer.from(chunk));
      assert.ok(server.closed === undefined || codeOf(server.closed) !== undefined);
    }),
    { numRuns: 500 },
  );
});

test('random valid headers in any order give an end or nothing, never another failure', async () => {
  const header = fc.record({
    type: fc.nat(3),
    flags: fc.constantFrom(0, 0, 0, SYN, ACK, FIN, RST, SYN | FIN, FIN | RST),
    stream: fc.nat(6),
    length: fc.oneof(fc.nat(40), fc.constantFrom(262_144, 0xffffffff)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(header, { maxLength: 60 }), async (headers) => {
      const { server, settle } = pair({}, { accept: (stream) => void listen(stream) });
      for (const { type, flags, stream, length } of headers) {
        const payload = type === Data && length <= 40 ? Buffer.alloc(length) : Buffer.alloc(0);
        server.mux.receive(frame(type, flags, stream, length, payload));
      }
      await settle();
      assert.ok(server.closed === undefined || codeOf(server.closed) !== undefined);
    }),
    { numRuns: 300 },
  );
});

test('a window sent in frames of one byte does not cost an object for each', () => {
  const { server } = pair();
  server.mux.receive(Buffer.from(open));
  const notes = listen(server.accepted[0]!, false);
  server.accepted[0]!.pause();
  const one = frame(Data, 0, 1, 1, Buffer.from('x'));
  const many = Buffer.concat(Array.from({ length: 4096 }, () => one));
  const before = process.memoryUsage();
  for (let i = 0; i < 64; i++) server.mux.receive(Buffer.from(many));
  const after = process.memoryUsage();
  const grown = after.arrayBuffers - before.arrayBuffers;
  assert.equal(server.closed, undefined);
  assert.equal(notes.length, 0);
  // 256 KiB of payload came in 3.4 MB of frames, all of which a naive queue would keep alive.
  assert.ok(grown < 64 * many.length, `${grown} bytes are held`);
});

test('unread data over all streams is bounded: the stream that would exceed it is reset, the others live', async () => {
  const { server } = pair();
  server.pipe.keep = true;
  const streams = 80;
  const payload = Buffer.alloc(MiB, 1);
  for (let id = 1; id < 2 * streams; id += 2) {
    server.mux.receive(frame(WindowUpdate, SYN, id, 0));
    server.mux.receive(Buffer.concat([frame(Data, 0, id, MiB), payload]));
  }
  server.mux.flush();
  const notes = server.accepted.map((channel) => listen(channel, false));
  const ends = await Promise.all(notes.slice(64).map((note) => note.over));
  assert.deepEqual([...new Set(ends.map(codeOf))], ['stream-overrun']);
  assert.equal(server.closed, undefined);
  assert.equal(server.mux.streamCount, 64);
  assert.ok(notes.slice(0, 64).every((note) => note.length === MiB && note.closedBy === undefined));
});

test('a peer that asks and never reads the answers is cut off', () => {
  const { server } = pair();
  const pings = Buffer.concat(Array.from({ length: 5000 }, () => frame(Ping, SYN, 0, 1)));
  let rounds = 0;
  while (server.closed === undefined && rounds < 1000) {
    server.mux.receive(Buffer.from(pings));
    server.mux.flush();
    rounds += 1;
  }
  assert.equal(codeOf(server.closed), 'tunnel-overrun');
  assert.equal(server.pipe.closed, 'hard');
});

test('a go-away with an error code is reported as the fault of the other end', () => {
  const { client } = pair();
  client.mux.receive(frame(GoAway, 0, 0, GoAwayCode.InternalError));
  assert.equal(codeOf(client.closed), 'tunnel-peer-failed');
});
