/**
 * What is collected while the commands of a text are gone through, and the table that keeps equal facts one object.
 */
import { effects as allEffects, type CommandFacts, type Effect } from '../../../model/command-facts.ts';
import { directoryOf, namesOfPath } from './paths.ts';
import type { Word } from './words.ts';

const deepestPath = 64;

/** Facts in the making. */
export class FactsBuilder {
  readonly effects = new Set<Effect>();
  readonly programs = new Set<string>();
  readonly paths = new Set<string>();

  add(...effects: readonly Effect[]): void {
    for (const effect of effects) this.effects.add(effect);
  }

  /** As written; with a path, the name alone too. */
  program(name: string): void {
    this.programs.add(name);
    const base = name.slice(name.lastIndexOf('/') + 1);
    if (base !== '') this.programs.add(base);
  }

  /**
   * A file that a word names. A pattern names the directory before it; what a variable holds nobody knows: `unknown`.
   * `isTree`: everything below it too.
   */
  path(word: Word, isTree = false): void {
    if (word.isPipe) return;
    if (word.expands) this.add('unknown');
    if (word.literal) this.pathText(word.text, isTree);
    else this.pathText(directoryOf(word.prefix), false);
  }

  pathText(text: string, isTree = false): void {
    // Its ancestors together grow with the square of its length.
    if (text.split('/').length > deepestPath) return this.add('unknown');
    for (const name of namesOfPath(text, isTree)) this.paths.add(name);
    return undefined;
  }
}

/** Longest list that facts may have: what names more is rather not understood than half told. */
const mostNames = 1000;
/** Beyond this many the oldest are forgotten. */
const mostFacts = 4096;
/** Facts of more characters are not kept at all. */
const longestFacts = 2048;

const none: readonly string[] = Object.freeze([]);

/** Keeps equal facts one frozen object, as long as they are among the last `mostFacts` and name no more than is usual. */
export class FactsTable {
  readonly #known = new Map<string, CommandFacts>();

  intern(builder: FactsBuilder): CommandFacts {
    if (builder.programs.size > mostNames || builder.paths.size > mostNames) builder.add('unknown');
    const programs = [...builder.programs].slice(0, mostNames).toSorted();
    const paths = [...builder.paths].slice(0, mostNames).toSorted();
    const effects = allEffects.filter((effect) => builder.effects.has(effect));
    const key = JSON.stringify([effects, programs, paths]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const facts: CommandFacts = Object.freeze({
      effects: Object.freeze(effects),
      relations: none,
      functions: none,
      programs: Object.freeze(programs),
      ...(paths.length > 0 ? { paths: Object.freeze(paths) } : {}),
    });
    if (key.length > longestFacts) return facts;
    if (this.#known.size >= mostFacts)
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    this.#known.set(key, facts);
    return facts;
  }
}
