/** Merges streams that are each in order of time: a binary heap of streams, by the time of the item that each holds. */

interface Stream<T> {
  readonly source: AsyncIterator<readonly T[]>;
  /** Those at hand, and which of them is next. */
  items: readonly T[];
  at: number;
  time: string;
}

const batchLength = 64;

export class EarliestFirst<T extends object> {
  readonly #timeOf: (item: T) => string;
  readonly #heap: Stream<T>[] = [];

  /** @param timeOf a text that sorts as the times do */
  constructor(timeOf: (item: T) => string) {
    this.#timeOf = timeOf;
  }

  /** Takes a stream in; reads its first items. */
  async add(batches: AsyncIterable<readonly T[]>): Promise<void> {
    const stream: Stream<T> = { source: batches[Symbol.asyncIterator](), items: [], at: 0, time: '' };
    if (!(await this.#refill(stream))) return;
    this.#heap.push(stream);
    this.#rise(this.#heap.length - 1);
  }

  /** Gives the items of all streams up to, and without, this time: some at a time, and none of what it has to wait for. */
  async *before(time: string): AsyncGenerator<readonly T[]> {
    let batch: T[] = [];
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.time >= time) break;
      batch.push(first.items[first.at]!);
      const more = this.#advance(first);
      if (!more || batch.length === batchLength) {
        yield batch;
        batch = [];
      }
      if (!more && !(await this.#refill(first))) this.#removeFirst();
      this.#sink();
    }
    if (batch.length > 0) yield batch;
  }

  /** To the next item at hand; false: there is none. */
  #advance(stream: Stream<T>): boolean {
    const item = stream.items[++stream.at];
    if (item === undefined) return false;
    stream.time = this.#timeOf(item);
    return true;
  }

  /** False: the stream is over. */
  async #refill(stream: Stream<T>): Promise<boolean> {
    do {
      const next = await stream.source.next();
      if (next.done === true) return false;
      [stream.items, stream.at] = [next.value, -1];
    } while (!this.#advance(stream));
    return true;
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
