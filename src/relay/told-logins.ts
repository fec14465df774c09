/**
 * Each log stands alone: it tells a login before the first entry that names it, also when the sign-in was at another relay
 * that shares the state, or before this process started. Without that nobody could verify whose key signed a request.
 */
import { hash } from 'node:crypto';
import type { NewEntry } from '../evidence/entry.ts';
import type { Appended } from '../evidence/log/log.ts';
import type { LoginId } from '../model/ids.ts';
import type { LoginEntry, Logins } from './state/logins.ts';

export type Append = (entry: NewEntry) => Promise<Appended>;

/** Told again when forgotten, which does no harm. */
const remembered = 10_000;

/** @param append to this process's log @param origin of that log */
export function tellingLogins(append: Append, logins: Pick<Logins, 'entryOf'>, origin: string): Append {
  /** By login, what the log has of it that may change, as `changing` tells it. */
  const told = new Map<string, string>();
  const remember = (login: string, content: string): void => {
    told.delete(login);
    told.set(login, content);
    if (told.size > remembered) told.delete(told.keys().next().value!);
  };
  const tell: Append = async (entry) => {
    const login = loginNamedBy(entry);
    const known = login === null ? undefined : told.get(login);
    // Whose say counts rests on the groups and the authentication, which another relay may have renewed.
    if (login !== null && (known === undefined || entry.kind === 'review.decided')) {
      const telling = await logins.entryOf(login as LoginId);
      const content = changing(telling);
      // By the same way: an agent's login names that of the person for whom it acts.
      if (telling !== null && content !== known) await tell(again(telling, origin));
      remember(login, content);
    }
    const appended = await append(entry);
    if (entry.kind === 'login') remember(entry.login, changing(entry));
    return appended;
  };
  return tell;
}

/** What proves it lies beside the log that told it first. */
function again({ keptBy, ...telling }: LoginEntry, origin: string): LoginEntry {
  const elsewhere = keptBy !== undefined && keptBy !== origin;
  return { ...telling, renews: telling.login, ...(elsewhere && { keptBy }) };
}

/** Its digest: groups may be many. */
const changing = (entry: LoginEntry | null): string =>
  hash(
    'sha256',
    JSON.stringify([entry?.groups ?? [], entry?.authTime ?? null, entry?.acr ?? null, entry?.amr ?? []]),
    'base64url',
  );

function loginNamedBy(entry: NewEntry): string | null {
  if (entry.kind === 'login') return entry.delegation?.login ?? null;
  return 'login' in entry ? (entry.login ?? null) : null;
}
