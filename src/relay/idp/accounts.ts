/** The people of the embedded provider, as an operator manages them and as they sign in. */
import { z } from 'zod';
import { systemClock, type Clock } from '../../system/clock.ts';
import type { OperatorAct } from '../../evidence/operator-act.ts';
import type { LiveLogin, LoginEnd } from '../state/logins.ts';
import type { State } from '../state/state.ts';
import type { User } from '../state/users.ts';
import { ProviderError } from './error.ts';
import { maxPasswordLength, Passwords } from './password.ts';
import { addressGroup, limits, RateLimit } from './rate-limit.ts';

const Email = z.email().max(254);
const Group = z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N} ._@/-]{0,127}$/u);

export type SignIn =
  /** `atMs`: before the password was looked at; what is revoked later revokes this. */
  | { readonly kind: 'signed-in'; readonly user: User; readonly atMs: number }
  /** Wrong address or password, or disabled: the person is not told which. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'try-later'; readonly retryAfterMs: number };

export class Accounts {
  readonly #state: State;
  readonly #issuer: string;
  readonly #clock: Clock;
  readonly #operator: OperatorAct | null;
  readonly #passwords = new Passwords();
  readonly #rateLimit: RateLimit;

  /**
   * @param issuer the embedded provider's issuer (`providerIssuer`): logins of these people carry it
   * @param operator who changes people, for the record; null in the provider itself, which changes nobody
   */
  constructor(state: State, issuer: string, clock: Clock = systemClock, operator: OperatorAct | null = null) {
    this.#operator = operator;
    this.#state = state;
    this.#issuer = issuer;
    this.#clock = clock;
    this.#rateLimit = new RateLimit(state.attempts);
  }

  /**
   * Null when somebody has that address.
   * @throws ProviderError `account-invalid`
   */
  async add(email: string, groups: readonly string[], password: string): Promise<User | null> {
    if (!Email.safeParse(email).success) throw invalid('The address is not an e-mail address.');
    checkGroups(groups);
    checkPassword(password);
    return this.#state.users.add(email, groups, await this.#passwords.hash(password));
  }

  list(): Promise<User[]> {
    return this.#state.users.list();
  }

  byEmail(email: string): Promise<User | null> {
    return this.#state.users.byEmail(email);
  }

  /**
   * Holds from the next renewal of the person's sign-ins on.
   * @throws ProviderError `account-invalid`
   */
  setGroups(user: User, groups: readonly string[]): Promise<boolean> {
    checkGroups(groups);
    return this.#state.users.setGroups(user.id, groups);
  }

  /**
   * Ends all sign-ins of the person.
   * @throws ProviderError `account-invalid`
   */
  async setPassword(user: User, password: string): Promise<boolean> {
    checkPassword(password);
    const done = await this.#state.users.setPasswordHash(user.id, await this.#passwords.hash(password));
    await this.#endLogins(user, 'revoked');
    await this.#rateLimit.clear(limits.account, user.email);
    return done;
  }

  /** Disabling ends all sign-ins of the person at once. */
  async setDisabled(user: User, disabled: boolean): Promise<boolean> {
    const done = await this.#state.users.setDisabled(user.id, disabled);
    if (disabled) await this.#endLogins(user, 'revoked');
    return done;
  }

  /** Ends all sign-ins of the person at once. */
  async remove(user: User): Promise<boolean> {
    const done = await this.#state.users.remove(user.id);
    await this.#endLogins(user, 'user-removed');
    return done;
  }

  /** @param address of the browser, for the rate limit; all three are untrusted */
  async signIn(email: string, password: string, address: string): Promise<SignIn> {
    const account = email.trim().toLowerCase().slice(0, 254);
    const from = addressGroup(address);
    // In turn: an address that is not heard must not go on counting against people, until nobody can sign in.
    const wait =
      (await this.#rateLimit.enter(limits.address, from)) ??
      (await this.#rateLimit.enter(limits.account, account));
    if (wait !== null) return { kind: 'try-later', retryAfterMs: wait };
    if (password.length > maxPasswordLength) return { kind: 'refused' };
    const atMs = this.#clock.wallMs();
    const credentials = await this.#state.users.credentialsOf(account);
    const right = await this.#passwords.verify(password, credentials?.passwordHash ?? null);
    if (right === null) return { kind: 'try-later', retryAfterMs: 5000 };
    if (!right || credentials === null || credentials.user.disabled) return { kind: 'refused' };
    await this.#rateLimit.forgive(limits.address, from);
    await this.#rateLimit.clear(limits.account, account);
    return { kind: 'signed-in', user: credentials.user, atMs };
  }

  /**
   * Whether an ID token still speaks for the person: not of one who was removed or disabled since, nor from before a new
   * password. A token lives for minutes, and whoever kept one unspent must not come back with it.
   * @param sinceMs when it was issued, or the password given that it came of, whichever was earlier
   */
  async vouchesFor(subject: string, sinceMs: number): Promise<boolean> {
    const user = await this.#state.users.byId(subject);
    if (user === null || user.disabled) return false;
    const revokedAtMs = Number((await this.#state.settings.get(revokedAt(subject))) ?? 0);
    return sinceMs >= Math.floor(revokedAtMs / 1000) * 1000;
  }

  /** Live ones. */
  loginsOf(user: User): Promise<LiveLogin[]> {
    return this.#state.logins.live({ issuer: this.#issuer, subject: user.id });
  }

  async #endLogins(user: User, reason: LoginEnd): Promise<void> {
    // First: a sign-in under way looks at it once its login is stored, or its login is among those that end below.
    if (reason === 'revoked')
      await this.#state.settings.set(revokedAt(user.id), String(this.#clock.wallMs()));
    await this.#state.artefacts.removeAccount(user.id);
    await this.#state.logins.endAllOf(this.#issuer, user.id, reason, this.#operator);
  }
}

const revokedAt = (subject: string): string => `sign-ins-revoked-at:${subject}`;

/** @throws ProviderError `account-invalid` */
export function checkGroups(groups: readonly string[]): void {
  if (groups.length > 200 || !groups.every((group) => Group.safeParse(group).success))
    throw invalid(
      'A group has a name that cannot be one.',
      'letters, digits, space and . _ @ / -, at most 128',
    );
}

function checkPassword(password: string): void {
  if (password.length < 8)
    throw invalid('The password is too short.', 'use at least 8 characters; a phrase is best');
  if (password.length > maxPasswordLength)
    throw invalid(`The password is over ${maxPasswordLength} characters.`);
}

function invalid(message: string, hint?: string): ProviderError {
  return new ProviderError('account-invalid', message, hint === undefined ? {} : { hint });
}
