/** Entries become events by what the entries before them said: logins their groups, openings their sessions. */
import type { Entry } from '../entry.ts';
import { entryEvent, type EvidenceEvent } from './event.ts';
import type { LogEntry } from './entries.ts';
import { matchesPerson, matchesSession, type EventFilter } from './filter.ts';
import { LoginGroups, summaryOf, type SessionSummary } from './sessions.ts';

export class EntryEvents {
  readonly #filter: EventFilter;
  readonly #logins = new LoginGroups();
  readonly #sessions = new Map<string, SessionSummary>();

  constructor(filter: EventFilter) {
    this.#filter = filter;
  }

  /** A session that was opened, matches as far as its opening tells, and was not closed yet. */
  session(id: string): SessionSummary | undefined {
    return this.#sessions.get(id);
  }

  /** Takes every entry in order; returns its event, if the filter wants it whatever its time. */
  take(logged: LogEntry): EvidenceEvent | null {
    const { entry } = logged;
    if (entry.kind === 'login') {
      this.#logins.take(entry);
      const wanted = byPersonAlone(this.#filter) && matchesPerson(this.#filter, entry.actor);
      return wanted ? entryEvent(logged, undefined, entry.groups) : null;
    }
    if (entry.kind === 'session.opened') {
      const summary = summaryOf(entry, this.#logins.of(entry.login));
      if (!matchesSession(this.#filter, summary)) return null;
      this.#sessions.set(entry.session, summary);
      return entryEvent(logged, summary, summary.principal.groups);
    }
    const id = 'session' in entry ? entry.session : null;
    const session = id === null ? undefined : this.#sessions.get(id);
    if (entry.kind === 'session.closed') this.#sessions.delete(entry.session);
    if (session === undefined && !matchesAlone(this.#filter, entry)) return null;
    const login = 'login' in entry ? entry.login : undefined;
    const groups = login === undefined ? this.#logins.ofPerson(entry.actor) : this.#logins.of(login);
    return entryEvent(logged, session, groups);
  }
}

/** No filter that only a session can answer. */
const byPersonAlone = ({ target, task, session }: EventFilter): boolean =>
  target === undefined && task === undefined && session === undefined;

/** An entry outside the sessions that match: the system's own, or a person's. */
function matchesAlone(filter: EventFilter, entry: Entry): boolean {
  if (filter.session !== undefined && 'session' in entry && entry.session === filter.session) return true;
  if (!byPersonAlone(filter)) return false;
  if (filter.person === undefined) return true;
  return entry.actor.kind !== 'relay' && matchesPerson(filter, entry.actor);
}
