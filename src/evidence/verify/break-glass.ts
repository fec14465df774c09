/**
 * Break-glass in the log: told whenever it was opened, and used by nobody but those it names, before it ended. Its time is
 * not compared: the wall clock may have jumped, and the relay measures it by another.
 */
import type { EntryOf } from '../entry.ts';
import type { Findings } from './finding.ts';

export class BreakGlassCheck {
  readonly #findings: Findings;
  readonly #relations: Findings;
  /** Since the relay started, and not ended. */
  readonly #open = new Map<string, EntryOf<'break-glass.opened'>>();

  /** @param relations for what entries say about one another */
  constructor(findings: Findings, relations: Findings) {
    this.#findings = findings;
    this.#relations = relations;
  }

  /** A relay that starts has none open. */
  started(): void {
    this.#open.clear();
  }

  opened(entry: EntryOf<'break-glass.opened'>, index: number): void {
    this.#open.set(entry.breakGlass, entry);
    const people = entry.people.map(({ subject }) => subject).join(', ');
    const message = `entry ${index}: break-glass was opened on the relay’s machine for ${people}, until ${entry.expires} at most`;
    this.#findings.warning('break-glass-opened', message, { index });
  }

  used({ breakGlass, session, actor }: EntryOf<'break-glass.used'>, index: number): void {
    const place = { index, session };
    const people = this.#open.get(breakGlass)?.people;
    if (people === undefined)
      this.#relations.failure(
        'break-glass-invalid',
        `entry ${index} uses a break-glass that is not open`,
        place,
      );
    else if (!people.some(({ issuer, subject }) => issuer === actor.issuer && subject === actor.subject))
      this.#relations.failure('break-glass-invalid', `entry ${index} uses a break-glass for others`, place);
  }

  ended({ breakGlass }: EntryOf<'break-glass.ended'>, index: number): void {
    if (this.#open.delete(breakGlass)) return;
    const message = `entry ${index} ends a break-glass that is not open`;
    this.#relations.failure('break-glass-invalid', message, { index });
  }
}
