/**
 * SQL text → what it does (`model/command-facts.ts`), by PostgreSQL's own grammar.
 *
 * Deliberately not here: what to do about it (policy), and anything that depends on the session: a text has the same
 * facts whenever and by whomever it is sent, so settings that change its meaning are never believed to have a value.
 * The invariant: what cannot be parsed or seen through is `unknown` or `code`; nothing here throws.
 */
import type { CommandFacts } from '../../../model/command-facts.ts';
import { unknownFacts } from '../../../model/command-facts.ts';
import { FactsBuilder, FactsTable } from './facts.ts';
import { SqlParser } from './parser.ts';
import { readStatement } from './reader.ts';

/** One statement of a text, as `hoop policy check` and a reviewer see it. */
export interface DescribedStatement {
  /** Without white space around it. */
  readonly text: string;
  readonly facts: CommandFacts;
}

export interface SqlClassifier {
  /** Facts of a whole text, however many statements it has. `text` is hostile, in any encoding, and only read. */
  classify(text: Uint8Array): CommandFacts;
  /** The same statement by statement; one of the whole text when it cannot be taken apart. */
  describe(text: Uint8Array): readonly DescribedStatement[];
}

/** Ready for synchronous use. Takes 0.1 s and is made once a process. */
export async function openClassifier(): Promise<SqlClassifier> {
  return new Classifier(await SqlParser.open());
}

class Classifier implements SqlClassifier {
  readonly #parser: SqlParser;
  readonly #table = new FactsTable();

  constructor(parser: SqlParser) {
    this.#parser = parser;
  }

  classify(text: Uint8Array): CommandFacts {
    try {
      const statements = this.#parser.parse(text);
      if (statements === null) return unknownFacts;
      const facts = new FactsBuilder();
      for (const { tree } of statements) readStatement(tree, facts);
      return this.#table.intern(facts);
    } catch {
      return unknownFacts;
    }
  }

  describe(text: Uint8Array): readonly DescribedStatement[] {
    const whole = Buffer.from(text.buffer, text.byteOffset, text.length);
    const statements = this.#parser.parse(text);
    if (statements === null) return [{ text: whole.toString('utf8').trim(), facts: unknownFacts }];
    return statements.map(({ start, end }) => {
      const part = whole.subarray(start, end);
      return { text: part.toString('utf8').trim(), facts: this.classify(part) };
    });
  }
}
