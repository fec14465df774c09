/** Sessions as the log tells them. */
import { within, type Location } from '../location.ts';
import { sessionPath } from '../recording/layout.ts';
import type { Actor, EntryOf, PersonActor, SessionTotals } from '../entry.ts';
import { addSegment } from '../log/read.ts';
import { readEntries } from './entries.ts';
import { matchesSession, type EventFilter } from './filter.ts';

/** A person, service or agent, with the groups that its login had. */
export interface Who extends Omit<PersonActor, 'actsFor'> {
  readonly groups: readonly string[];
  /** The person on whose behalf an agent acted. */
  readonly actsFor: NonNullable<PersonActor['actsFor']> | null;
}

export const whoOf = (actor: PersonActor, groups: readonly string[]): Who => ({
  ...actor,
  actsFor: actor.actsFor ?? null,
  groups,
});

export interface SessionSummary {
  readonly session: string;
  readonly target: string;
  readonly protocol: string;
  readonly principal: Who;
  readonly reason: string | null;
  readonly task: string | null;
  readonly openedAt: string;
  readonly deadline: string;
  /** Null while it is open, or when nobody ever closed it. */
  readonly closedAt: string | null;
  /** How it ended; `open` when the log does not say. */
  readonly outcome: EntryOf<'session.closed'>['outcome'] | 'open';
  /** So far, while it is open. */
  readonly totals: SessionTotals;
  /** What of it was erased, and when the log said so first; null: nothing. */
  readonly erased: { readonly what: EntryOf<'evidence.erased'>['what']; readonly at: string } | null;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Groups by login and, for what names none, by person, as the log goes by. */
export class LoginGroups {
  readonly #byLogin = new Map<string, readonly string[]>();
  readonly #byPerson = new Map<string, readonly string[]>();

  take(entry: EntryOf<'login'>): void {
    this.#byLogin.set(entry.login, entry.groups);
    this.#byPerson.set(personKey(entry.actor), entry.groups);
  }

  of(login: string): readonly string[] {
    return this.#byLogin.get(login) ?? [];
  }

  /** Those of the person's last sign-in or renewal. */
  ofPerson(actor: Actor): readonly string[] {
    return actor.kind === 'relay' ? [] : (this.#byPerson.get(personKey(actor)) ?? []);
  }
}

const personKey = ({ issuer, subject }: { issuer: string; subject: string }): string =>
  JSON.stringify([issuer, subject]);

export function summaryOf(
  opened: EntryOf<'session.opened'>,
  groups: readonly string[],
): Mutable<SessionSummary> {
  const { session, target, protocol, reason, task, time: openedAt, deadline } = opened;
  const totals = { segments: 0, commands: 0, bytes: 0, rawBytes: 0, redactions: 0 };
  return {
    session,
    target,
    protocol,
    principal: whoOf(opened.actor, groups),
    reason,
    task,
    openedAt,
    deadline,
    closedAt: null,
    outcome: 'open',
    totals,
    erased: null,
  };
}

/** Where the recording of a session lies. */
export function recordingOf(evidence: string, session: Recorded): string;
export function recordingOf(evidence: Location, session: Recorded): Location;
export function recordingOf(evidence: Location, { session, openedAt }: Recorded): Location {
  return within(evidence, sessionPath(Date.parse(openedAt), session));
}

type Recorded = Pick<SessionSummary, 'session' | 'openedAt'>;

/**
 * Sessions in the order in which they were opened.
 * @throws EvidenceError `evidence-not-found`
 */
export async function readSessions(evidence: Location, filter: EventFilter): Promise<SessionSummary[]> {
  const sessions = new Map<string, Mutable<SessionSummary>>();
  const logins = new LoginGroups();
  for await (const { entry } of readEntries(evidence)) {
    if (entry.kind === 'login') logins.take(entry);
    else if (entry.kind === 'session.opened') {
      const summary = summaryOf(entry, logins.of(entry.login));
      if (matchesSession(filter, summary)) sessions.set(entry.session, summary);
    } else if (entry.kind === 'segment') {
      const session = sessions.get(entry.session);
      if (session !== undefined) session.totals = addSegment(session.totals, entry);
    } else if (entry.kind === 'session.closed') {
      const session = sessions.get(entry.session);
      if (session === undefined) continue;
      session.closedAt = entry.time;
      session.outcome = entry.outcome;
      session.totals = entry.totals;
    } else if (entry.kind === 'evidence.erased') {
      const session = sessions.get(entry.session);
      if (session !== undefined) session.erased = { what: entry.what, at: entry.time };
    }
  }
  return [...sessions.values()].filter((session) => lived(session, filter));
}

/** Its end decides whether it overlaps the range that was asked for, and whether it had the outcome. */
function lived(session: SessionSummary, { from, outcome }: EventFilter): boolean {
  if (from !== undefined && session.closedAt !== null && session.closedAt < from) return false;
  return outcome === undefined || outcome === session.outcome;
}
