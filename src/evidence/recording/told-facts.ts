/** Facts of commands, told once a segment and then referred to: most commands of a session do the same things. */
import type { CommandFacts } from '../../model/command-facts.ts';
import type { Batch } from './encode.ts';
import * as words from './words.ts';

interface Told {
  readonly number: number;
  /** Last segment that tells them. */
  segment: number;
}

export class ToldFacts {
  /** By identity: equal facts are one object. */
  readonly #told = new WeakMap<CommandFacts, Told>();
  #count = 0;
  #last: CommandFacts | null = null;
  #lastTold: Told | null = null;

  /** The number by which a record of segment `index` refers to these facts; tells them first where it has to. */
  number(batch: Batch, t: number, facts: CommandFacts, index: number): number {
    let told = facts === this.#last ? this.#lastTold! : this.#told.get(facts);
    if (told === undefined) {
      told = { number: this.#count++, segment: -1 };
      this.#told.set(facts, told);
    }
    this.#last = facts;
    this.#lastTold = told;
    if (told.segment !== index) {
      tell(batch, t, told.number, facts);
      told.segment = index;
    }
    return told.number;
  }
}

const kinds = ['effects', 'relations', 'functions', 'programs', 'paths', 'destinations'] as const;

function tell(batch: Batch, t: number, number: number, facts: CommandFacts): void {
  batch.array(4);
  batch.uint(t);
  batch.encoded(words.facts);
  batch.uint(number);
  const told = kinds.filter((name) => facts[name] !== undefined);
  batch.map(told.length);
  for (const name of told) {
    const items = facts[name]!;
    batch.text(name);
    batch.array(items.length);
    for (const item of items) batch.text(item);
  }
}
