/** Live logins and sessions as an operator sees them: rows for people, documents for programs. */
import type { LiveLogin } from '../relay/state/logins.ts';
import type { StoredSession } from '../relay/state/sessions.ts';
import { nameOf } from './person.ts';
import { instant, timeOfDay } from './time.ts';

export const loginHeads = ['login', 'person', 'kind', 'signed in', 'renewed', 'until', 'sessions'] as const;

const at = (ms: number): string => timeOfDay(new Date(ms));

export const loginRow = (login: LiveLogin, sessions: readonly StoredSession[]): string[] => [
  login.id,
  nameOf(login.principal),
  login.principal.kind,
  at(login.createdAtMs),
  at(login.renewedAtMs),
  at(login.validUntilMs),
  String(sessions.filter((session) => session.login === login.id).length),
];

/** `until`: it ends then unless it is renewed. */
export const loginDocument = (login: LiveLogin, sessions: readonly StoredSession[]) => ({
  login: login.id,
  principal: login.principal,
  thumbprint: login.jkt,
  signedIn: instant(login.createdAtMs),
  renewed: instant(login.renewedAtMs),
  until: instant(login.validUntilMs),
  sessions: sessions.filter((session) => session.login === login.id).map(({ id }) => id),
});

export const sessionHeads = [
  'session',
  'target',
  'person',
  'opened',
  'until',
  'task',
  'reason',
  'login',
] as const;

export const sessionRow = (session: StoredSession): (string | null)[] => [
  session.id,
  session.target,
  nameOf(session.principal),
  at(session.openedAtMs),
  at(session.deadlineMs),
  session.task,
  session.reason,
  session.login,
];

export const sessionDocument = (session: StoredSession) => ({
  session: session.id,
  target: session.target,
  principal: session.principal,
  openedAt: instant(session.openedAtMs),
  deadline: instant(session.deadlineMs),
  task: session.task,
  reason: session.reason,
  login: session.login,
});
