/**
 * The commands of a connection that have no outcome yet, each with a number, in the order in which they were started.
 * The one that was started last stands apart from the others: most clients have no other, and a map that is filled and
 * emptied for every command costs more than the rest of its bookkeeping.
 */
export class OpenCommands {
  /** 0: none. */
  #last = 0;
  #lastValue = 0;
  /** All that were started before. */
  readonly #earlier = new Map<number, number>();

  get size(): number {
    return this.#earlier.size + (this.#last === 0 ? 0 : 1);
  }

  /** A command that is not here; its number is greater than those of all others. */
  add(command: number, value: number): void {
    if (this.#last !== 0) this.#earlier.set(this.#last, this.#lastValue);
    this.#last = command;
    this.#lastValue = value;
  }

  has(command: number): boolean {
    return this.get(command) !== undefined;
  }

  /** Undefined: it has its outcome, or was never started. */
  get(command: number): number | undefined {
    if (command === 0) return undefined;
    if (command === this.#last) return this.#lastValue;
    return this.#earlier.size === 0 ? undefined : this.#earlier.get(command);
  }

  /** Changes the number of a command that is here. */
  set(command: number, value: number): void {
    if (command === this.#last) this.#lastValue = value;
    else this.#earlier.set(command, value);
  }

  delete(command: number): void {
    if (command === this.#last) this.#last = 0;
    else if (this.#earlier.size > 0) this.#earlier.delete(command);
  }

  /** All of them in order; the one at hand may be deleted meanwhile. */
  *commands(): Generator<number, void, undefined> {
    yield* this.#earlier.keys();
    if (this.#last !== 0) yield this.#last;
  }
}
