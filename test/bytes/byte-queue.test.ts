/** Bytes that wait in borrowed memory: the order, the amount, and that nobody else's bytes are ever seen. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ByteQueue } from '../../src/bytes/byte-queue.ts';
import { giveMemory, takeMemory } from '../../src/bytes/memory.ts';

test('what is taken holds enough; what was given back is used again, and never twice at once', () => {
  for (const bytes of [1, 4096, 4097, 65_536, 300_000, 393_216, 1_000_000]) {
    const first = takeMemory(bytes);
    assert.ok(first.length >= bytes);
    giveMemory(first);
    const [second, third] = [takeMemory(bytes), takeMemory(bytes)];
    assert.equal(second === first, bytes <= 393_216, `${bytes} bytes`);
    assert.notEqual(second, third);
    giveMemory(second);
    giveMemory(third);
  }
});

test('queues side by side are queues, whatever is pushed, looked at and dropped', () => {
  const step = fc.record({
    queue: fc.nat(2),
    act: fc.constantFrom('push', 'push', 'take'),
    size: fc.oneof(fc.nat(20), fc.nat(9000), fc.nat(150_000)),
    from: fc.nat(10),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queues = [new ByteQueue(), new ByteQueue(), new ByteQueue()];
      const expected = queues.map(() => Buffer.alloc(0));
      let value = 0;
      for (const { queue: which, act, size, from } of steps) {
        const queue = queues[which]!;
        if (act === 'push') {
          const bytes = Buffer.alloc(size);
          for (let i = 0; i < size; i++) bytes[i] = value++;
          const start = Math.min(from, size);
          queue.push(bytes, start);
          expected[which] = Buffer.concat([expected[which]!, bytes.subarray(start)]);
          bytes.fill(0xdb); // it was lent
        } else {
          const first = queue.first(size);
          assert.ok(first.length <= size);
          assert.ok(first.length > 0 || queue.length === 0 || size === 0);
          assert.ok(first.equals(expected[which]!.subarray(0, first.length)));
          expected[which] = expected[which]!.subarray(first.length);
          first.fill(0xee); // a reader may change what it is lent
          if (first.length > 0) queue.drop(first.length);
        }
        for (const [i, each] of queues.entries()) assert.equal(each.length, expected[i]!.length);
      }
      for (const [i, queue] of queues.entries())
        while (queue.length > 0) {
          const first = queue.first(1 << 20);
          assert.ok(first.equals(expected[i]!.subarray(0, first.length)));
          expected[i] = expected[i]!.subarray(first.length);
          queue.drop(first.length);
        }
    }),
  );
});
