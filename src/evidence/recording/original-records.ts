/** The records of an open segment that hold originals, encrypted: found, taken out, opened. */
import { decodeItem } from './decode.ts';
import { parseRecord } from './records.ts';
import type { OpenOriginals } from './segment-file.ts';

/**
 * Takes the originals out of a segment that this process wrote.
 * @returns the segment without them, and the content of `<index>.age`
 * @throws Error when the file is not what was written
 */
export function takeOriginals(
  raw: Buffer,
  { ranges, seal }: OpenOriginals,
): { readonly segment: Buffer; readonly originals: Buffer } {
  const kept: Buffer[] = [];
  const originals: Buffer[] = [];
  let done = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    const [start, end] = [ranges[i]!, ranges[i + 1]!];
    kept.push(raw.subarray(done, start));
    for (let at = start; at < end;) {
      const item = decodeItem(raw, at);
      if (item === null) throw new Error('an open segment is not what was written to it');
      const record = parseRecord(item.value);
      if (record?.kind === 'originals') originals.push(seal.open(record.first, record.bytes));
      at = item.end;
    }
    done = end;
  }
  kept.push(raw.subarray(done));
  return { segment: Buffer.concat(kept), originals: Buffer.concat(originals) };
}

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
