/** Streams over one pipe: order, credit, isolation, ends. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ByteChannel } from '../../../src/bytes/channel.ts';
import { muxLimits } from '../../../src/wire/yamux/mux.ts';
import { codeOf, listen, pair } from './pair.ts';
import type { Notes } from './pair.ts';

test('a stream carries bytes both ways at once, before the other end has answered the opening', async () => {
  const { client, server, settle } = pair();
  const stream = client.mux.open()!;
  const answers = listen(stream);
  stream.write(Buffer.from('ping'));
  client.mux.flush();
  assert.equal(client.pipe.sends, 1, 'opening and data leave in one write');
  await settle();
  const other = server.accepted[0]!;
  const asked = listen(other);
  other.write(Buffer.from('pong'));
  await settle();
  assert.equal(asked.bytes.toString(), 'ping');
  assert.equal(answers.bytes.toString(), 'pong');
});

test('each direction ends by itself, after everything written; then the stream is gone at both ends', async () => {
  const { client, server, settle } = pair();
  const stream = client.mux.open()!;
  const near = listen(stream);
  stream.write(Buffer.from('last words'));
  stream.end();
  await settle();
  const other = server.accepted[0]!;
  const far = listen(other);
  await settle();
  assert.equal(far.bytes.toString(), 'last words');
  assert.equal(far.ended, true);
  assert.equal(far.closedBy, undefined, 'the other direction is open');
  other.write(Buffer.from('answer'));
  other.end();
  await settle();
  assert.equal(near.bytes.toString(), 'answer');
  assert.deepEqual([near.ended, near.closedBy, far.closedBy], [true, null, null]);
  assert.deepEqual([client.mux.streamCount, server.mux.streamCount], [0, 0]);
});

test('destroy reaches the other end as a reset, and bytes under way are dropped without harm', async () => {
  const { client, server, settle } = pair();
  const stream = client.mux.open()!;
  const near = listen(stream);
  await settle();
  const far = listen(server.accepted[0]!);
  server.accepted[0]!.write(Buffer.alloc(100_000));
  server.mux.flush();
  stream.destroy();
  await settle();
  assert.equal(near.length, 0);
  assert.deepEqual([near.closedBy, codeOf(far.closedBy)], [null, 'stream-reset']);
  assert.deepEqual([client.closed, server.closed], [undefined, undefined]);
});

test('a stalled reader stops only itself, at no more than its window, and goes on where it stopped', async () => {
  const windowBytes = 256 * 1024;
  const { client, server, settle } = pair({ windowBytes }, { windowBytes });
  const [slow, quick] = [client.mux.open()!, client.mux.open()!];
  listen(slow);
  listen(quick);
  await settle();
  const [slowEnd, quickEnd] = server.accepted as [ByteChannel, ByteChannel];
  const slowNotes = listen(slowEnd);
  const quickNotes = listen(quickEnd);
  slowEnd.pause();
  const sent = Buffer.alloc(3 * windowBytes);
  for (let i = 0; i < sent.length; i++) sent[i] = (i * 7 + (i >> 8)) & 0xff;
  for (let at = 0; at < sent.length; at += 10_000) slow.write(Buffer.from(sent.subarray(at, at + 10_000)));
  for (let i = 0; i < 100; i++) {
    quick.write(Buffer.alloc(20_000));
    await settle();
  }
  assert.equal(quickNotes.length, 2_000_000);
  assert.equal(slowNotes.length, 0);
  slowEnd.resume();
  await settle();
  assert.ok(slowNotes.bytes.equals(sent), 'every byte, in order');
});

test('write says when to hold back and when to go on; the waiting bytes stay within the bound', async () => {
  const { client, server, settle } = pair();
  const stream = client.mux.open()!;
  const near = listen(stream);
  await settle();
  server.accepted[0]!.pause();
  const far = listen(server.accepted[0]!, false);
  server.accepted[0]!.pause();
  let written = 0;
  const chunk = 64 * 1024;
  const fill = () => {
    do written += chunk;
    while (stream.write(Buffer.alloc(chunk)) && written < 64 * 1024 * 1024);
  };
  near.onDrained = fill;
  fill();
  await settle();
  assert.ok(written < 2 * 1024 * 1024, `held back after ${written} bytes`);
  server.accepted[0]!.resume();
  await settle();
  assert.ok(near.drains > 10, `${near.drains} times`);
  assert.equal(far.length, written);
  assert.ok(written >= 64 * 1024 * 1024);
});

const same = (notes: Notes[], wanted: Buffer[][]): boolean =>
  notes.every((note, i) => note.bytes.equals(Buffer.concat(wanted[i]!)) && note.closedBy === null);

test('200 streams, random interleavings and splits: each stream is a queue of its own', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ stream: fc.nat(199), size: fc.nat(40_000), fromServer: fc.boolean(), act: fc.nat(9) }),
        {
          minLength: 50,
          maxLength: 300,
        },
      ),
      fc.integer({ min: 1, max: 70_000 }),
      async (steps, split) => {
        const { client, server, settle } = pair({ windowBytes: 1 }, {});
        const near = Array.from({ length: 200 }, () => client.mux.open()!);
        const nearNotes = near.map((channel) => listen(channel));
        await settle();
        const far = server.accepted;
        const farNotes = far.map((channel) => listen(channel));
        const expected = { near: near.map((): Buffer[] => []), far: near.map((): Buffer[] => []) };
        let value = 0;
        for (const { stream, size, fromServer, act } of steps) {
          const bytes = Buffer.alloc(size, (value = (value + 1) % 251));
          (fromServer ? far : near)[stream]!.write(Buffer.from(bytes));
          (fromServer ? expected.near : expected.far)[stream]!.push(bytes);
          if (act === 0) near[stream]!.pause();
          if (act === 1) near[stream]!.resume();
          if (act === 2) await settle(() => split);
        }
        for (const channel of near) channel.resume();
        for (const channel of [...near, ...far]) channel.end();
        await settle(() => split);
        return same(nearNotes, expected.near) && same(farNotes, expected.far) && server.mux.streamCount === 0;
      },
    ),
    { numRuns: 15 },
  );
});

test('bytes of a tunnel may be split anywhere', async () => {
  const recorded = pair();
  recorded.client.pipe.keep = true;
  const stream = recorded.client.mux.open()!;
  listen(stream);
  stream.write(Buffer.from('some bytes of a statement'));
  stream.end();
  await recorded.settle();
  const bytes = Buffer.concat(recorded.client.pipe.sent);
  for (let split = 1; split < bytes.length; split++) {
    const { server } = pair();
    server.mux.receive(Buffer.from(bytes.subarray(0, split)));
    server.mux.receive(Buffer.from(bytes.subarray(split)));
    const notes = listen(server.accepted[0]!);
    server.accepted[0]!.end();
    await notes.over;
    assert.equal(notes.bytes.toString(), 'some bytes of a statement', `split at ${split}`);
    assert.equal(notes.closedBy, null);
  }
});

test('streams take turns: a bulk stream does not keep a small one waiting behind all of its bytes', async () => {
  const { client, server } = pair();
  const bulk = client.mux.open()!;
  const small = client.mux.open()!;
  for (const channel of [bulk, small]) listen(channel);
  while (bulk.write(Buffer.alloc(64 * 1024)));
  small.write(Buffer.from('x'));
  client.mux.flush();
  client.pipe.carry(client.mux, server.mux);
  const [bulkNotes, smallNotes] = server.accepted.map((channel) => listen(channel, false)) as [Notes, Notes];
  let carried = 0;
  while (smallNotes.length === 0) {
    carried += client.pipe.carry(client.mux, server.mux);
    client.mux.flush();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(carried <= 2 * muxLimits.pipeBytes, `${carried} bytes went before it`);
  assert.ok(bulkNotes.length > 0);
});

test('an end of the tunnel ends every stream; going away lets those that are open live on', async () => {
  const { client, server, settle } = pair();
  const stream = client.mux.open()!;
  const near = listen(stream);
  await settle();
  const far = listen(server.accepted[0]!);
  server.mux.goAway();
  await settle();
  assert.equal(client.mux.open(), null);
  stream.write(Buffer.from('still here'));
  await settle();
  assert.equal(far.bytes.toString(), 'still here');
  server.mux.close();
  await settle();
  client.mux.lost(null);
  assert.deepEqual([server.closed, client.closed], [null, null]);
  assert.deepEqual([codeOf(await near.over), codeOf(await far.over)], ['tunnel-lost', 'tunnel-lost']);
});

test('streams beyond the limit are refused one by one; the others live on', async () => {
  const { client, server, settle } = pair({}, { maxStreams: 2 });
  const streams = [1, 2, 3].map(() => client.mux.open()!);
  const notes = streams.map((channel) => listen(channel));
  await settle();
  assert.deepEqual(
    notes.map((note) => codeOf(note.closedBy)),
    [undefined, undefined, 'stream-refused'],
  );
  streams[0]!.destroy();
  await settle();
  assert.notEqual(client.mux.open(), null);
  await settle();
  assert.equal(server.accepted.length, 3);
});

test('idle ends keep each other alive; an end that hears nothing for three ticks gives up', async () => {
  const { client, server, settle } = pair();
  const notes = listen(client.mux.open()!);
  for (let i = 0; i < 20; i++) {
    client.mux.tick();
    server.mux.tick();
    await settle();
  }
  assert.deepEqual([client.closed, server.closed], [undefined, undefined]);
  for (let i = 0; i < 2; i++) client.mux.tick();
  assert.equal(client.closed, undefined);
  for (let i = 0; i < 2; i++) client.mux.tick();
  assert.equal(codeOf(client.closed), 'tunnel-dead');
  assert.equal(client.pipe.closed, 'hard');
  assert.equal(codeOf(await notes.over), 'tunnel-dead');
});

test('a peer on a slow full line is not taken for dead: each end says something even while it only reads', async () => {
  const { client, server, settle } = pair();
  const notes = listen(client.mux.open()!, false);
  await settle();
  for (let i = 0; i < 3; i++) server.accepted[0]!.write(Buffer.alloc(60_000));
  server.mux.flush();
  const backlog = server.pipe.take();
  // The server's answers to pings stand behind this backlog, of which a little arrives in each interval.
  for (let at = 0; at < backlog.length; at += 10_000) {
    client.mux.tick();
    server.mux.tick();
    client.mux.receive(backlog.subarray(at, at + 10_000));
    server.mux.receive(client.pipe.take());
  }
  assert.ok(notes.length > 170_000);
  assert.deepEqual([client.closed, server.closed], [undefined, undefined]);
});
