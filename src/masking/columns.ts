/**
 * Names of columns as rules write them: `schema.table.column`, each part with `*` for anything, in double quotes where a name
 * has a full stop. Case does not count: a rule that misses `"Email"` for its capital protects nobody.
 */
import type { ColumnSource } from '../gate/masking.ts';
import { MaskingError } from './error.ts';

/** A name with `*`. */
export class NamePattern {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text.toLowerCase();
  }

  /** Linear but for the number of stars: the last star alone is ever tried again. */
  matches(name: string): boolean {
    const pattern = this.#text;
    const text = name.toLowerCase();
    let p = 0;
    let t = 0;
    let star = -1;
    let resume = 0;
    while (t < text.length) {
      if (p < pattern.length && pattern[p] === '*') {
        star = p++;
        resume = t;
      } else if (p < pattern.length && pattern[p] === text[t]) {
        p++;
        t++;
      } else if (star !== -1) {
        p = star + 1;
        t = ++resume;
      } else return false;
    }
    while (pattern[p] === '*') p++;
    return p === pattern.length;
  }
}

/** `schema.table.column`. */
export class ColumnPattern {
  readonly #schema: NamePattern;
  readonly #table: NamePattern;
  readonly #column: NamePattern;

  private constructor(schema: string, table: string, column: string) {
    this.#schema = new NamePattern(schema);
    this.#table = new NamePattern(table);
    this.#column = new NamePattern(column);
  }

  /** @throws MaskingError `masking-rule-invalid` */
  static parse(text: string): ColumnPattern {
    const parts = [...text.matchAll(/(?:^|\.)(?:"((?:[^"]|"")+)"|([^".]+))/g)];
    const whole = parts.map(([part]) => part).join('');
    const [schema, table, column] = parts.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!);
    if (
      parts.length !== 3 ||
      whole !== text ||
      schema === undefined ||
      table === undefined ||
      column === undefined
    )
      throw new MaskingError(
        'masking-rule-invalid',
        'expected schema.table.column, where * stands for anything',
      );
    return new ColumnPattern(schema, table, column);
  }

  matches({ origin }: ColumnSource): boolean {
    return (
      origin !== null &&
      this.#column.matches(origin.column) &&
      this.#table.matches(origin.table) &&
      this.#schema.matches(origin.schema)
    );
  }
}
