/** What part of the evidence somebody asks for. */
import type { SessionSummary, Who } from './sessions.ts';

export interface EventFilter {
  /** RFC 3339, UTC, milliseconds; inclusive. */
  readonly from?: string | undefined;
  /** Exclusive. */
  readonly to?: string | undefined;
  /** E-mail or subject, exactly. */
  readonly person?: string | undefined;
  readonly target?: string | undefined;
  readonly task?: string | undefined;
  readonly session?: string | undefined;
  /** Of sessions when sessions are asked for, of commands when events are. */
  readonly outcome?: string | undefined;
}

export const matchesPerson = ({ person }: EventFilter, who: Who): boolean =>
  person === undefined || person === who.email || person === who.subject;

/** Whether anything of this session can match, as far as its opening tells. */
export function matchesSession(filter: EventFilter, session: SessionSummary): boolean {
  const { target, task, to, session: id } = filter;
  return (
    matchesPerson(filter, session.principal) &&
    (target === undefined || target === session.target) &&
    (task === undefined || task === session.task) &&
    (id === undefined || id === session.session) &&
    (to === undefined || session.openedAt < to)
  );
}

export const inRange = ({ from, to }: EventFilter, time: string): boolean =>
  (from === undefined || time >= from) && (to === undefined || time < to);
