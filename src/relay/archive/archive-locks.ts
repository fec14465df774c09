/** Until when the archive's lock keeps what would be erased; and that nothing comes under a lock while it is being erased. */
import type { KeptSession } from '../../evidence/read/kept.ts';
import { sessionPath } from '../../evidence/recording/layout.ts';
import { isOfOriginals } from './entry-files.ts';
import type { ArchiveStore } from './store.ts';

export class ArchiveLocks {
  readonly #store: ArchiveStore;
  /** By session and what of it: a lock only ever gets longer. */
  readonly #known = new Map<string, Date>();

  /** How many files are on their way, by session. */
  readonly #underWay = new Map<string, number>();

  constructor(store: ArchiveStore) {
    this.#store = store;
  }

  /** Null: nothing keeps it. @throws ArchiveError `archive-unreachable`, `archive-refused` */
  async until(
    { session, openedAt }: KeptSession,
    what: 'recording' | 'originals',
    nowMs: number,
  ): Promise<Date | null> {
    // What is being put will be locked. Whether that or the erasure came first is decided in `undisturbed`.
    if (this.#store.lockMs !== null && this.#underWay.has(session))
      return new Date(nowMs + this.#store.lockMs);
    const key = `${session} ${what}`;
    const known = this.#known.get(key);
    if (known !== undefined && known.getTime() > nowMs) return known;
    for await (const name of this.#store.names(sessionPath(Date.parse(openedAt), session))) {
      if (what === 'originals' && !isOfOriginals(name)) continue;
      const until = await this.#store.lockedUntil(name);
      if (until === null || until.getTime() <= nowMs) continue;
      // The first one is answer enough: it cannot be erased now.
      this.#known.set(key, until);
      return until;
    }
    this.#known.delete(key);
    return null;
  }

  /** A file of the session is being put until the answer is called. */
  putting(session: string): () => void {
    this.#underWay.set(session, (this.#underWay.get(session) ?? 0) + 1);
    return () => {
      const left = (this.#underWay.get(session) ?? 0) - 1;
      if (left > 0) this.#underWay.set(session, left);
      else this.#underWay.delete(session);
    };
  }
}
