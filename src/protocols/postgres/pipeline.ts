/**
 * What was forwarded to the target and is not yet answered, in order: a ring of small integers, two for each message
 * that the target answers. No object, promise or string for a message.
 */

/** What a slot stands for; its value is a command, a statement, or nothing (0). */
export const Slot = {
  none: 0,
  query: 1, // value: command; answered up to ReadyForQuery
  functionCall: 2, // value: command; answered up to ReadyForQuery
  parse: 3, // value: statement
  bind: 4, // value: command
  describe: 5, // value: the portal's command; 0: a statement, or not known
  execute: 6, // value: command
  close: 7, // value: token of PreparedStatements (negative), or the portal's command; 0: neither known
  sync: 8,
  copyEnd: 9, // CopyDone or CopyFail; has no answer of its own
  refusedQuery: 10, // a simple query, or a function call, that was replaced by one that fails
  refusedExtended: 11, // a message of the extended protocol that was replaced by one that fails
  ownDescribe: 12, // value: command; the relay's own question for the columns of its portal
} as const;
export type Slot = (typeof Slot)[keyof typeof Slot];

export class Pipeline {
  #kinds = new Uint8Array(64);
  #values = new Float64Array(64);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(kind: Slot, value: number): void {
    if (this.#length === this.#kinds.length) this.#grow();
    const at = (this.#head + this.#length) & (this.#kinds.length - 1);
    this.#kinds[at] = kind;
    this.#values[at] = value;
    this.#length++;
  }

  /** `Slot.none` when everything is answered. */
  kind(index = 0): number {
    return index < this.#length ? this.#kinds[(this.#head + index) & (this.#kinds.length - 1)]! : Slot.none;
  }

  value(index = 0): number {
    return this.#values[(this.#head + index) & (this.#kinds.length - 1)]!;
  }

  pop(): void {
    this.#head = (this.#head + 1) & (this.#kinds.length - 1);
    this.#length--;
  }

  /** Takes out the `count` slots that follow the first one, whose place is then right before what is left. */
  dropBehindHead(count: number): void {
    const to = (this.#head + count) & (this.#kinds.length - 1);
    this.#kinds[to] = this.#kinds[this.#head]!;
    this.#values[to] = this.#values[this.#head]!;
    this.#head = to;
    this.#length -= count;
  }

  #grow(): void {
    const size = this.#kinds.length * 2;
    const [kinds, values] = [new Uint8Array(size), new Float64Array(size)];
    for (let i = 0; i < this.#length; i++) {
      kinds[i] = this.kind(i);
      values[i] = this.value(i);
    }
    this.#kinds = kinds;
    this.#values = values;
    this.#head = 0;
  }
}
