/** What stands in one segment, against what its entry says stands there. */
import type { EntryOf } from '../entry.ts';
import { readRecords, type SegmentRecord } from '../recording/records.ts';
import type { Findings, Place } from './finding.ts';

/** @param take gets every record */
export function checkContents(
  raw: Buffer,
  entry: EntryOf<'segment'>,
  { findings, place, take }: { findings: Findings; place: Place; take: (record: SegmentRecord) => void },
): void {
  let names = false;
  let first = true;
  const found = { commands: 0, redactions: 0, sealed: 0, held: 0, inOrder: true };
  try {
    for (const record of readRecords(raw)) {
      if (first)
        names = record.kind === 'segment' && record.session === entry.session && record.index === entry.index;
      first = false;
      count(record, found);
      take(record);
    }
  } catch {
    if (names) findings.failure('segment-undecodable', 'a segment holds what is no record', place);
  }
  // Every segment names itself, so that two of them cannot change places.
  if (!names) findings.failure('segment-header-mismatch', 'a segment says that it is another one', place);
  else if (found.commands !== entry.commands || found.redactions !== entry.redactions || !found.inOrder)
    findings.failure(
      'segment-counts-mismatch',
      'a segment holds another number of commands or redactions than was logged',
      place,
    );
  else if (entry.sealed === null && found.held < found.sealed)
    findings.failure(
      'originals-missing',
      'a segment names originals of masked values that are nowhere',
      place,
    );
}

interface Counts {
  commands: number;
  redactions: number;
  /** Redactions that name an original. */
  sealed: number;
  /** Originals in the segment itself, where recovery left them. */
  held: number;
  /** Sealed indexes are consecutive. */
  inOrder: boolean;
}

function count(record: SegmentRecord, found: Counts): void {
  if (record.kind === 'command') found.commands++;
  else if (record.kind === 'redactions') {
    found.redactions += record.count;
    if (record.first === null) return;
    if (record.first !== found.sealed) found.inOrder = false;
    found.sealed += record.count;
  } else if (record.kind === 'originals' && record.first === found.held) found.held += record.count;
}
