/** The journal's format: cut anywhere it is torn, holed before something acknowledged it is damaged. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  decodeJournal,
  encodeJournalHeader,
  encodeJournalRecord,
} from '../../../src/evidence/log/journal.ts';

const entries = [Buffer.from('a'), Buffer.from('entr'), Buffer.alloc(0), Buffer.alloc(300, 'x')];
/** Base 7; the first two were written together, the others after them. */
const durable = [7, 7, 9, 10];
const records = entries.map((entry, i) => encodeJournalRecord(7 + i, durable[i]!, entry));
const whole = Buffer.concat([encodeJournalHeader(7), ...records]);
const starts = records.map((_, i) => 16 + records.slice(0, i).reduce((sum, { length }) => sum + length, 0));

test('a whole journal', () => {
  assert.deepEqual(decodeJournal(whole), { base: 7, entries, torn: 0, damaged: false });
  assert.equal(decodeJournal(whole.subarray(0, 15)), null);
  assert.equal(decodeJournal(Buffer.from('hooplog2........')), null);
});

test('cut at any byte it keeps the records before the cut', () => {
  for (let length = 16; length < whole.length; length++) {
    const count = starts.filter((start, i) => start + records[i]!.length <= length).length;
    const torn = length - (starts[count] ?? whole.length);
    assert.deepEqual(decodeJournal(whole.subarray(0, length)), {
      base: 7,
      entries: entries.slice(0, count),
      torn,
      damaged: false,
    });
  }
});

test('a bad byte in the last group is a torn end; before something acknowledged it is damage', () => {
  for (let at = 16; at < whole.length; at++) {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 1;
    const record = starts.findLastIndex((start) => start <= at);
    const journal = decodeJournal(bytes);
    assert.equal(journal?.entries.length, record);
    // Record 3 was written when three were durable, so it proves 0, 1 and 2.
    assert.equal(journal?.damaged, record < 3, `byte ${at}`);
  }
});

test('a record in another place, or any bytes, are no record', () => {
  const swapped = Buffer.concat([encodeJournalHeader(7), records[1]!, records[0]!]);
  assert.equal(decodeJournal(swapped)?.entries.length, 0);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      const journal = decodeJournal(Buffer.concat([encodeJournalHeader(0), noise]));
      assert.deepEqual(journal, { base: 0, entries: [], torn: noise.length, damaged: false });
    }),
  );
});
