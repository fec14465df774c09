/** What part of the evidence somebody asks for. */
import type { PersonActor } from '../entry.ts';
import type { SessionSummary } from './sessions.ts';

export interface EventFilter {
  /** RFC 3339, UTC, milliseconds; inclusive. */
  readonly from?: string | undefined;
  /** Exclusive. */
  readonly to?: string | undefined;
  /** E-mail or subject, exactly. */
  readonly person?: string | undefined;
  readonly target?: string | undefined;
  /** With its sub-tasks. */
  readonly task?: string | undefined;
  readonly session?: string | undefined;
  /** Of sessions when sessions are asked for, of commands when events are. */
  readonly outcome?: string | undefined;
}

type Named = Pick<PersonActor, 'email' | 'subject'>;

/** What an agent did on somebody's behalf is also that person's. */
export const matchesPerson = (
  { person }: EventFilter,
  who: Named & { readonly actsFor?: Named | null | undefined },
): boolean =>
  person === undefined ||
  [who, who.actsFor].some((each) => each?.email === person || each?.subject === person);

/** `deploy/db` is a sub-task of `deploy`. */
export const isWithinTask = (task: string | null, of: string): boolean =>
  task !== null && (task === of || task.startsWith(`${of}/`));

/** Whether anything of this session can match, as far as its opening tells. */
export function matchesSession(filter: EventFilter, session: SessionSummary): boolean {
  const { target, task, to, session: id } = filter;
  return (
    matchesPerson(filter, session.principal) &&
    (target === undefined || target === session.target) &&
    (task === undefined || isWithinTask(session.task, task)) &&
    (id === undefined || id === session.session) &&
    (to === undefined || session.openedAt < to)
  );
}

export const inRange = ({ from, to }: EventFilter, time: string): boolean =>
  (from === undefined || time >= from) && (to === undefined || time < to);
