/**
 * A bound on what strangers can make the relay store: requests per network and minute, counted in memory by each process
 * because counting in the state would be the very cost. Generous: a whole office behind one address signs in by it.
 */
import type { Clock } from '../../system/clock.ts';
import { addressGroup } from './rate-limit.ts';

const windowMs = 60_000;
/** So many networks in one minute are an attack by themselves; beyond it new ones wait. */
const maxNetworks = 50_000;

export class Flood {
  readonly #clock: Clock;
  readonly #perMinute: number;
  readonly #counts = new Map<string, number>();
  #startedAtMs = -Infinity;

  constructor(clock: Clock, perMinute = 240) {
    this.#clock = clock;
    this.#perMinute = perMinute;
  }

  /** False: refuse it before it costs anything. */
  admits(address: string): boolean {
    const now = this.#clock.monotonicMs();
    if (now - this.#startedAtMs >= windowMs) {
      this.#counts.clear();
      this.#startedAtMs = now;
    }
    const network = addressGroup(address);
    const count = (this.#counts.get(network) ?? 0) + 1;
    if (count === 1 && this.#counts.size >= maxNetworks) return false;
    this.#counts.set(network, count);
    return count <= this.#perMinute;
  }
}
