/** The records of an open segment that hold originals, encrypted: found, taken out, opened; and how what they become begins. */
import { createSecretKey, randomBytes } from 'node:crypto';
import { Batch } from './encode.ts';
import { decodeItem } from './decode.ts';
import { openOriginals, type SegmentSecrets } from './originals.ts';
import { parseRecord } from './records.ts';

/**
 * Takes the originals out of a segment that this process wrote, in place.
 * @param ranges start and end, in turn, of what holds originals
 * @returns the segment without them, a view of `raw`; and the content of `<index>.age`
 * @throws Error when the file is not what was written
 */
export function takeOriginals(
  raw: Buffer,
  ranges: readonly number[],
  secrets: SegmentSecrets,
): { readonly segment: Buffer; readonly originals: Buffer } {
  const key = createSecretKey(secrets.key);
  const originals: Buffer[] = [];
  for (let i = 0; i < ranges.length; i += 2)
    for (let at = ranges[i]!; at < ranges[i + 1]!;) {
      const item = decodeItem(raw, at);
      if (item === null) throw new Error('an open segment is not what was written to it');
      const record = parseRecord(item.value);
      if (record?.kind === 'originals') originals.push(openOriginals(key, record.first, record.bytes));
      at = item.end;
    }
  let length = ranges[0] ?? raw.length;
  for (let i = 1; i < ranges.length; i += 2) {
    const [start, end] = [ranges[i]!, ranges[i + 1] ?? raw.length];
    raw.copyWithin(length, start, end);
    length += end - start;
  }
  return { segment: raw.subarray(0, length), originals: Buffer.concat(originals) };
}

/** What `<index>.age` begins with: `["salt", 32 random bytes]`. The log has the digest of the whole, and tells nothing by it. */
export function saltItem(): Buffer {
  const item = new Batch();
  item.array(2);
  item.text(saltName);
  item.byteString(randomBytes(32));
  return Buffer.from(item.bytes());
}
export const saltName = 'salt';

/** Whole records without those that hold originals. @throws EvidenceError `recording-damaged` */
export function withoutOriginals(whole: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at < whole.length;) {
    const item = decodeItem(whole, at);
    if (item === null) break;
    const kind = parseRecord(item.value)?.kind;
    if (kind !== 'originals' && kind !== 'seal-key') kept.push(whole.subarray(at, item.end));
    at = item.end;
  }
  return Buffer.concat(kept);
}
