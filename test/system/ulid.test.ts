import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ulid } from '../../src/system/ulid.ts';
import { isSessionId } from '../../src/model/ids.ts';

test('a ULID encodes its time, sorts by it and does not repeat', () => {
  // The time part of the specification's own example: 01ARYZ6S41 is 1469918176385 ms.
  assert.equal(ulid(1469918176385).slice(0, 10), '01ARYZ6S41');
  assert.ok(ulid(1_700_000_000_000) < ulid(1_700_000_000_001));
  const many = Array.from({ length: 1000 }, () => ulid(1_700_000_000_000));
  assert.equal(new Set(many).size, 1000);
  assert.ok(many.every(isSessionId));
});
