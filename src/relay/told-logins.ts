/**
 * Each log stands alone: it tells a login before the first entry that names it, also when the sign-in was at another relay
 * that shares the state, or before this process started. Without that nobody could verify whose key signed a request.
 */
import type { NewEntry } from '../evidence/entry.ts';
import type { Appended } from '../evidence/log/log.ts';
import type { LoginId } from '../model/ids.ts';
import type { Logins } from './state/logins.ts';

export type Append = (entry: NewEntry) => Promise<Appended>;

/** Told again when forgotten, which does no harm. */
const remembered = 10_000;

/** @param append to this process's log */
export function tellingLogins(append: Append, logins: Pick<Logins, 'entryOf'>): Append {
  /** By login, the groups that the log has of it. */
  const told = new Map<string, string>();
  const remember = (login: string, groups: string): void => {
    told.delete(login);
    told.set(login, groups);
    if (told.size > remembered) told.delete(told.keys().next().value!);
  };
  return async (entry) => {
    const login = loginNamedBy(entry);
    const known = login === null ? undefined : told.get(login);
    // Whose say counts rests on the groups, which another relay may have renewed.
    if (login !== null && (known === undefined || entry.kind === 'review.decided')) {
      const telling = await logins.entryOf(login as LoginId);
      const groups = JSON.stringify(telling?.groups ?? []);
      if (telling !== null && groups !== known) await append({ ...telling, renews: login });
      remember(login, groups);
    }
    const appended = await append(entry);
    if (entry.kind === 'login') remember(entry.login, JSON.stringify(entry.groups));
    return appended;
  };
}

function loginNamedBy(entry: NewEntry): string | null {
  const names = [
    'session.opened',
    'session.killed',
    'review.decided',
    'evidence.read',
    'login.ended',
  ] as const;
  return names.some((kind) => kind === entry.kind) && 'login' in entry ? (entry.login ?? null) : null;
}
