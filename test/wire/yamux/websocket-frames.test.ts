/** The reader of WebSocket frames: every way to split them, both directions. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import {
  FrameReader,
  Opcode,
  WebSocketViolation,
  maxHeaderBytes,
  writeFrameHeader,
} from '../../../src/wire/yamux/websocket-frames.ts';

interface Read {
  payload: string;
  readonly controls: string[];
}

function read(masked: boolean, chunks: readonly Buffer[]): Read {
  const got: Read = { payload: '', controls: [] };
  const reader = new FrameReader(masked, {
    payload: (bytes) => {
      got.payload += bytes.toString('latin1');
    },
    control: (opcode, payload) => got.controls.push(`${opcode} ${payload.toString('latin1')}`),
  });
  for (const chunk of chunks) reader.read(Buffer.from(chunk));
  return got;
}

/** As another implementation would write it, with any key. */
function frame(first: number, payload: Buffer, key: readonly number[] | null): Buffer {
  const mask = key === null ? 0 : 0x80;
  const length =
    payload.length < 126
      ? [mask | payload.length]
      : payload.length < 65_536
        ? [mask | 126, payload.length >> 8, payload.length & 0xff]
        : [
            mask | 127,
            0,
            0,
            0,
            0,
            0,
            payload.length >> 16,
            (payload.length >> 8) & 0xff,
            payload.length & 0xff,
          ];
  const body = payload.map((byte, i) => byte ^ (key?.[i % 4] ?? 0));
  return Buffer.concat([Buffer.from([first, ...length, ...(key ?? [])]), body]);
}

for (const key of [null, [0, 0, 0, 0], [0x9a, 0x01, 0xff, 0x3c]] as const) {
  const how = key === null ? 'unmasked' : `masked with ${key.join(' ')}`;

  test(`frames ${how} may be split anywhere`, () => {
    const long = Buffer.alloc(300, 'long ');
    const bytes = Buffer.concat([
      frame(0x82, Buffer.from('first'), key),
      frame(0x02, Buffer.from('in '), key),
      frame(0x89, Buffer.from('ping'), key),
      frame(0x00, Buffer.alloc(0), key),
      frame(0x80, Buffer.from('parts'), key),
      frame(0x8a, Buffer.alloc(0), key),
      frame(0x82, long, key),
      frame(0x82, Buffer.alloc(0), key),
      frame(0x88, Buffer.from('\x03\xe8bye', 'latin1'), key),
    ]);
    const whole: Read = {
      payload: `firstin parts${long.toString()}`,
      controls: ['9 ping', '10 ', '8 \x03\xe8bye'],
    };
    assert.deepEqual(read(key !== null, [bytes]), whole);
    for (let at = 0; at <= bytes.length; at++)
      assert.deepEqual(
        read(key !== null, [bytes.subarray(0, at), bytes.subarray(at)]),
        whole,
        `split at ${at}`,
      );
    assert.deepEqual(
      read(
        key !== null,
        Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)),
      ),
      whole,
    );
  });
}

test('a header that we write is read again, at every size of the length', () => {
  for (const masked of [false, true])
    for (const length of [0, 1, 125, 126, 65_535, 65_536, 1024 * 1024]) {
      const header = Buffer.alloc(maxHeaderBytes, 0xee);
      const start = writeFrameHeader(header, maxHeaderBytes, Opcode.Binary, length, masked);
      const payload = Buffer.alloc(length, 'x');
      const expected = frame(0x82, payload, masked ? [0, 0, 0, 0] : null);
      assert.ok(Buffer.concat([header.subarray(start), payload]).equals(expected), `${length} bytes`);
      assert.equal(read(masked, [expected]).payload.length, length);
    }
});

test('fragments together are held to the limit of a message', () => {
  const half = frame(0x02, Buffer.alloc(600_000), null);
  const rest = frame(0x80, Buffer.alloc(600_000), null);
  assert.throws(
    () => read(false, [half, rest]),
    (error) => error instanceof WebSocketViolation && error.closeCode === 1009,
  );
});
