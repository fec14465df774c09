/**
 * The journal: where an entry is durable first. Tiles and checkpoint follow from it, so it is the truth about the end of
 * the log. Only the format: the log writes it.
 *
 *     journal = "hooplog1" ‖ uint64 base ‖ record*
 *     record  = "entr" ‖ uint64 durable ‖ uint16 length ‖ entry ‖ SHA-256(uint64 index ‖ all before it in the record)
 *
 * Big-endian. The first record's index is `base`, the next one's `base + 1`, and so on. `durable` is how many entries of
 * the log were on disk when the record was written. It tells a torn write from damage: a machine may lose any part of a
 * group that was not yet acknowledged, so a bad record alone is the torn end; but a good record after it whose `durable`
 * counts past the bad one proves that something acknowledged is gone.
 */
import { hash } from 'node:crypto';

const magic = Buffer.from('hooplog1');
const mark = Buffer.from('entr');
const headBytes = 4 + 8 + 2;
const sumBytes = 32;
export const journalHeaderBytes = 16;

export interface Journal {
  /** Index of the first entry. */
  readonly base: number;
  readonly entries: readonly Buffer[];
  /** Bytes at the end that are no whole record. */
  readonly torn: number;
  /** An acknowledged entry is missing. */
  readonly damaged: boolean;
}

export function encodeJournalHeader(base: number): Buffer {
  const header = Buffer.alloc(journalHeaderBytes);
  magic.copy(header);
  header.writeBigUInt64BE(BigInt(base), 8);
  return header;
}

export function encodeJournalRecord(index: number, durable: number, entry: Uint8Array): Buffer {
  // The index goes in front for the sum and is not written: a record is only good in its own place.
  const whole = Buffer.allocUnsafe(8 + headBytes + entry.length + sumBytes);
  whole.writeBigUInt64BE(BigInt(index), 0);
  mark.copy(whole, 8);
  whole.writeBigUInt64BE(BigInt(durable), 12);
  whole.writeUInt16BE(entry.length, 20);
  whole.set(entry, 22);
  const end = whole.length - sumBytes;
  whole.set(hash('sha256', whole.subarray(0, end), 'buffer'), end);
  return whole.subarray(8);
}

interface Record {
  readonly durable: number;
  readonly entry: Buffer;
  readonly end: number;
}

function decodeRecord(bytes: Buffer, at: number, index: number): Record | null {
  if (at + headBytes > bytes.length || !mark.equals(bytes.subarray(at, at + 4))) return null;
  const length = bytes.readUInt16BE(at + 12);
  const end = at + headBytes + length + sumBytes;
  if (end > bytes.length) return null;
  const place = Buffer.alloc(8);
  place.writeBigUInt64BE(BigInt(index));
  const sum = hash('sha256', Buffer.concat([place, bytes.subarray(at, end - sumBytes)]), 'buffer');
  if (!sum.equals(bytes.subarray(end - sumBytes, end))) return null;
  const durable = Number(bytes.readBigUInt64BE(at + 4));
  return { durable, entry: bytes.subarray(at + headBytes, end - sumBytes), end };
}

/** Null when the bytes do not begin as a journal. */
export function decodeJournal(bytes: Buffer): Journal | null {
  if (bytes.length < journalHeaderBytes || !magic.equals(bytes.subarray(0, 8))) return null;
  const base = Number(bytes.readBigUInt64BE(8));
  if (!Number.isSafeInteger(base)) return null;
  const entries: Buffer[] = [];
  let at = journalHeaderBytes;
  for (;;) {
    const record = decodeRecord(bytes, at, base + entries.length);
    if (record === null) break;
    entries.push(record.entry);
    at = record.end;
  }
  const damaged = acknowledgedBehind(bytes, at, base + entries.length);
  return { base, entries, torn: bytes.length - at, damaged };
}

/** No torn end needs more; one that was made to is not believed. */
const searchBytes = 256 * 1024 * 1024;

/** Is there, after the bad record of index `next`, a good one that was written when `next` was already durable? */
function acknowledgedBehind(bytes: Buffer, bad: number, next: number): boolean {
  // Lengths cannot be trusted here, so every mark is tried; a few indices on, since each lost record raises it by one.
  let searched = 0;
  for (let at = bytes.indexOf(mark, bad + 1); at >= 0; at = bytes.indexOf(mark, at + 1)) {
    if (at + headBytes > bytes.length) return false;
    const durable = bytes.readBigUInt64BE(at + 4);
    if (durable <= BigInt(next) || durable > BigInt(next) + BigInt(bytes.length)) continue;
    // The record's index is at least `durable` and at most a record per 46 bytes further.
    const most = next + 1 + Math.floor((at - bad) / (headBytes + sumBytes));
    for (let index = Number(durable); index <= most; index++) {
      if (decodeRecord(bytes, at, index) !== null) return true;
      searched += bytes.readUInt16BE(at + 12) + sumBytes;
      if (searched > searchBytes) return true;
    }
  }
  return false;
}
