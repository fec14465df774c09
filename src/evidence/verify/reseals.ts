/**
 * Age files that took the place of others, as the log says: each follows on the one before, and the last one counts. That
 * it has the same content nobody can tell without an identity (`originals.ts`).
 */
import type { Entry, EntryOf } from '../entry.ts';
import type { Findings } from './finding.ts';

interface Chain {
  /** Digests in the order of the log, without the segment's own. */
  readonly digests: string[];
  /** The one that counts where the check has come to; null: the segment has not come yet, or has none. */
  now: string | null;
}

/** Memory: some hundred bytes for each segment that was resealed. */
export class Reseals {
  /** By session and segment. */
  readonly #chains = new Map<string, Chain>();
  readonly #relations: Findings;
  /** Files that are in place of those that were sealed first. */
  files = 0;

  /** @param relations takes what may only be said when no entry is missing */
  constructor(relations: Findings) {
    this.#relations = relations;
  }

  /** Before the check: every entry under the checkpoint. */
  announce(entry: Entry): void {
    if (entry.kind !== 'originals.resealed') return;
    const key = keyOf(entry.session, entry.segment);
    const chain = this.#chains.get(key) ?? { digests: [], now: null };
    chain.digests.push(entry.to);
    this.#chains.set(key, chain);
  }

  /** Every entry in order. */
  take(entry: Entry, index: number): void {
    if (entry.kind === 'segment') {
      const chain = this.#chains.get(keyOf(entry.session, entry.index));
      if (chain !== undefined) chain.now = entry.sealed;
    } else if (entry.kind === 'originals.resealed') this.#check(entry, index);
  }

  /** What an age file with this digest is to the segment. Counts those that were resealed. */
  standing(
    { session, index, sealed }: EntryOf<'segment'>,
    digest: string,
  ): 'current' | 'replaced' | 'foreign' {
    const digests = [sealed, ...(this.#chains.get(keyOf(session, index))?.digests ?? [])];
    const at = digests.lastIndexOf(digest);
    if (at < 0) return 'foreign';
    if (at > 0) this.files += 1;
    return at === digests.length - 1 ? 'current' : 'replaced';
  }

  #check({ session, segment, from, to }: EntryOf<'originals.resealed'>, index: number): void {
    const chain = this.#chains.get(keyOf(session, segment));
    if (chain === undefined) return;
    if (chain.now !== from) {
      const why = chain.now === null ? 'of which the log names none' : 'that were sealed otherwise';
      this.#relations.failure('reseal-invalid', `originals are sealed anew ${why}`, {
        index,
        session,
        segment,
      });
    }
    chain.now = to;
  }
}

const keyOf = (session: string, segment: number): string => `${session} ${segment}`;
