/** Results of SQL kept for one JSON document. */
import type { SqlColumn, SqlReceiver } from '../../agent/sql-client.ts';
import { tooLarge } from './capture.ts';
import { namesOf, valueAsJson } from './sql-output.ts';

const limitCharacters = 64 * 1024 * 1024;

export interface SqlResult {
  /** `SELECT 3`. */
  readonly tag: string | null;
  readonly columns: readonly string[];
  readonly rows: readonly unknown[];
}

export class CollectedResults implements SqlReceiver {
  readonly results: SqlResult[] = [];
  /** Rejects when it is more than one document may hold. */
  readonly full: Promise<never>;
  readonly #fail: (error: Error) => void;
  #columns: readonly SqlColumn[] = [];
  #names: readonly string[] = [];
  #rows: unknown[] = [];
  #characters = 0;

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>();
    this.full = promise;
    promise.catch(() => undefined);
    this.#fail = reject;
  }

  columns(columns: readonly SqlColumn[]): void {
    this.#columns = columns;
    this.#names = namesOf(columns);
  }

  row(values: readonly (string | null)[]): boolean {
    const length = values.reduce((sum, value) => sum + (value?.length ?? 4), 0);
    if (!this.#counts(length)) return true;
    const texts = values.map((value, at) => valueAsJson(value, this.#columns[at]!.type));
    this.#rows.push(Object.fromEntries(texts.map((text, at) => [this.#names[at]!, keptAsWritten(text)])));
    return true;
  }

  copied(bytes: Buffer): boolean {
    if (this.#counts(bytes.length)) this.#rows.push(bytes.toString('utf8'));
    return true;
  }

  completed(tag: string | null): void {
    this.results.push({ tag, columns: this.#names, rows: this.#rows });
    this.#columns = [];
    this.#names = [];
    this.#rows = [];
  }

  #counts(characters: number): boolean {
    this.#characters += characters;
    if (this.#characters <= limitCharacters) return true;
    this.#fail(tooLarge());
    return false;
  }
}

/** Numbers that JavaScript cannot hold go into the document as they came. */
const keptAsWritten = (text: string): unknown =>
  /^-?\d/.test(text) ? (JSON as RawJson).rawJSON(text) : (JSON.parse(text) as unknown);

/** ECMAScript has it; the types of this TypeScript do not. */
interface RawJson extends JSON {
  rawJSON(text: string): object;
}
