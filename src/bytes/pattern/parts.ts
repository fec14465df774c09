/** A pattern as an automaton of parts (Thompson's construction), from which deterministic ones are made. */
import { PatternError, type Node } from './syntax.ts';

/** The automaton before it is deterministic: each part reads a byte of a set, or splits without reading. */
export class Parts {
  readonly #most: number;
  readonly sets: (ReadonlySet<number> | null)[] = [];
  readonly next: number[][] = [];
  /** Where a match is complete. */
  readonly end: number;

  /** @param most of them, at most */
  constructor(most: number) {
    this.#most = most;
    this.end = this.#part(null, []);
  }

  #part(set: ReadonlySet<number> | null, next: number[]): number {
    if (this.sets.length >= this.#most) throw tooLarge();
    this.sets.push(set);
    this.next.push(next);
    return this.sets.length - 1;
  }

  /** Adds what reads `node` and goes on at `to`; returns where it begins. @throws PatternError */
  add(node: Node, to: number): number {
    switch (node.kind) {
      case 'set':
        return this.#part(node.set, [to]);
      case 'sequence':
        return node.parts.reduceRight((after, part) => this.add(part, after), to);
      case 'choice':
        return this.#part(
          null,
          node.parts.map((part) => this.add(part, to)),
        );
      case 'repeat':
        return this.#repeat(node.part, node.least, node.most, to);
    }
  }

  #repeat(part: Node, least: number, most: number, to: number): number {
    let after = to;
    if (most === Infinity) {
      after = this.#part(null, [to]);
      this.next[after]!.push(this.add(part, after));
    } else
      for (let count = least; count < most; count++) after = this.#part(null, [to, this.add(part, after)]);
    for (let count = 0; count < least; count++) after = this.add(part, after);
    return after;
  }
}

/** All parts reached without reading, sorted. */
export function closure(parts: Parts, from: readonly number[]): number[] {
  const reached = new Set<number>(from);
  for (const part of reached)
    if (parts.sets[part] === null) for (const next of parts.next[part]!) reached.add(next);
  return [...reached]
    .filter((part) => parts.sets[part] !== null || part === parts.end)
    .toSorted((a, b) => a - b);
}

export const tooLarge = (): PatternError =>
  new PatternError('too large: use smaller counts, or several patterns');
