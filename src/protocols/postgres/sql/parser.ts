/**
 * PostgreSQL's own grammar (version 18), compiled to WebAssembly by libpg-query. A text that makes the module trap or
 * overflow its stack leaves that instance in an unknown state: it is thrown away, one that stands ready takes its
 * place, and the next is made in the background. Short texts, which cannot nest deeply enough, have an instance of their
 * own, so that nobody's long text keeps the short ones of others from being read.
 */
import instantiate, { type PgQueryModule } from 'libpg-query/wasm/libpg-query.js';
import { isNode, listOf, type Tree, type TreeNode } from './tree.ts';

/** One statement of a text. */
export interface ParsedStatement {
  /** `{"SelectStmt": {…}}`. */
  readonly tree: TreeNode;
  /** Where it stands in the text, in bytes, without comments and white space before it. */
  readonly start: number;
  readonly end: number;
}

/** No text of this length has been found that breaks an instance; see `parser.test.ts`. */
export const shortTextBytes = 4096;
/** Instances for long texts. One takes 70 ms to make. */
const instances = 2;
/** Memory of an instance never shrinks, so one that has grown beyond this is replaced. It starts with 128 MiB, untouched. */
const largestMemoryBytes = 192 * 1024 * 1024;

export class SqlParser {
  /** The one for short texts; null while it is made anew. */
  #short: PgQueryModule | null;
  readonly #long: PgQueryModule[];
  #pending = 0;
  #broken = 0;

  private constructor(short: PgQueryModule, long: PgQueryModule[]) {
    this.#short = short;
    this.#long = long;
  }

  static async open(): Promise<SqlParser> {
    const [short, ...long] = await Promise.all(Array.from({ length: 1 + instances }, () => instantiate()));
    return new SqlParser(short!, long);
  }

  #instance(text: Uint8Array): PgQueryModule | undefined {
    const [long] = this.#long;
    return text.length <= shortTextBytes ? (this.#short ?? long) : long;
  }

  /** False for the moment after all instances for such a text were broken, in which `parse` understands nothing. */
  isReady(text: Uint8Array): boolean {
    return this.#instance(text) !== undefined;
  }

  /** How many instances were broken by a text so far. */
  get broken(): number {
    return this.#broken;
  }

  /**
   * The statements of `text` in order, none for an empty one. Null: it is not SQL, or could not be parsed. Bytes beyond
   * ASCII are letters of names, as in PostgreSQL's scanner; when they are not UTF-8 the tree has them as Latin-1.
   */
  parse(text: Uint8Array): readonly ParsedStatement[] | null {
    const module = this.#instance(text);
    // What follows a NUL would not be seen by the parser.
    if (module === undefined || text.includes(0)) return null;
    let json: string | null;
    try {
      json = run(module, text);
    } catch {
      this.#broken += 1;
      this.#replace(module);
      return null;
    }
    if (module.HEAPU8.length > largestMemoryBytes) this.#replace(module);
    try {
      return json === null ? null : statementsOf(json, text.length);
    } catch {
      return null; // a name that the module does not write as JSON
    }
  }

  #replace(module: PgQueryModule): void {
    if (module === this.#short) this.#short = null;
    else this.#long.shift();
    // Also those that could not be made before.
    const wanted = instances + 1 - (this.#short === null ? 0 : 1) - this.#long.length;
    while (this.#pending < wanted) this.#make();
  }

  #make(): void {
    this.#pending += 1;
    instantiate().then(
      (module) => {
        this.#pending -= 1;
        if (this.#short === null) this.#short = module;
        else this.#long.push(module);
      },
      () => {
        this.#pending -= 1;
      },
    );
  }
}

/** The tree as JSON; null for an error of the grammar. @throws whatever breaks the instance */
function run(module: PgQueryModule, text: Uint8Array): string | null {
  const pointer = module._malloc(text.length + 1);
  if (pointer === 0) throw new RangeError('out of memory');
  module.HEAPU8.set(text, pointer);
  module.HEAPU8[pointer + text.length] = 0;
  const result = module._wasm_parse_query_raw(pointer);
  if (result === 0) throw new RangeError('out of memory');
  // The heap may have grown: its views are read anew.
  const words = module.HEAPU32;
  const tree = words[result >> 2]!;
  const error = words[(result >> 2) + 2]!;
  const json = error !== 0 || tree === 0 ? null : textAt(module.HEAPU8, tree);
  module._wasm_free_parse_result(result);
  module._free(pointer);
  return json;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textAt(heap: Uint8Array, start: number): string {
  const bytes = heap.subarray(start, heap.indexOf(0, start));
  try {
    return utf8.decode(bytes);
  } catch {
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  }
}

function statementsOf(json: string, length: number): ParsedStatement[] | null {
  const root = JSON.parse(json) as Tree;
  if (!isNode(root)) return null;
  const statements: ParsedStatement[] = [];
  for (const item of listOf(root['stmts'])) {
    const tree = isNode(item) ? item['stmt'] : undefined;
    if (!isNode(item) || !isNode(tree)) return null;
    const start = Number(item['stmt_location'] ?? 0);
    const bytes = Number(item['stmt_len'] ?? 0);
    statements.push({ tree, start, end: bytes === 0 ? length : start + bytes });
  }
  return statements;
}
