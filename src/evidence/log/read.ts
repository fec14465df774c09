/**
 * Reads entries back, while the log may be growing: what the checkpoint names from its bundles, what comes after from the
 * journal. Proves nothing: that is evidence/verify's work.
 */
import { decodeEntry, type SessionTotals } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { within, type Location } from '../location.ts';
import { journalBytes, noteBytes, readIfThere } from '../regular-file.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { decodeJournal } from './journal.ts';
import { parseNote } from './note.ts';
import { bundleBytes, splitBundle, tilePath, tileWidth } from './tile.ts';

/** An entry in its place. */
export interface Leaf {
  readonly index: number;
  /** Canonical JSON; decode with `decodeEntry`. */
  readonly bytes: Buffer;
}

/** Number of entries that the checkpoint on disk names. @throws EvidenceError `evidence-not-found`, `note-malformed` */
export async function publishedSize(directory: Location): Promise<number> {
  const signed = await readIfThere(within(directory, 'checkpoint'), noteBytes);
  if (signed === null) throw new EvidenceError('evidence-not-found', 'there is no log in this directory');
  return parseCheckpoint(parseNote(signed).text).size;
}

/** The bundle `n` of a log of `size` entries; also when the log has grown meanwhile. */
async function readBundle(directory: Location, n: number, size: number): Promise<Buffer[]> {
  const width = Math.min(tileWidth, size - n * tileWidth);
  for (const candidate of width === tileWidth ? [tileWidth] : [width, tileWidth]) {
    const bytes = await readIfThere(within(directory, tilePath('entries', n, candidate)), bundleBytes);
    if (bytes === null) continue;
    try {
      return splitBundle(bytes, candidate).slice(0, width);
    } catch (cause) {
      throw new EvidenceError('log-damaged', `an entry bundle of the log is not whole`, { cause });
    }
  }
  throw new EvidenceError('log-damaged', 'an entry bundle of the log is missing');
}

/**
 * Entries from index `from` on, oldest first, up to the last one that was in the log when the reader got there. Memory
 * holds one bundle, at the end the journal.
 * @param directory the log's own (`<evidence>/log`)
 * @throws EvidenceError `evidence-not-found`, `log-damaged`, `note-malformed`
 */
export async function* readEntries(directory: Location, from = 0): AsyncGenerator<Leaf> {
  let next = from;
  for (;;) {
    const size = await publishedSize(directory);
    while (next < size) {
      const n = Math.floor(next / tileWidth);
      const bundle = await readBundle(directory, n, size);
      for (const bytes of bundle.slice(next - n * tileWidth)) yield { index: next++, bytes };
    }
    const journal = await readIfThere(within(directory, 'journal'), journalBytes);
    const decoded = journal === null ? null : decodeJournal(journal);
    if (decoded === null) return;
    // Shortened between the two reads: what is missing here is published by now.
    if (decoded.base > next) continue;
    for (const bytes of decoded.entries.slice(next - decoded.base)) yield { index: next++, bytes };
    return;
  }
}

/** A session that was opened and not closed, with what its segments add up to so far. */
export interface UnfinishedSession {
  readonly session: string;
  readonly target: string;
  readonly protocol: string;
  /** RFC 3339; its UTC date is in the path of the recording. */
  readonly openedAt: string;
  /** Null when no segment is in the log. */
  readonly lastSegment: number | null;
  readonly totals: SessionTotals;
}

/**
 * The sessions that the last run of the relay left open. Reads back to its `relay.started`: that entry says that nothing
 * was open before it, since recovery closes every session first.
 */
export async function unfinishedSessions(directory: string): Promise<UnfinishedSession[]> {
  const open = new Map<string, UnfinishedSession>();
  for await (const { bytes } of readEntries(directory, await lastStart(directory))) {
    const decoded = decodeEntry(bytes);
    if (decoded.state !== 'known') continue;
    const { entry } = decoded;
    if (entry.kind === 'session.opened') {
      const { session, target, protocol, time } = entry;
      const totals = { segments: 0, commands: 0, bytes: 0, rawBytes: 0, redactions: 0 };
      open.set(session, { session, target, protocol, openedAt: time, lastSegment: null, totals });
    } else if (entry.kind === 'segment') {
      const found = open.get(entry.session);
      if (found === undefined) continue;
      open.set(entry.session, {
        ...found,
        lastSegment: entry.index,
        totals: addSegment(found.totals, entry),
      });
    } else if (entry.kind === 'session.closed') open.delete(entry.session);
  }
  return [...open.values()];
}

export function addSegment(totals: SessionTotals, segment: Omit<SessionTotals, 'segments'>): SessionTotals {
  return {
    segments: totals.segments + 1,
    commands: totals.commands + segment.commands,
    bytes: totals.bytes + segment.bytes,
    rawBytes: totals.rawBytes + segment.rawBytes,
    redactions: totals.redactions + segment.redactions,
  };
}

/**
 * Index of the last `relay.started` before `before`; 0 when there is none. No session is open there, and every sign-in that an
 * entry behind it names is told behind it.
 * @param before default: the end
 */
export async function lastStart(directory: Location, before = Infinity): Promise<number> {
  const started = Buffer.from('"kind":"relay.started"');
  const size = await publishedSize(directory);
  for (let n = Math.ceil(Math.min(size, before) / tileWidth) - 1; n > 0; n--) {
    const bundle = await readBundle(directory, n, size);
    const found = bundle.findLastIndex(
      (bytes, at) => n * tileWidth + at < before && bytes.includes(started) && startsARun(bytes),
    );
    if (found >= 0) return n * tileWidth + found;
  }
  return 0;
}

function startsARun(bytes: Buffer): boolean {
  const decoded = decodeEntry(bytes);
  return decoded.state === 'known' && decoded.entry.kind === 'relay.started';
}
