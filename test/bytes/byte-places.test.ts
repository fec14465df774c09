import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BytePlaces } from '../../src/bytes/byte-places.ts';

const found = (places: BytePlaces): number[] => [...places.places.subarray(0, places.count)];

function expected(bytes: Uint8Array, start: number, end: number, byte: number): number[] {
  const all: number[] = [];
  for (let at = start; at < end; at++) if (bytes[at] === byte) all.push(at);
  return all;
}

test('places are those that a loop over the bytes finds, whatever was looked at before', () => {
  const places = new BytePlaces();
  const few = fc.uint8Array({ maxLength: 300, max: 3 });
  fc.assert(
    fc.property(few, fc.nat(300), fc.nat(300), fc.nat(3), (bytes, one, other, byte) => {
      const start = Math.min(one, bytes.length);
      const end = Math.max(start, Math.min(other, bytes.length));
      places.find(bytes, start, end, byte);
      assert.deepEqual(found(places), expected(bytes, start, end, byte));
    }),
    { numRuns: 2000 },
  );
});

test('a buffer of several blocks, every byte of which is found', () => {
  const places = new BytePlaces();
  for (const size of [65_535, 65_536, 65_537, 200_001]) {
    const bytes = new Uint8Array(size + 2).fill(9);
    places.find(bytes, 1, size + 1, 9);
    assert.equal(places.count, size);
    assert.ok(found(places).every((place, index) => place === index + 1));
    places.find(bytes, 0, size, 8);
    assert.equal(places.count, 0);
  }
});
