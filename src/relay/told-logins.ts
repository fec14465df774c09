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
  const told = new Set<string>();
  return async (entry) => {
    const login = loginNamedBy(entry);
    if (login !== null && !told.has(login)) {
      const telling = await logins.entryOf(login as LoginId);
      if (telling !== null) await append({ ...telling, renews: login });
    }
    const appended = await append(entry);
    const known = entry.kind === 'login' ? entry.login : login;
    if (known !== null) {
      told.delete(known);
      told.add(known);
      if (told.size > remembered) told.delete(told.values().next().value!);
    }
    return appended;
  };
}

function loginNamedBy(entry: NewEntry): string | null {
  const names = ['session.opened', 'session.killed', 'review.decided', 'login.ended'] as const;
  return names.some((kind) => kind === entry.kind) && 'login' in entry ? entry.login : null;
}
