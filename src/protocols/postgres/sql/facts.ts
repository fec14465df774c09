/**
 * What is collected while a parse tree is read, and the table that keeps equal facts one object.
 */
import { effects as allEffects, type CommandFacts, type Effect } from '../../../model/command-facts.ts';

/** What planning a statement may already do. */
const planned: ReadonlySet<Effect> = new Set(['code', 'file', 'privilege', 'unknown']);

/** Facts in the making. */
export class FactsBuilder {
  readonly effects = new Set<Effect>();
  readonly relations = new Set<string>();
  readonly functions = new Set<string>();
  readonly programs = new Set<string>();
  /** What stands before the names of columns; no fact, but decides whether they are columns. */
  readonly qualifiers = new Set<string>();
  /** The value of a literal decided something: another literal in its place may lead to other facts. */
  literalsMatter = false;

  add(...effects: readonly Effect[]): void {
    for (const effect of effects) this.effects.add(effect);
  }

  relation(...path: readonly string[]): void {
    addNames(this.relations, path);
  }

  function(...path: readonly string[]): void {
    addNames(this.functions, path);
  }

  /** Facts of a statement inside EXPLAIN: as it is when it is run, else only what planning may do. */
  absorb(inner: FactsBuilder, run: boolean): void {
    for (const effect of inner.effects) if (run || planned.has(effect)) this.effects.add(effect);
    if (!run) this.effects.add('read');
    for (const name of inner.relations) this.relations.add(name);
    for (const name of inner.functions) this.functions.add(name);
    for (const name of inner.qualifiers) this.qualifiers.add(name);
    this.literalsMatter ||= inner.literalsMatter;
  }

  /** Names that had to be read as Latin-1 may be others to the target, and two that differ here the same one there. */
  get hasForeignNames(): boolean {
    return [...this.relations, ...this.functions, ...this.qualifiers].some((name) => /\P{ASCII}/u.test(name));
  }
}

/** `schema.name` and `name`; a database before them can only be the connection's own. */
function addNames(names: Set<string>, path: readonly string[]): void {
  const parts = path.slice(-2).map(quoted);
  const name = parts.at(-1);
  if (name === undefined) return;
  for (const variant of folded(name)) names.add(variant);
  if (parts.length === 2) for (const variant of folded(parts.join('.'))) names.add(variant);
}

/** A name with a dot or a quote in it is quoted, so that no name of a schema and a relation is spelt alike. */
const quoted = (name: string): string => (/[."]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);

/** Databases in an encoding of single bytes fold letters beyond ASCII too; others do not: both names are told. */
function folded(name: string): readonly string[] {
  const lower = name.replaceAll(/[^\0-\x7f]+/g, (letters) => letters.toLowerCase());
  return lower === name ? [name] : [name, lower];
}

/** Longest list that facts may have: what names more is rather not understood than half told. */
const mostNames = 1000;
/** Beyond this many the oldest are forgotten: how many relations there are is up to the client. */
const mostFacts = 4096;
/** Facts of more characters are not kept at all. */
const longestFacts = 2048;

/** Keeps equal facts one frozen object, as long as they are among the last `mostFacts` and name no more than is usual. */
export class FactsTable {
  readonly #known = new Map<string, CommandFacts>();

  intern(builder: FactsBuilder): CommandFacts {
    const lists = [builder.effects, builder.relations, builder.functions, builder.programs];
    const tooMany = lists.some((list) => list.size > mostNames);
    if (tooMany) builder.add('unknown');
    const [effects, relations, functions, programs] = lists.map((list) =>
      [...list].slice(0, mostNames).toSorted(),
    );
    const key = JSON.stringify([effects, relations, functions, programs]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const facts: CommandFacts = Object.freeze({
      effects: Object.freeze(allEffects.filter((effect) => builder.effects.has(effect))),
      relations: Object.freeze(relations!),
      functions: Object.freeze(functions!),
      programs: Object.freeze(programs!),
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
