/**
 * What the log says was erased: files that may be gone. Known before the segments are looked at, by a pass of its own over the
 * entries; whether an entry may say so at all is checked in order.
 */
import { decodeEntry, type Entry, type EntryOf } from '../entry.ts';
import { Kept, type Erasable } from '../read/kept.ts';
import { readEntries } from '../log/read.ts';
import { within, type Location } from '../location.ts';
import { EvidenceError } from '../error.ts';
import type { Findings } from './finding.ts';

const erased = Buffer.from('"kind":"evidence.erased"');

export class Erasures {
  /** `what session` of entries under the checkpoint. */
  readonly #said = new Set<string>();
  readonly #kept = new Kept();
  readonly #relations: Findings;
  /** Files that the log says were erased, and that are gone. */
  readonly files = { segments: 0, originals: 0 };

  private constructor(relations: Findings) {
    this.#relations = relations;
  }

  /** @param size of the checkpoint: what nobody signed excuses nothing */
  static async read(evidence: Location, size: number, relations: Findings): Promise<Erasures> {
    const erasures = new Erasures(relations);
    try {
      for await (const { index, bytes } of readEntries(within(evidence, 'log'))) {
        if (index >= size) break;
        // Few entries are: the others are not worth decoding twice.
        const decoded = bytes.includes(erased) ? decodeEntry(bytes) : null;
        if (decoded?.state === 'known' && decoded.entry.kind === 'evidence.erased')
          erasures.#said.add(`${decoded.entry.what} ${decoded.entry.session}`);
      }
    } catch (error) {
      // Entries that cannot be read are named by the tree's check.
      if (!(error instanceof EvidenceError)) throw error;
    }
    return erasures;
  }

  /** May this file be missing? Counts it, if so. */
  excuses(session: string, file: 'segments' | 'originals'): boolean {
    const erased = (what: Erasable): boolean => this.#said.has(`${what} ${session}`);
    const excused = erased('recording') || (file === 'originals' && erased('originals'));
    if (excused) this.files[file] += 1;
    return excused;
  }

  /** Every entry in order. */
  take(entry: Entry, index: number): void {
    if (entry.kind === 'evidence.erased') this.#check(entry, index);
    this.#kept.take(entry);
  }

  #check({ session: id }: EntryOf<'evidence.erased'>, index: number): void {
    const session = this.#kept.session(id);
    const place = { index, session: id };
    if (session === undefined || session.closedAt === null) {
      this.#relations.failure('erasure-invalid', 'what is erased is not of a session that was over', place);
      return;
    }
    const hold = this.#kept.heldBy(session);
    if (hold !== null)
      this.#relations.failure('erased-under-hold', `it was erased while hold ${hold.hold} forbade it`, place);
  }
}
