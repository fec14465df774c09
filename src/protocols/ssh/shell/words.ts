/**
 * A word of a shell text after quote removal, and what could not be told about it before it runs.
 *
 * The invariant: `literal` is only true when every shell makes exactly one word of it, and exactly this `text`. A `~` at
 * the start stays as it is written: it may name another directory, never another program or option.
 */
export interface Word {
  /** Where it stands in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** After quote removal; what expands is left out. */
  readonly text: string;
  /** Nothing in it expands. */
  readonly literal: boolean;
  /** What stands before the first part that expands; all of it when it is literal. */
  readonly prefix: string;
  /** A part of it is quoted: never a reserved word. */
  readonly quoted: boolean;
  /** A variable or a substitution in it: nothing is known of its value. False: at most patterns of file names. */
  readonly expands: boolean;
  /** It is written, without quotes, so that any number of words of any kind may come of it. */
  readonly splits: boolean;
  /** It may be read as an option: starts with `-`, or nobody knows. */
  readonly optionLike: boolean;
  /** The name before an unquoted `=`, where a shell takes it for an assignment. */
  readonly assigns: string | null;
  /** It is a `<(…)` or `>(…)`: a pipe, and no file of that name. */
  readonly isPipe: boolean;
}

/** Nothing but `text`, as if it had been written so. */
export function literalWord(text: string): Word {
  return {
    start: -1,
    end: -1,
    text,
    literal: true,
    prefix: text,
    quoted: true,
    expands: false,
    splits: false,
    optionLike: text.startsWith('-'),
    assigns: null,
    isPipe: false,
  };
}

/** Some words that come from elsewhere: the input of xargs, the files that find finds (never options). */
export function foreignWord(prefix: string, isOption: boolean): Word {
  return {
    ...literalWord(''),
    literal: false,
    prefix,
    expands: true,
    splits: isOption,
    optionLike: isOption,
  };
}

/** Stands in a shape for a character that is quoted. */
const quotedMark = '\0';
const assignment = /^([A-Za-z_][A-Za-z0-9_]*)\+?=/;

/** Where a pattern of file names begins; negative: there is none. */
function patternAt(shape: string): number {
  const bracket = shape.indexOf('[');
  const isClass = bracket >= 0 && shape.lastIndexOf(']') > bracket + 1;
  return shape.search(isClass ? /[*?[]/ : /[*?]/);
}

/** Where braces begin of which several words come: `{a,b}`, `{1..9}`; negative: there are none. */
function bracesAt(shape: string): number {
  const opening = shape.indexOf('{');
  const closing = shape.lastIndexOf('}');
  return opening >= 0 && /,|\.\./.test(shape.slice(opening, Math.max(closing, opening))) ? opening : -1;
}

/** Collects a word character by character. */
export class WordBuilder {
  #text = '';
  /** As `#text`, but a quoted character is `quotedMark`. */
  #shape = '';
  #quoted = false;
  /** Length of the text at the first expansion. */
  #firstExpansion = -1;
  #splits = false;
  #isPipe = false;

  plain(character: string): void {
    this.#text += character;
    this.#shape += character;
  }

  quote(text: string): void {
    this.#quoted = true;
    this.#text += text;
    this.#shape += quotedMark.repeat(text.length);
  }

  expansion(inQuotes: boolean): void {
    if (this.#firstExpansion < 0) this.#firstExpansion = this.#text.length;
    if (inQuotes) this.#quoted = true;
    else this.#splits = true;
  }

  /** Of all values of `$@` come as many words as there are, in quotes too. */
  many(): void {
    this.#splits = true;
  }

  pipe(): void {
    this.#isPipe = true;
    this.expansion(true);
  }

  /** What is not quoted as written, quoted characters as NUL. */
  get shape(): string {
    return this.#shape;
  }

  build(start: number, end: number): Word {
    const braces = bracesAt(this.#shape);
    const found = [this.#firstExpansion, patternAt(this.#shape), braces].filter((at) => at >= 0);
    const literal = found.length === 0;
    const prefix = literal ? this.#text : this.#text.slice(0, Math.min(...found));
    const expands = this.#firstExpansion >= 0 || braces >= 0;
    const isUnsure = this.#splits || (!literal && prefix === '' && !this.#isPipe);
    const name = assignment.exec(this.#shape);
    const isName = name !== null && (this.#firstExpansion < 0 || this.#firstExpansion >= name[0].length);
    return {
      start,
      end,
      text: this.#text,
      literal,
      prefix,
      quoted: this.#quoted,
      expands,
      splits: this.#splits,
      optionLike: isUnsure || prefix.startsWith('-'),
      assigns: isName ? name[1]! : null,
      isPipe: this.#isPipe,
    };
  }
}

/** Of two readers of one text: exactly this word, not quoted. */
export const isBare = (word: Word, text: string): boolean =>
  word.literal && !word.quoted && word.text === text;

/** `NAME=value` as an argument (of env, sudo, export), however it is quoted: the name. */
export const namedBy = (word: Word): string | null => assignment.exec(word.prefix)?.[1] ?? null;
