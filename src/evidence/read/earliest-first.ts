/** Merges streams that are each in order of time: a binary heap of streams, by the time of the item that each holds. */

interface Stream<T> {
  readonly source: AsyncIterator<T>;
  item: T;
  time: string;
}

export class EarliestFirst<T> {
  readonly #timeOf: (item: T) => string;
  readonly #heap: Stream<T>[] = [];

  /** @param timeOf a text that sorts as the times do */
  constructor(timeOf: (item: T) => string) {
    this.#timeOf = timeOf;
  }

  /** Takes a stream in; reads its first item. */
  async add(items: AsyncIterable<T>): Promise<void> {
    const source = items[Symbol.asyncIterator]();
    const first = await source.next();
    if (first.done === true) return;
    this.#heap.push({ source, item: first.value, time: this.#timeOf(first.value) });
    this.#rise(this.#heap.length - 1);
  }

  /** Gives the items of all streams up to, and without, this time. */
  async *before(time: string): AsyncGenerator<T> {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.time >= time) return;
      const { item } = first;
      const next = await first.source.next();
      if (next.done === true) this.#removeFirst();
      else {
        first.item = next.value;
        first.time = this.#timeOf(next.value);
      }
      this.#sink();
      yield item;
    }
  }

  #removeFirst(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) this.#heap[0] = last;
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (this.#heap[parent]!.time <= this.#heap[at]!.time) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(): void {
    for (let at = 0; ;) {
      const [left, right] = [this.#heap[2 * at + 1], this.#heap[2 * at + 2]];
      if (left === undefined) return;
      const child = right !== undefined && right.time < left.time ? 2 * at + 2 : 2 * at + 1;
      if (this.#heap[at]!.time <= this.#heap[child]!.time) return;
      this.#swap(at, child);
      at = child;
    }
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b]!, this.#heap[a]!];
  }
}
