/**
 * SQL text → what it does (`model/command-facts.ts`), by PostgreSQL's own grammar.
 *
 * Deliberately not here: what to do about it (policy), and anything that depends on the session: a text has the same
 * facts whenever and by whomever it is sent, so settings that change its meaning are never believed to have a value.
 * The invariant: what cannot be parsed or seen through is `unknown` or `code`; nothing here throws.
 */
import { isUtf8 } from 'node:buffer';
import { unknownFacts, type CommandFacts } from '../../../model/command-facts.ts';
import { BytesCache } from './cache.ts';
import { FactsBuilder, FactsTable } from './facts.ts';
import { readingsOf } from './lexer.ts';
import { SqlParser } from './parser.ts';
import { readStatement } from './reader.ts';
import { Shaper } from './shape.ts';
import { Templates } from './template.ts';

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

/** Longest text that is parsed; a longer one only when its shape is short. */
const longestText = 1024 * 1024;

/** Of a shape: it is not enough, the literals have to be seen. */
const literalsMatter = Symbol('literals matter');

class Classifier implements SqlClassifier {
  readonly #parser: SqlParser;
  readonly #table = new FactsTable();
  readonly #shaper = new Shaper();
  readonly #templates = new Templates<CommandFacts>();
  readonly #shapes = new BytesCache<CommandFacts | typeof literalsMatter>();
  readonly #texts = new BytesCache<CommandFacts>();
  readonly #functionCall: CommandFacts;

  constructor(parser: SqlParser) {
    this.#parser = parser;
    const builder = new FactsBuilder();
    builder.add('code');
    this.#functionCall = this.#table.intern(builder);
  }

  classify(text: Uint8Array): CommandFacts {
    try {
      return this.#templates.get(text) ?? this.#byShape(text) ?? this.#byText(text);
    } catch {
      return unknownFacts; // a tree too deep for the stack
    }
  }

  #byShape(text: Uint8Array): CommandFacts | null {
    const shaper = this.#shaper;
    const length = shaper.run(text);
    if (length < 0) return null;
    let facts = this.#shapes.get(shaper.key, length);
    if (facts === undefined) {
      const shape = shaper.key.bytes.subarray(0, length);
      if (!this.#parser.isReady(shape)) return unknownFacts; // not to be remembered
      const builder = this.#read(shape);
      facts = builder === null || builder.literalsMatter ? literalsMatter : this.#table.intern(builder);
      this.#shapes.set(shaper.key, length, facts);
    }
    if (facts === literalsMatter) return null;
    this.#templates.add(text, shaper.key.bytes.subarray(0, length), facts);
    return facts;
  }

  #byText(text: Uint8Array): CommandFacts {
    if (text.length > longestText) return unknownFacts;
    const key = this.#shaper.room(text.length);
    key.bytes.set(text);
    let facts = this.#texts.get(key, text.length);
    if (facts === undefined) {
      if (!this.#parser.isReady(text)) return unknownFacts;
      const builder = this.#read(text);
      if (builder !== null) facts = this.#table.intern(builder);
      else facts = isFunctionCall(text) ? this.#functionCall : unknownFacts;
      this.#texts.set(key, text.length, facts);
    }
    return facts;
  }

  /** Null: not to be understood. */
  #read(text: Uint8Array): FactsBuilder | null {
    const readings = readingsOf(text);
    if (readings === null) return null;
    const facts = new FactsBuilder();
    // A text that can be scanned but not parsed may be one that another version of PostgreSQL understands.
    const asWritten = readings.conforming && this.#add(text, facts);
    if (readings.conforming && !asWritten) return null;
    if (readings.escaping === text) return facts;
    if (readings.escaping !== null) return this.#add(readings.escaping, facts) ? facts : null;
    return asWritten ? facts : null;
  }

  #add(text: Uint8Array, facts: FactsBuilder): boolean {
    const statements = this.#parser.parse(text);
    if (statements === null) return false;
    for (const { tree } of statements) readStatement(tree, facts);
    if (facts.hasForeignNames && !isUtf8(text)) facts.add('unknown');
    return true;
  }

  describe(text: Uint8Array): readonly DescribedStatement[] {
    const whole = Buffer.from(text.buffer, text.byteOffset, text.length);
    const facts = this.classify(text);
    const readable = text.length <= longestText && readingsOf(text) !== null;
    const statements = readable ? this.#parser.parse(text) : null;
    if (statements === null) return [{ text: whole.toString('utf8').trim(), facts }];
    return statements.map(({ start, end }) => {
      const part = whole.subarray(start, end);
      return { text: part.toString('utf8').trim(), facts: this.classify(part) };
    });
  }
}

/** What the gate is told of a FunctionCall message; as SQL it is none. */
function isFunctionCall(text: Uint8Array): boolean {
  return text.length < 20 && /^fastpath \d+$/.test(Buffer.from(text).toString('latin1'));
}
