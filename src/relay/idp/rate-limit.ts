/**
 * How often something may fail. Counted before it is tried and taken back when it succeeds, in the shared state: several
 * relays do not multiply the tries. The price: somebody who tries an account's password on purpose can keep its owner
 * from signing in anew for a window; sign-ins that live are not touched.
 */
import { isIPv6 } from 'node:net';
import type { Attempts } from '../state/counters.ts';

export interface Limit {
  readonly name: string;
  readonly failures: number;
  readonly windowMs: number;
}

export const limits = {
  account: { name: 'account', failures: 10, windowMs: 900_000 },
  address: { name: 'address', failures: 50, windowMs: 900_000 },
  serviceAccount: { name: 'service-account', failures: 10, windowMs: 900_000 },
  machineAddress: { name: 'machine-address', failures: 50, windowMs: 900_000 },
  userCode: { name: 'user-code', failures: 20, windowMs: 600_000 },
  /**
   * Wrong codes of everybody: addresses can be had by the million, and an address more is no way round this one. Eight letters of
   * twenty and a hundred codes that wait leave a guesser 1 chance in 128,000 in the ten minutes that a code lives.
   */
  allUserCodes: { name: 'user-codes', failures: 2000, windowMs: 600_000 },
} satisfies Record<string, Limit>;

export class RateLimit {
  readonly #attempts: Attempts;

  constructor(attempts: Attempts) {
    this.#attempts = attempts;
  }

  /** Null: go on. A number: milliseconds until the next try is heard. */
  async enter(limit: Limit, who: string): Promise<number | null> {
    const { count, resetInMs } = await this.#attempts.count(key(limit, who), limit.windowMs);
    return count > limit.failures ? Math.max(resetInMs, 1000) : null;
  }

  /** The try was no failure. */
  forgive(limit: Limit, who: string): Promise<void> {
    return this.#attempts.forgive(key(limit, who));
  }

  clear(limit: Limit, who: string): Promise<void> {
    return this.#attempts.clear(key(limit, who));
  }
}

const key = (limit: Limit, who: string): string => `${limit.name}:${who}`;

/** Whether two addresses are so near that one person may well sit at both: the same /24 of IPv4, the same /64 of IPv6. */
export const sameNetwork = (one: string, other: string): boolean => networkOf(one) === networkOf(other);

function networkOf(address: string): string {
  const group = addressGroup(address);
  if (group.startsWith('127.') || address === '::1') return 'loopback';
  return group.includes(':') ? group : group.slice(0, group.lastIndexOf('.'));
}

/** Whom an address stands for: an IPv6 customer has a whole /64. */
export function addressGroup(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('%')[0]!.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  const all = tail === undefined ? left : [...left, ...zeros, ...right];
  return `${all.slice(0, 4).join(':')}::/64`;
}
