/**
 * What the log says was erased: files that may be gone. Known before the segments are looked at; whether an entry may say so at
 * all is checked in order.
 */
import type { Entry, EntryOf } from '../entry.ts';
import { Kept, type Erasable } from '../read/kept.ts';
import type { Findings } from './finding.ts';

export class Erasures {
  /** `what session` of entries under the checkpoint. */
  readonly #said = new Set<string>();
  readonly #kept = new Kept();
  readonly #relations: Findings;
  /** Files that the log says were erased, and that are gone. */
  readonly files = { segments: 0, originals: 0 };

  /** @param relations takes what may only be said when no entry is missing */
  constructor(relations: Findings) {
    this.#relations = relations;
  }

  /** Before the check: every entry under the checkpoint. */
  announce(entry: Entry): void {
    if (entry.kind === 'evidence.erased') this.#said.add(`${entry.what} ${entry.session}`);
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
    if (entry.kind === 'originals.resealed') this.#checkReseal(entry, index);
    this.#kept.take(entry);
  }

  /** Who forbids erasing forbids replacing: nobody here can tell what is in the file. */
  #checkReseal({ session: id, segment }: EntryOf<'originals.resealed'>, index: number): void {
    const session = this.#kept.session(id);
    const hold = session === undefined ? null : this.#kept.heldBy(session);
    const place = { index, session: id, segment };
    if (hold !== null)
      this.#relations.failure(
        'resealed-under-hold',
        `originals were replaced while hold ${hold.hold} forbade it`,
        place,
      );
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
