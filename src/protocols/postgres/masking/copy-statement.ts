/**
 * COPY … TO STDOUT as the client wrote it (https://www.postgresql.org/docs/current/sql-copy.html): which table or query,
 * which columns, and how its rows are written. Reads what it needs and no more; what it does not understand is `null`,
 * and then nothing may be concluded from it.
 */
import { embedsAscii } from './encodings.ts';

export interface CopyStatement {
  /** A table, with the names as the target folds them; null when rows come from a query. */
  readonly table: { readonly schema: string | null; readonly name: string } | null;
  /** As listed; null: all. */
  readonly columns: readonly string[] | null;
  /** The text between the parentheses; null when rows come from a table. */
  readonly query: string | null;
  readonly format: 'text' | 'csv' | 'binary';
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
  readonly nullText: string;
  readonly header: boolean;
}

interface Token {
  readonly kind: 'word' | 'string' | 'mark';
  /** Folded for words, contents for strings, one character for marks. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/**
 * All COPY … TO STDOUT of a text, in order; null in the place of one that is not understood. Null when the text as a whole
 * is not.
 */
export function copyStatements(text: string): (CopyStatement | null)[] | null {
  const tokens = tokensOf(text);
  if (tokens === null) return null;
  const statements: (CopyStatement | null)[] = [];
  let start = 0;
  let depth = 0;
  for (let i = 0; i <= tokens.length; i++) {
    const mark = i === tokens.length ? ';' : tokens[i]!.kind === 'mark' ? tokens[i]!.text : '';
    if (mark === '(') depth++;
    else if (mark === ')') depth--;
    else if (mark === ';' && (depth <= 0 || i === tokens.length)) {
      const statement = tokens.slice(start, i);
      if (isWord(statement[0], 'copy') && toStdout(statement))
        statements.push(new Reading(text, statement).read());
      start = i + 1;
      depth = 0;
    }
  }
  return statements;
}

const isWord = (token: Token | undefined, ...words: string[]): boolean =>
  token?.kind === 'word' && words.includes(token.text);

const toStdout = (tokens: readonly Token[]): boolean =>
  tokens.some((token, i) => isWord(token, 'to') && isWord(tokens[i + 1], 'stdout'));

/** One statement, from its first token. */
class Reading {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 1;

  constructor(text: string, tokens: readonly Token[]) {
    this.#text = text;
    this.#tokens = tokens;
  }

  read(): CopyStatement | null {
    try {
      return this.#statement();
    } catch (error) {
      if (error instanceof NotUnderstood) return null;
      throw error;
    }
  }

  #statement(): CopyStatement {
    const options = new Map<string, string>();
    if (this.#word('binary')) options.set('format', 'binary');
    let [table, columns, query]: [CopyStatement['table'], string[] | null, string | null] = [
      null,
      null,
      null,
    ];
    if (this.#mark('(')) {
      const from = this.#tokens[this.#at]?.start ?? 0;
      this.#skipParentheses();
      query = this.#text.slice(from, this.#tokens[this.#at - 1]!.start);
    } else {
      const name = this.#name();
      table = this.#mark('.') ? { schema: name, name: this.#name() } : { schema: null, name };
      if (this.#mark('.')) throw new NotUnderstood(); // a database's name
      if (this.#mark('(')) columns = this.#names();
    }
    this.#expect(this.#word('to') && this.#word('stdout'));
    if (this.#word('using')) this.#expect(this.#word('delimiters'));
    else if (!this.#word('delimiters')) {
      this.#word('with');
      if (this.#mark('(')) this.#listed(options);
      else this.#legacy(options);
      this.#expect(this.#at === this.#tokens.length);
      return finished(table, columns, query, options);
    }
    options.set('delimiter', this.#string());
    this.#expect(this.#at === this.#tokens.length);
    return finished(table, columns, query, options);
  }

  /** `(name value, …)`. */
  #listed(options: Map<string, string>): void {
    do {
      const name = this.#name();
      if (this.#mark('(')) this.#skipParentheses();
      else if (this.#mark('*')) continue;
      else if (this.#peek(',') || this.#peek(')')) options.set(name, 'true');
      else options.set(name, this.#value());
    } while (this.#mark(','));
    this.#expect(this.#mark(')'));
  }

  /** Options as they were before version 9. */
  #legacy(options: Map<string, string>): void {
    while (this.#at < this.#tokens.length) {
      if (this.#word('binary')) options.set('format', 'binary');
      else if (this.#word('csv')) options.set('format', 'csv');
      else if (this.#word('header')) options.set('header', 'true');
      else if (this.#word('force')) {
        this.#expect(this.#word('quote'));
        if (!this.#mark('*')) this.#bareNames();
      } else {
        const name = this.#name();
        this.#expect(['delimiter', 'null', 'quote', 'escape', 'encoding'].includes(name));
        this.#word('as');
        options.set(name, this.#string());
      }
    }
  }

  #bareNames(): void {
    do this.#name();
    while (this.#mark(','));
  }

  #names(): string[] {
    const names: string[] = [];
    do names.push(this.#name());
    while (this.#mark(','));
    this.#expect(this.#mark(')'));
    return names;
  }

  #skipParentheses(): void {
    for (let depth = 1; depth > 0; this.#at++) {
      const token = this.#tokens[this.#at];
      if (token === undefined) throw new NotUnderstood();
      if (token.kind !== 'mark') continue;
      if (token.text === '(') depth++;
      else if (token.text === ')') depth--;
    }
  }

  #peek(mark: string): boolean {
    const token = this.#tokens[this.#at];
    return token?.kind === 'mark' && token.text === mark;
  }

  #mark(mark: string): boolean {
    if (!this.#peek(mark)) return false;
    this.#at++;
    return true;
  }

  #word(word: string): boolean {
    if (!isWord(this.#tokens[this.#at], word)) return false;
    this.#at++;
    return true;
  }

  #name(): string {
    const token = this.#tokens[this.#at++];
    if (token?.kind !== 'word') throw new NotUnderstood();
    return token.text;
  }

  #string(): string {
    const token = this.#tokens[this.#at++];
    if (token?.kind !== 'string') throw new NotUnderstood();
    return token.text;
  }

  #value(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined || token.kind === 'mark') throw new NotUnderstood();
    return token.text;
  }

  #expect(condition: boolean): void {
    if (!condition) throw new NotUnderstood();
  }
}

function finished(
  table: CopyStatement['table'],
  columns: string[] | null,
  query: string | null,
  options: ReadonlyMap<string, string>,
): CopyStatement {
  const format = options.get('format')?.toLowerCase() ?? 'text';
  if (format !== 'text' && format !== 'csv' && format !== 'binary') throw new NotUnderstood();
  if (embedsAscii(options.get('encoding') ?? '')) throw new NotUnderstood();
  const quote = options.get('quote') ?? '"';
  const header = options.get('header')?.toLowerCase() ?? 'false';
  return {
    table,
    columns,
    query,
    format,
    delimiter: options.get('delimiter') ?? (format === 'csv' ? ',' : '\t'),
    quote,
    escape: options.get('escape') ?? quote,
    nullText: options.get('null') ?? (format === 'csv' ? '' : '\\N'),
    header: !['false', 'off', '0'].includes(header),
  };
}

class NotUnderstood extends Error {}

const token = new RegExp(
  [
    String.raw`(?<blank>[ \t\n\r\f\v]+|--[^\n\r]*)`, // as the target reads them: a blank of Unicode is part of a name
    String.raw`(?<comment>/\*)`,
    String.raw`(?<unicode>[uU]&["'])`,
    String.raw`(?<extended>[eE]'(?:[^'\\]|''|\\[^])*')`,
    String.raw`(?<string>(?:[nNbBxX])?'(?:[^']|'')*')`,
    String.raw`"(?<quoted>(?:[^"]|"")+)"`,
    String.raw`(?<dollar>\$(?:[A-Za-z_\x80-\u{10ffff}][\w\x80-\u{10ffff}]*)?\$)`,
    String.raw`(?<word>[A-Za-z_\x80-\u{10ffff}][\w$\x80-\u{10ffff}]*|\d[\w.]*)`,
    String.raw`(?<mark>[^])`,
  ].join('|'),
  'uy',
);

/** Null when a part of the text may mean one thing or another. */
function tokensOf(text: string): Token[] | null {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    token.lastIndex = at;
    const groups = token.exec(text)?.groups;
    if (groups === undefined) return null;
    const start = at;
    at = token.lastIndex;
    if (groups['blank'] !== undefined) continue;
    if (groups['unicode'] !== undefined) return null;
    if (groups['comment'] !== undefined) {
      at = commentEnd(text, at);
    } else if (groups['dollar'] !== undefined) {
      const end = text.indexOf(groups['dollar'], at);
      if (end === -1) return null;
      tokens.push({ kind: 'string', text: text.slice(at, end), start, end: end + groups['dollar'].length });
      at = end + groups['dollar'].length;
    } else if (groups['extended'] !== undefined) {
      tokens.push({ kind: 'string', text: extendedText(groups['extended'].slice(2, -1)), start, end: at });
    } else if (groups['string'] !== undefined) {
      // With standard_conforming_strings off it would end elsewhere.
      if (groups['string'].includes('\\') && groups['string'] !== "'\\N'") return null;
      tokens.push({
        kind: 'string',
        text: groups['string'].slice(1, -1).replaceAll("''", "'"),
        start,
        end: at,
      });
    } else if (groups['quoted'] !== undefined) {
      tokens.push({ kind: 'word', text: groups['quoted'].replaceAll('""', '"'), start, end: at });
    } else if (groups['word'] !== undefined) {
      tokens.push({
        kind: 'word',
        text: groups['word'].replaceAll(/[A-Z]+/g, (part) => part.toLowerCase()),
        start,
        end: at,
      });
    } else tokens.push({ kind: 'mark', text: groups['mark']!, start, end: at });
    if (tokens.length > 100_000) return null;
  }
  return tokens;
}

function commentEnd(text: string, from: number): number {
  let depth = 1;
  let at = from;
  while (depth > 0 && at < text.length) {
    if (text.startsWith('/*', at)) [depth, at] = [depth + 1, at + 2];
    else if (text.startsWith('*/', at)) [depth, at] = [depth - 1, at + 2];
    else at++;
  }
  return at;
}

const extendedText = (text: string): string =>
  text
    .replaceAll("''", "'")
    .replaceAll(
      /\\(.)/gs,
      (_, letter: string) => ({ t: '\t', n: '\n', r: '\r', b: '\b', f: '\f' })[letter] ?? letter,
    );
