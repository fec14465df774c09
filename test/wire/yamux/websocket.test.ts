/** The tunnel over a real WebSocket, over TCP and over TLS. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import v8 from 'node:v8';
import vm from 'node:vm';
import { openEnds } from './websocket-ends.ts';
import { codeOf, listen } from './pair.ts';

v8.setFlagsFromString('--expose-gc');
const collectGarbage = vm.runInNewContext('gc') as () => void;

for (const secure of [false, true]) {
  const how = secure ? 'TLS' : 'TCP';

  test(`50 streams echo through one WebSocket over ${how}`, async () => {
    await using ends = await openEnds({ secure });
    ends.onStream = (stream) => {
      stream.receive({
        data: (chunk) => void stream.write(chunk),
        end: () => stream.end(),
        drained: () => {},
        closed: () => {},
      });
    };
    const results = Array.from({ length: 50 }, async (_, i) => {
      const stream = ends.client.mux.open()!;
      const notes = listen(stream);
      const sent = createHash('sha256');
      for (let n = 0; n < 40; n++) {
        const chunk = Buffer.alloc(i * 100 + n, i);
        sent.update(chunk);
        stream.write(chunk);
      }
      stream.end();
      assert.equal(await notes.over, null);
      return createHash('sha256').update(notes.bytes).digest('hex') === sent.digest('hex');
    });
    assert.ok((await Promise.all(results)).every(Boolean));
    assert.equal(ends.client.mux.streamCount, 0);
  });

  test(`64 MiB against a slow reader over ${how}: flat memory, every byte`, async () => {
    await using ends = await openEnds({ secure });
    const accepted = Promise.withResolvers<number>();
    ends.onStream = (stream) => {
      let received = 0;
      stream.receive({
        data: (chunk) => {
          received += chunk.length;
          stream.pause();
          setImmediate(() => stream.resume());
        },
        end: () => {
          stream.end();
          accepted.resolve(received);
        },
        drained: () => {},
        closed: () => {},
      });
    };
    const stream = ends.client.mux.open()!;
    const notes = listen(stream);
    const total = 64 * 1024 * 1024;
    let written = 0;
    let peak = 0;
    const before = process.memoryUsage().arrayBuffers;
    const fill = (): void => {
      while (written < total) {
        written += 32 * 1024;
        if (written % (4 * 1024 * 1024) === 0) {
          collectGarbage();
          peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
        }
        if (!stream.write(Buffer.alloc(32 * 1024))) return;
      }
      stream.end();
    };
    notes.onDrained = fill;
    fill();
    assert.equal(await accepted.promise, total);
    assert.ok(peak < 12 * 1024 * 1024, `${peak} bytes of buffers at the peak`);
    assert.equal(await notes.over, null);
  });
}

test('the reason of a close reaches the other end', async () => {
  await using ends = await openEnds({});
  const notes = listen(ends.client.mux.open()!);
  ends.server.close({ code: 4000, reason: 'killed' });
  const { error, peer } = await ends.clientClosed;
  assert.deepEqual([error, peer], [null, { code: 4000, reason: 'killed' }]);
  assert.equal(codeOf(await notes.over), 'tunnel-lost');
});

test('a cut connection ends both tunnels', async () => {
  await using ends = await openEnds({});
  const notes = listen(ends.client.mux.open()!);
  ends.cut();
  assert.equal(codeOf((await ends.clientClosed).error), 'tunnel-lost');
  assert.equal(codeOf((await ends.serverClosed).error), 'tunnel-lost');
  assert.equal(codeOf(await notes.over), 'tunnel-lost');
});

test('a peer that went silent without closing is found by the keep-alive', async () => {
  const ticks: (() => void)[] = [];
  await using ends = await openEnds({ clientKeepAlive: (tick) => (ticks.push(tick), () => {}) });
  const notes = listen(ends.client.mux.open()!);
  ends.serverSocket.pause();
  for (let i = 0; i < 4; i++) ticks[0]!();
  assert.equal(codeOf((await ends.clientClosed).error), 'tunnel-dead');
  assert.equal(codeOf(await notes.over), 'tunnel-dead');
});
