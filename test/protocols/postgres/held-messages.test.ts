/** What waits behind a held command: kept whole, in about the memory that it takes itself. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { HeldMessages } from '../../../src/protocols/postgres/held-messages.ts';
import { message } from './scripted.ts';

test('a client that sends byte by byte costs no object per byte', () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const used = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = used();
  const held = new HeldMessages(message('Q', 'delete from t\0'));
  const byte = Buffer.from(message('S').subarray(0, 1));
  const count = 512 * 1024;
  for (let i = 0; i < count; i++) held.add(byte);
  const grown = used() - before;
  assert.equal(held.bytes, count + 19);
  assert.ok(grown < 4 * count, `${grown} bytes`);
});

test('all of it comes back in order, and a Terminate is seen wherever it was cut', () => {
  const sent = Buffer.concat([message('Q', 'delete from t\0'), message('Q', 'select 1\0'), message('X')]);
  for (let cut = 1; cut < sent.length; cut++) {
    const held = new HeldMessages(sent.subarray(0, cut));
    assert.equal(held.terminated, false);
    held.add(sent.subarray(cut, sent.length - 1));
    held.add(sent.subarray(Math.max(cut, sent.length - 1)));
    assert.equal(held.terminated, true);
    assert.deepEqual(held.take(), sent);
  }
});
