/** How many requests an address may make: a bucket of tokens for each, refilled with time. Bounded in memory. */
import type { Clock } from '../../system/clock.ts';

const perSecond = 20;
const atOnce = 100;
const addresses = 10_000;

export class RequestRate {
  readonly #clock: Clock;
  /** Oldest use first. */
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a request. @param address whom it stands for */
  admits(address: string): boolean {
    const now = this.#clock.monotonicMs();
    const { tokens, atMs } = this.#buckets.get(address) ?? { tokens: atOnce, atMs: now };
    const left = Math.min(atOnce, tokens + ((now - atMs) * perSecond) / 1000) - 1;
    this.#buckets.delete(address);
    this.#buckets.set(address, { tokens: Math.max(left, 0), atMs: now });
    if (this.#buckets.size > addresses) this.#buckets.delete(this.#buckets.keys().next().value!);
    return left >= 0;
  }
}
