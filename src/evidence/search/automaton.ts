/**
 * A pattern as a deterministic automaton whose states are made when a text needs them. A text of any length takes one step a
 * byte and never goes back; what would need too many states is given up with an error instead of taking for ever.
 */
import { closure, Parts } from '../../bytes/pattern/parts.ts';
import { PatternError, type Node } from '../../bytes/pattern/syntax.ts';

const mostParts = 20_000;
/** Then all are forgotten, and made again as needed: two megabytes of table. */
const mostStates = 1000;
/** A text that made the automaton forget so often would take for ever. */
const mostForgotten = 8;
const rowLength = 512;
const unknown = -1;

/** What is reached is `state * 2`, and 1 more when a match is complete there. */
export class LazyAutomaton {
  readonly #parts = new Parts(mostParts);
  readonly #first: readonly number[];
  readonly #table = new Int32Array((mostStates + 1) * rowLength).fill(unknown);
  readonly #states: (readonly number[])[] = [];
  readonly #known = new Map<string, number>();
  #forgotten = 0;

  /** @throws PatternError */
  constructor(node: Node) {
    this.#first = closure(this.#parts, [this.#parts.add(node, this.#parts.end)]);
    this.#forget();
  }

  /** The pattern matches without any byte. */
  get empty(): boolean {
    return this.#first.includes(this.#parts.end);
  }

  /** In which a match may only begin. */
  readonly idle = 0;

  /** In which a match has begun here. */
  begin(): number {
    return this.#enter(this.#first) >>> 1;
  }

  /** A text begins. */
  rest(): void {
    this.#forgotten = 0;
  }

  /** For who looks up most steps itself: index `state * 512 + byte`, and 256 more where a match may begin; -1: call `step`. */
  get table(): Int32Array {
    return this.#table;
  }

  /**
   * @param begins a match may begin with this byte
   * @throws PatternError when the text needs too many states
   */
  step(state: number, byte: number, begins: boolean): number {
    const cell = state * rowLength + (begins ? 256 : 0) + byte;
    const known = this.#table[cell]!;
    if (known !== unknown) return known;
    const before = begins ? [...this.#states[state]!, ...this.#first] : this.#states[state]!;
    const after = new Set<number>();
    for (const part of before)
      if (this.#parts.sets[part]?.has(byte) === true) after.add(this.#parts.next[part]![0]!);
    const forgotten = this.#forgotten;
    const reached = this.#enter(closure(this.#parts, [...after]));
    if (forgotten === this.#forgotten) this.#table[cell] = reached;
    return reached;
  }

  #enter(members: readonly number[]): number {
    const key = members.join();
    let state = this.#known.get(key);
    if (state === undefined) {
      if (this.#states.length > mostStates) {
        if (++this.#forgotten > mostForgotten)
          throw new PatternError('takes too long: use smaller counts, or several patterns');
        this.#forget();
      }
      state = this.#states.push(members) - 1;
      this.#known.set(key, state);
    }
    return state * 2 + (members.includes(this.#parts.end) ? 1 : 0);
  }

  #forget(): void {
    this.#table.fill(unknown);
    this.#states.length = 0;
    this.#known.clear();
    this.#states.push([]);
    this.#known.set('', 0);
  }
}

/** The same pattern, read from its end. */
export function reversed(node: Node): Node {
  switch (node.kind) {
    case 'set':
      return node;
    case 'sequence':
      return { kind: 'sequence', parts: node.parts.toReversed().map(reversed) };
    case 'choice':
      return { kind: 'choice', parts: node.parts.map(reversed) };
    case 'repeat':
      return { ...node, part: reversed(node.part) };
  }
}
