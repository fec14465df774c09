/**
 * A pass of its own over the entries, before they are checked in order: for what later entries say of files that earlier ones
 * name. Whether an entry may say so at all is checked in order.
 */
import { decodeEntry, type Entry, type EntryKind } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { within, type Location } from '../location.ts';
import { readEntries } from '../log/read.ts';

/**
 * @param size of the checkpoint: what nobody signed changes nothing
 * @param kinds few entries are of these: the others are not worth decoding twice
 */
export async function* entriesAhead(
  evidence: Location,
  size: number,
  kinds: readonly EntryKind[],
): AsyncGenerator<Entry> {
  const wanted = kinds.map((kind) => Buffer.from(`"kind":"${kind}"`));
  try {
    for await (const { index, bytes } of readEntries(within(evidence, 'log'))) {
      if (index >= size) break;
      const decoded = wanted.some((kind) => bytes.includes(kind)) ? decodeEntry(bytes) : null;
      if (decoded?.state === 'known') yield decoded.entry;
    }
  } catch (error) {
    // Entries that cannot be read are named by the tree's check.
    if (!(error instanceof EvidenceError)) throw error;
  }
}
