/**
 * A shell text → its simple commands, in the order of the text, whatever lists, pipes, loops, functions and substitutions
 * they stand in. [POSIX.1-2024, Shell Command Language](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html).
 *
 * It reads less than a shell and nothing otherwise than one: whatever is rare, or taken apart differently by different
 * shells, is refused. It does not check the grammar (that a `then` follows an `if`): `grammar.ts` reads the same
 * text by itself, and both must find the same commands at the same places.
 */
import { CommandList, type SimpleCommand } from './commands.ts';
import { ansiText, expansionOf } from './expansions.ts';
import { WordBuilder, type Word } from './words.ts';

export interface Reading {
  readonly commands: readonly SimpleCommand[];
  /** Where the first word of each command stands, in order; of commands without words nowhere. */
  readonly starts: readonly number[];
  /** Something that another shell would run, or a function, whose name may be any program's. */
  readonly isCode: boolean;
}

/** Of substitutions in substitutions. */
const deepest = 24;
const mostCommands = 200;
const mostHeredocs = 8;

/** The sign that separates or redirects at a place, longest first. */
const operator = /&>>|<<<|<<-|;;&|&>|>>|>&|>\||<<|<&|<>|&&|\|\||\|&|;;|;&|[;&|()<>\n]/y;
const isBlank = (character: string | undefined): boolean => character === ' ' || character === '\t';
const endsWord = /[\s;&|()<>]/;

interface Heredoc {
  readonly delimiter: Word;
  readonly source: string;
  readonly stripsTabs: boolean;
}

/** @throws SyntaxError what is not understood */
export function readCommands(text: string): Reading {
  return new Reader(text).read();
}

function refuse(what: string): never {
  throw new SyntaxError(what);
}

class Reader {
  readonly #text: string;
  #at = 0;
  /** Where the text or the substitution in backquotes ends. */
  #end: number;
  #depth = 0;
  #heredocs: Heredoc[] = [];
  #heredocCount = 0;
  readonly #commands: SimpleCommand[] = [];
  #isCode = false;

  constructor(text: string) {
    this.#text = text;
    this.#end = text.length;
  }

  read(): Reading {
    this.#list(false);
    const commands = this.#commands;
    const starts = commands.flatMap(({ words }) => words.slice(0, 1).map(({ start }) => start));
    return { commands, starts: starts.toSorted((a, b) => a - b), isCode: this.#isCode };
  }

  /** Commands up to the end, or up to the `)` that ends the substitution. */
  #list(inParentheses: boolean): void {
    this.#depth += 1;
    if (this.#depth > deepest) refuse('too deep');
    const outer = this.#heredocs;
    this.#heredocs = [];
    const list = new CommandList(this.#depth > 1);
    for (;;) {
      this.#blanks();
      if (this.#at >= this.#end) {
        if (inParentheses) refuse('a substitution without an end');
        break;
      }
      if (this.#text[this.#at] === '#') this.#comment(list.isAtLineStart);
      else if (this.#isOperator()) {
        const sign = this.#operator();
        if (sign === '\n' && outer.length > 0) refuse('a line ends in a substitution before a here-document');
        if (sign === ')' && inParentheses && !list.isNested) break;
        this.#sign(sign, list);
      } else this.#wordOf(list);
      if (this.#commands.length + list.size > mostCommands) refuse('too many commands');
    }
    if (this.#heredocs.length > 0) refuse('a here-document without an end');
    this.#heredocs = outer;
    this.#commands.push(...list.finish());
    this.#isCode ||= list.isCode;
    this.#depth -= 1;
  }

  #sign(sign: string, list: CommandList): void {
    if (/[<>]/.test(sign)) this.#redirect(sign, null, list);
    else {
      if (sign === '(' && this.#text[this.#at] === '(') refuse('arithmetic');
      list.separator(sign, () => this.#closesAtOnce());
      if (sign === '\n') this.#heredocBodies();
    }
  }

  /** `()` of a function: the `)` follows, and is read. */
  #closesAtOnce(): boolean {
    this.#blanks();
    if (this.#text[this.#at] !== ')') return false;
    this.#at += 1;
    return true;
  }

  #wordOf(list: CommandList): void {
    const word = this.#word();
    const next = this.#text[this.#at];
    const redirects = next === '<' || next === '>';
    if (redirects && /^\{.*\}$/.test(this.#text.slice(word.start, word.end)))
      refuse('a descriptor in a variable');
    if (redirects && word.literal && !word.quoted && /^\d+$/.test(word.text) && !this.#opensProcess())
      return this.#redirect(this.#operator(), Number(word.text), list);
    list.word(word);
  }

  #opensProcess(): boolean {
    return /[<>]/.test(this.#text[this.#at] ?? '') && this.#text[this.#at + 1] === '(';
  }

  #isOperator(): boolean {
    return /[;&|()<>\n]/.test(this.#text[this.#at]!) && !this.#opensProcess();
  }

  #operator(): string {
    operator.lastIndex = this.#at;
    const found = operator.exec(this.#text)?.[0];
    if (found === undefined || this.#at + found.length > this.#end) return refuse('a sign');
    this.#at += found.length;
    if (this.#text.startsWith('\\\n', this.#at)) refuse('a sign that goes on in the next line');
    return found;
  }

  #blanks(): void {
    for (;;) {
      if (this.#at < this.#end && isBlank(this.#text[this.#at])) this.#at += 1;
      else if (this.#at < this.#end && this.#text.startsWith('\\\n', this.#at)) {
        if (this.#at > 0 && !/[\s]/.test(this.#text[this.#at - 1]!))
          refuse('a word that goes on in the next line');
        this.#at += 2;
      } else return;
    }
  }

  /** A comment is none to an interactive zsh or csh: it may hold nothing that would be anything but words there. */
  #comment(isAtLineStart: boolean): void {
    const end = this.#text.indexOf('\n', this.#at);
    const stop = end < 0 || end > this.#end ? this.#end : end;
    const comment = this.#text.slice(this.#at, stop);
    if (!isAtLineStart || !/^[\w\s#.,:/+=-]*$/.test(comment)) this.#isCode = true;
    if (this.#end < this.#text.length && end !== stop)
      refuse('a comment that hides the end of a substitution');
    this.#at = stop;
  }

  #redirect(sign: string, descriptor: number | null, list: CommandList): void {
    this.#blanks();
    if (this.#at >= this.#end || this.#text[this.#at] === '#' || this.#isOperator())
      refuse('a redirection of nothing');
    const target = this.#word();
    if (sign === '>|' || this.#text[target.start] === '!') this.#isCode = true;
    if (sign === '<<' || sign === '<<-') {
      const source = this.#text.slice(target.start, target.end);
      this.#heredocCount += 1;
      if (!target.literal || !/^[\w.-]+$/.test(target.text) || this.#heredocCount > mostHeredocs)
        refuse('a here-document');
      this.#heredocs.push({ delimiter: target, source, stripsTabs: sign === '<<-' });
    }
    list.redirect({ sign, descriptor, target });
  }

  #heredocBodies(): void {
    for (const { delimiter, source, stripsTabs } of this.#heredocs) {
      let isOver = false;
      while (!isOver) {
        if (this.#at >= this.#end) refuse('a here-document without an end');
        const found = this.#text.indexOf('\n', this.#at);
        const stop = found < 0 || found > this.#end ? this.#end : found;
        const written = this.#text.slice(this.#at, stop);
        const line = stripsTabs ? written.replace(/^\t+/, '') : written;
        this.#at = Math.min(stop + 1, this.#end);
        isOver = line === delimiter.text;
        // Without quotes it is expanded; csh looks for the end as it is written, with its quotes.
        if (!isOver && !delimiter.quoted && /[`\\]|\$[({[]/.test(line))
          refuse('a here-document that expands');
        if (delimiter.quoted && line.trim() === source) this.#isCode = true;
      }
    }
    this.#heredocs = [];
  }

  #word(): Word {
    const start = this.#at;
    const word = new WordBuilder();
    if (this.#opensProcess()) {
      this.#at += 2;
      this.#list(true);
      word.pipe();
    }
    while (this.#at < this.#end && !endsWord.test(this.#text[this.#at]!)) this.#part(word);
    if (this.#opensProcess()) refuse('a process substitution inside a word');
    if (this.#at === start) refuse('a letter');
    const built = word.build(start, this.#at);
    if (word.shape.startsWith('^')) this.#isCode = true;
    return built;
  }

  #part(word: WordBuilder): void {
    const character = this.#text[this.#at]!;
    if (character === "'") word.quote(this.#until("'"));
    else if (character === '"') this.#doubleQuoted(word);
    else if (character === '`') this.#backquoted(word, false);
    else if (character === '$') this.#dollar(word, false);
    else if (character === '\\') this.#escape(word);
    else {
      word.plain(character);
      this.#at += 1;
    }
  }

  #escape(word: WordBuilder): void {
    const escaped = this.#text[this.#at + 1];
    if (this.#at + 1 >= this.#end || escaped === undefined || escaped === '\n')
      return refuse('an escape of nothing');
    // A code of a letter in fish.
    if (/[xXuU0-7]/.test(escaped)) this.#isCode = true;
    word.quote(escaped);
    this.#at += 2;
  }

  /** What stands between the quote here and the next one. */
  #until(quote: string): string {
    const end = this.#text.indexOf(quote, this.#at + 1);
    if (end < 0 || end >= this.#end) return refuse('a quote without an end');
    const inside = this.#text.slice(this.#at + 1, end);
    if (inside.includes('\n') && this.#heredocs.length > 0)
      refuse('a line ends in quotes before a here-document');
    this.#at = end + 1;
    return inside;
  }

  #doubleQuoted(word: WordBuilder): void {
    this.#at += 1;
    word.quote('');
    for (;;) {
      const character = this.#text[this.#at];
      if (this.#at >= this.#end || character === undefined) return refuse('a quote without an end');
      if (character === '"') break;
      if (character === '\n' && this.#heredocs.length > 0)
        refuse('a line ends in quotes before a here-document');
      if (character === '$') this.#dollar(word, true);
      else if (character === '`') this.#backquoted(word, true);
      else if (character === '\\' && /[$`"\\\n]/.test(this.#text[this.#at + 1] ?? '')) {
        const escaped = this.#text[this.#at + 1]!;
        word.quote(escaped === '\n' ? '' : escaped);
        this.#at += 2;
      } else {
        word.quote(character);
        this.#at += 1;
      }
    }
    this.#at += 1;
  }

  /** Its end is the next backquote, whatever stands between them. */
  #backquoted(word: WordBuilder, inQuotes: boolean): void {
    const from = this.#at + 1;
    const inside = this.#until('`');
    if (inside.includes('\\') || (inQuotes && inside.includes('"'))) refuse('backquotes in backquotes');
    const [after, end] = [this.#at, this.#end];
    this.#at = from;
    this.#end = after - 1;
    this.#list(false);
    this.#at = after;
    this.#end = end;
    word.expansion(inQuotes);
  }

  #dollar(word: WordBuilder, inQuotes: boolean): void {
    const next = this.#text[this.#at + 1] ?? '';
    if (next === "'" && !inQuotes) return this.#ansiQuoted(word);
    if (next === '"' && !inQuotes) return refuse('a translated string');
    if (next === '[') return refuse('arithmetic');
    if (next === '(' && this.#text[this.#at + 2] !== '(') {
      this.#at += 2;
      this.#list(true);
      return word.expansion(inQuotes);
    }
    const found = expansionOf(this.#text, this.#at + 1);
    if (found === null) {
      if (next === '{' || next === '(') return refuse('an expansion');
      word.quote('$');
      this.#at += 1;
      return undefined;
    }
    this.#at += 1 + found.length;
    if (this.#at > this.#end) refuse('an expansion without an end');
    this.#isCode ||= found.isCode;
    word.expansion(inQuotes);
    if (found.isMany) word.many();
    return undefined;
  }

  #ansiQuoted(word: WordBuilder): void {
    this.#at += 1;
    const inside = this.#until("'");
    // `$'\''`: shells that know no such quotes end it elsewhere.
    const text = /(^|[^\\])(\\\\)*\\$/.test(inside) ? null : ansiText(inside);
    if (text === null) return refuse('a quoted escape');
    return word.quote(text);
  }
}
