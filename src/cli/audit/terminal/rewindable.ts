/** A stream that can be read again from its beginning: what is short is kept, what is long is asked for anew. */

/** Bytes of text that are kept. */
const keptLength = 8 * 1024 * 1024;

export class Rewindable<T> {
  readonly #open: () => AsyncIterable<T>;
  readonly #lengthOf: (item: T) => number;
  #live: AsyncIterator<T> | null = null;
  /** Null: there was more than may be kept. */
  #kept: T[] | null = [];
  #length = 0;

  /** @param lengthOf about how many bytes an item takes */
  constructor(open: () => AsyncIterable<T>, lengthOf: (item: T) => number) {
    this.#open = open;
    this.#lengthOf = lengthOf;
  }

  /** From the beginning; one reading at a time, which may be left anywhere. */
  async *items(): AsyncGenerator<T> {
    if (this.#kept === null) {
      await this.close();
      this.#live = this.#open()[Symbol.asyncIterator]();
    }
    this.#live ??= this.#open()[Symbol.asyncIterator]();
    for (let at = 0; this.#kept !== null && at < this.#kept.length; at++) yield this.#kept[at]!;
    for (;;) {
      const next = await this.#live.next();
      if (next.done === true) return;
      this.#keep(next.value);
      yield next.value;
    }
  }

  async close(): Promise<void> {
    await this.#live?.return?.();
    this.#live = null;
  }

  #keep(item: T): void {
    if (this.#kept === null) return;
    this.#length += this.#lengthOf(item);
    if (this.#length > keptLength) this.#kept = null;
    else this.#kept.push(item);
  }
}
