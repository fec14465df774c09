/** Samples and sums of a long history, in a few places of memory. */

/** Keeps at most `limit` items, spread evenly over all that were offered, always the same ones for the same history. */
export class SpreadSample<T> {
  readonly #limit: number;
  #kept: T[] = [];
  /** Every how many items one is kept. */
  #stride = 1;
  count = 0;

  /** @param limit even */
  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(make: () => T): void {
    if (this.count++ % this.#stride !== 0) return;
    if (this.#kept.length === this.#limit) {
      this.#kept = this.#kept.filter((_, at) => at % 2 === 0);
      this.#stride *= 2;
    }
    this.#kept.push(make());
  }

  get items(): readonly T[] {
    return this.#kept;
  }
}

/** The first `limit` items, and how many more there were. */
export class FirstOf<T> {
  readonly listed: T[] = [];
  readonly #limit: number;
  more = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(item: T): void {
    if (this.listed.length < this.#limit) this.listed.push(item);
    else this.more++;
  }
}

/** Adds. Names come from files: `__proto__` is one like any other. */
export function tally(counts: Record<string, number>, name: string, more = 1): void {
  const value = (Object.hasOwn(counts, name) ? counts[name]! : 0) + more;
  Object.defineProperty(counts, name, { value, enumerable: true, writable: true, configurable: true });
}
