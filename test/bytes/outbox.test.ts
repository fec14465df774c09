/** Nothing leaves that was not staged, and what leaves is what was added, in one write. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Outbox } from '../../src/bytes/outbox.ts';
import type { ByteChannel } from '../../src/bytes/channel.ts';

function noting(): { channel: ByteChannel; written: string[]; free: boolean } {
  const noted = {
    written: [] as string[],
    free: true,
    channel: {
      receive: () => {},
      write: (chunk: Uint8Array) => {
        noted.written.push(Buffer.from(chunk).toString());
        chunk.fill(0xdb); // lent: nobody may rely on what is in it
        return noted.free;
      },
      pause: () => {},
      resume: () => {},
      end: () => {},
      destroy: () => {},
    },
  };
  return noted;
}

test('pending bytes wait for their own turn; staged ones leave in one write', () => {
  const { channel, written } = noting();
  const outbox = new Outbox(channel);
  const lent = Buffer.from('one ');
  outbox.add(lent);
  lent.fill(0x78);
  outbox.add(Buffer.from('two'));
  assert.equal(outbox.release(), true);
  assert.deepEqual(written, [], 'nothing was staged');
  outbox.stage();
  outbox.add(Buffer.from('three'));
  outbox.release();
  assert.deepEqual([written, outbox.bytes], [['one two'], 5]);
  outbox.release();
  assert.deepEqual(written, ['one two'], 'three was not staged');
  outbox.stage();
  outbox.add(Buffer.from('four'));
  outbox.stage();
  outbox.release();
  assert.deepEqual([written, outbox.bytes], [['one two', 'threefour'], 0]);
});

test('grows from nothing to more than the pool has, and starts small again', () => {
  const { channel, written } = noting();
  const outbox = new Outbox(channel);
  let expected = '';
  for (const size of [10, 5000, 20_000, 300_000, 900_000]) {
    outbox.add(Buffer.alloc(size, 97 + (size % 26)));
    expected += String.fromCharCode(97 + (size % 26)).repeat(size);
  }
  assert.equal(outbox.bytes, expected.length);
  outbox.stage();
  outbox.release();
  assert.equal(written[0], expected);
  outbox.add(Buffer.from('x'));
  outbox.stage();
  outbox.release();
  assert.equal(written[1], 'x');
});

test('what was forgotten is not sent, staged or not; a full channel is told on', () => {
  const noted = noting();
  const outbox = new Outbox(noted.channel);
  outbox.add(Buffer.from('staged'));
  outbox.stage();
  outbox.add(Buffer.from('pending'));
  outbox.clear();
  outbox.stage();
  outbox.release();
  assert.deepEqual([noted.written, outbox.bytes], [[], 0]);
  noted.free = false;
  outbox.add(Buffer.from('x'));
  outbox.stage();
  assert.equal(outbox.release(), false);
});
