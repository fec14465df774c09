/**
 * Reads evidence (a relay's directory, or an exported one) into what people ask for: entries, sessions, commands, events,
 * transcripts. Works on files alone, while the relay writes them or years later.
 *
 * It deliberately proves nothing: that is `evidence/verify`. What does not parse is left out here and named there.
 * Everything streams: memory holds one segment per session that was open at the moment being read.
 */
import { decodeEntry, type Entry } from '../entry.ts';
import { within, type Location } from '../location.ts';
import { readEntries as readLeaves } from '../log/read.ts';

/** An entry and its place in the log. */
export interface LogEntry {
  readonly index: number;
  readonly entry: Entry;
}

/**
 * The log's entries from index `from` on, in order, up to the newest; kinds of later versions are left out.
 * @param evidence the evidence directory; the log is `log/` in it
 * @throws EvidenceError `evidence-not-found`, `log-damaged`
 */
export async function* readEntries(evidence: Location, from = 0): AsyncGenerator<LogEntry> {
  for await (const { index, bytes } of readLeaves(within(evidence, 'log'), from)) {
    const decoded = decodeEntry(bytes);
    if (decoded.state === 'known') yield { index, entry: decoded.entry };
  }
}
