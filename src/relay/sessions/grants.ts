/**
 * What a session has of its person's groups beside what policy says: whom they sign in as at the target, and what is not masked
 * for them. Both are fixed when it opens.
 */
import { exemptionsOf } from '../../masking/masking.ts';
import type { Principal } from '../../model/principal.ts';
import type { RelayConfig } from '../config/config.ts';
import { settingValue } from '../config/secret.ts';
import type { SshTargetConfig, TargetConfig } from '../config/targets.ts';

/** Null: nobody said who this person is at the target. */
export function loginOf({ logins }: SshTargetConfig, { email, subject, groups }: Principal): string | null {
  const login = logins.find(
    (each) =>
      (each.email === null || each.email === email) &&
      (each.subject === null || each.subject === subject) &&
      (each.group === null || groups.includes(each.group)),
  );
  return login === undefined ? null : settingValue(login.user);
}

/** Whether a session has nothing that it would not get for its person as they are now. @param opened as they were when it opened */
export function keepsGrants(
  { masking }: RelayConfig,
  target: TargetConfig,
  opened: Principal,
  now: Principal,
): boolean {
  if (target.protocol === 'ssh' && loginOf(target, opened) !== loginOf(target, now)) return false;
  const has = new Set(exemptionsOf(masking, { target, groups: now.groups }).map(({ rule }) => rule));
  return exemptionsOf(masking, { target, groups: opened.groups }).every(({ rule }) => has.has(rule));
}
