/**
 * What is known of a connection's prepared statements, by number. The last two stand apart from the others: a client that
 * prepares anew for every command has no more, and a map that is filled and emptied each time costs more than the rest.
 */
import type { CommandFacts } from '../model/command-facts.ts';

export interface KnownStatement {
  /** 0: none. */
  statement: number;
  facts: CommandFacts | null;
  parameterTypes: readonly number[];
}

const none: readonly number[] = [];
const empty = (): KnownStatement => ({ statement: 0, facts: null, parameterTypes: none });

export class KnownStatements {
  #last = empty();
  #before = empty();
  readonly #earlier = new Map<number, KnownStatement>();

  add(statement: number, parameterTypes: readonly number[], facts: CommandFacts): void {
    let place = this.#before;
    if (place.statement !== 0) {
      this.#earlier.set(place.statement, place);
      place = empty();
    }
    this.#before = this.#last;
    this.#last = place;
    place.statement = statement;
    place.facts = facts;
    place.parameterTypes = parameterTypes;
  }

  /** Valid until something is added or deleted. */
  get(statement: number): KnownStatement | undefined {
    if (this.#last.statement === statement) return this.#last;
    if (this.#before.statement === statement) return this.#before;
    return this.#earlier.get(statement);
  }

  delete(statement: number): void {
    if (this.#last.statement === statement) this.#last.statement = 0;
    else if (this.#before.statement === statement) this.#before.statement = 0;
    else this.#earlier.delete(statement);
  }

  /** The numbers of all of them. */
  *numbers(): Generator<number, void, undefined> {
    if (this.#last.statement !== 0) yield this.#last.statement;
    if (this.#before.statement !== 0) yield this.#before.statement;
    yield* this.#earlier.keys();
  }
}
