/**
 * A YAML 1.2 file as data, with the place of everything in it. Tags, aliases, duplicate keys and a second document are
 * refused: a configuration means one thing, to people and to the relay.
 */
import { LineCounter, isAlias, isMap, isNode, isPair, parseDocument, visit } from 'yaml';
import type { Document, Node } from 'yaml';
import type { ConfigProblem } from './error.ts';

type Step = PropertyKey;
type Place = Pick<ConfigProblem, 'line' | 'column'>;

/** A parsed file. */
export class ConfigDocument {
  readonly #document: Document;
  readonly #lines: LineCounter;
  /** What is wrong with it as YAML; not empty means that `value` must not be used. */
  readonly problems: readonly ConfigProblem[];

  constructor(text: string) {
    this.#lines = new LineCounter();
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false, // they would quote the file's lines
      stringKeys: true,
      uniqueKeys: true,
    });
    const problems = [...this.#document.errors, ...this.#document.warnings].map(({ pos, message }) =>
      this.#problem(pos[0], message.replace(/; please use .*$/, '')),
    );
    visit(this.#document, {
      Node: (_, node) => {
        if (!isAlias(node)) return;
        problems.push(this.#problem(node.range?.[0], 'aliases are not supported'));
      },
    });
    this.problems = problems;
  }

  /** The data, unvalidated; an empty file is an empty mapping. */
  get value(): unknown {
    return this.#document.toJS() ?? {};
  }

  /** Where the value at a path stands; for a path that is not there, its nearest parent. */
  valueAt(path: readonly Step[]): Place {
    for (let length = path.length; length > 0; length--) {
      const node = this.#document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return this.#placeOf(node.range[0]);
      const key = this.#keyNode(path.slice(0, length));
      if (key !== null) return this.#placeOf(key.range?.[0]);
    }
    return this.#placeOf(this.#document.contents?.range?.[0]);
  }

  /** Where the key at a path stands; for a path that is not there, its nearest parent's key. */
  keyAt(path: readonly Step[]): Place {
    for (let length = path.length; length > 0; length--) {
      const key = this.#keyNode(path.slice(0, length));
      if (key !== null) return this.#placeOf(key.range?.[0]);
    }
    return this.#placeOf(this.#document.contents?.range?.[0]);
  }

  /** Is there anything at this path? */
  has(path: readonly Step[]): boolean {
    return this.#document.hasIn(path);
  }

  #keyNode(path: readonly Step[]): Node | null {
    const parent =
      path.length === 1 ? this.#document.contents : this.#document.getIn(path.slice(0, -1), true);
    if (!isMap(parent)) return null;
    const pair = parent.items.find(
      (item) => isPair(item) && isNode(item.key) && 'value' in item.key && item.key.value === path.at(-1),
    );
    return pair !== undefined && isNode(pair.key) ? pair.key : null;
  }

  #problem(offset: number | undefined, message: string): ConfigProblem {
    const { line, column } = this.#placeOf(offset);
    return { line, column, path: '', message };
  }

  #placeOf(offset: number | undefined): Place {
    const { line, col } = this.#lines.linePos(offset ?? 0);
    return line === 0 ? { line: 1, column: 1 } : { line, column: col };
  }
}
