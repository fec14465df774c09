/** The relay's journal, where an export has none: it must tell the same history as the checkpoint, and may tell more. */
import { decodeEntry } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { within, type Location } from '../location.ts';
import { decodeJournal } from '../log/journal.ts';
import { readEntries } from '../log/read.ts';
import { bundleBytes, splitBundle, tilePath, tileWidth } from '../log/tile.ts';
import { journalBytes, readIfThere } from '../regular-file.ts';
import type { Findings } from './finding.ts';

/** @param size of the checkpoint */
export async function checkJournal(log: Location, size: number, findings: Findings): Promise<void> {
  const bytes = await readIfThere(within(log, 'journal'), journalBytes);
  if (bytes === null) return;
  const place = { file: 'log/journal' };
  const journal = bytes.length > journalBytes ? null : decodeJournal(bytes);
  if (journal === null || journal.damaged) {
    findings.failure('journal-damaged', 'the journal is not whole: an acknowledged entry is gone', place);
    return;
  }
  if (journal.torn > 0)
    findings.warning('journal-torn', 'the journal ends in a write that nobody was told of', place);
  const end = journal.base + journal.entries.length;
  // A journal that begins later belongs to a later checkpoint than the one that was read.
  if (end < size) findings.failure('journal-mismatch', 'the journal ends before the checkpoint', place);
  else if (end > size) {
    const message = `${end - Math.max(size, journal.base)} entries of the journal are not signed yet`;
    findings.warning('journal-unpublished', message, { ...place, index: size });
  }
  for (let n = Math.floor(journal.base / tileWidth); n * tileWidth < Math.min(size, end); n++) {
    for (const [i, entry] of (await readBundle(log, n, size)).entries()) {
      const index = n * tileWidth + i;
      if (index < journal.base || index >= end || entry.equals(journal.entries[index - journal.base]!))
        continue;
      const message = `the journal has another entry ${index} than the log`;
      findings.failure('journal-mismatch', message, { ...place, index });
      return;
    }
  }
}

/** Sessions that are opened after the first `size` entries; nothing here is proven. */
export async function laterSessions(log: Location, size: number): Promise<ReadonlySet<string>> {
  const sessions = new Set<string>();
  try {
    for await (const { bytes } of readEntries(log, size)) {
      const decoded = decodeEntry(bytes);
      if (decoded.state === 'known' && decoded.entry.kind === 'session.opened')
        sessions.add(decoded.entry.session);
    }
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error; // the tree's own check says what is wrong
  }
  return sessions;
}

/** Empty when it is not whole: the tree's own check says so. */
async function readBundle(log: Location, n: number, size: number): Promise<Buffer[]> {
  const width = Math.min(tileWidth, size - n * tileWidth);
  for (const candidate of new Set([width, tileWidth])) {
    const bytes = await readIfThere(within(log, tilePath('entries', n, candidate)), bundleBytes);
    if (bytes === null) continue;
    try {
      return splitBundle(bytes, candidate).slice(0, width);
    } catch {
      return [];
    }
  }
  return [];
}
