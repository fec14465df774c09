/** Whether a session has ended, as its log goes on. */
import type { Location } from '../location.ts';
import type { EntryOf } from '../entry.ts';
import { readEntries } from './entries.ts';

export class SessionEnding {
  readonly #evidence: Location;
  readonly #session: string;
  #next = 0;
  #outcome: EntryOf<'session.closed'>['outcome'] | null = null;

  constructor(evidence: Location, session: string) {
    this.#evidence = evidence;
    this.#session = session;
  }

  /** How it ended; null: it goes on. Reads what the log has had since the last look. */
  async look(): Promise<EntryOf<'session.closed'>['outcome'] | null> {
    if (this.#outcome !== null) return this.#outcome;
    for await (const { index, entry } of readEntries(this.#evidence, this.#next)) {
      this.#next = index + 1;
      if (entry.kind === 'session.closed' && entry.session === this.#session) this.#outcome = entry.outcome;
    }
    return this.#outcome;
  }
}
