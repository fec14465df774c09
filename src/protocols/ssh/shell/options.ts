/**
 * Options of programs, by lists of what is known to be harmless. Anything else (an option that is not listed, one that
 * is abbreviated, a word that may be an option) makes the whole call unsure.
 *
 * A list is words: `lrt` letters without a value, `k:` a letter with one, `I?` one whose value can only be attached,
 * `--name`, `--name=`, `--name?` likewise; `#` numbers (`-20`); `+` options end at the first operand.
 */
import { literalWord, type Word } from './words.ts';

export interface OptionList {
  readonly letters: ReadonlyMap<string, ':' | '?' | ''>;
  readonly names: ReadonlyMap<string, '=' | '?' | ''>;
  readonly numbers: boolean;
  readonly stops: boolean;
}

export function optionList(text: string): OptionList {
  const letters = new Map<string, ':' | '?' | ''>();
  const names = new Map<string, '=' | '?' | ''>();
  for (const part of text.split(' ')) {
    const long = /^(--?[\w-]{2,})([=?]?)$/.exec(part);
    if (long !== null) names.set(long[1]!, long[2] as '=' | '?' | '');
    else if (/^.[:?]$/.test(part)) letters.set(part[0]!, part[1] as ':' | '?');
    else if (/.[:?]/.test(part)) throw new TypeError(`options: ${part}`);
    else if (part !== '#' && part !== '+') for (const letter of part) letters.set(letter, '');
  }
  const has = (sign: string): boolean => text.split(' ').includes(sign);
  return { letters, names, numbers: has('#'), stops: has('+') };
}

export interface Options {
  /** Every option is listed, and nothing else can be one. */
  readonly isSure: boolean;
  /** Letters and names that were given. */
  readonly given: ReadonlySet<string>;
  /** Values by letter or name, the last counts. */
  readonly values: ReadonlyMap<string, Word>;
  readonly operands: readonly Word[];
  /** The first word that is no option, with everything after it. */
  readonly rest: readonly Word[];
}

/** A value that is attached to its option. */
const attached = (word: Word, length: number): Word => {
  const cut = (text: string): string => text.slice(length);
  if (word.literal) return literalWord(cut(word.text));
  return { ...word, text: cut(word.text), prefix: cut(word.prefix), optionLike: word.splits };
};

export function readOptions(words: readonly Word[], list: OptionList): Options {
  const reader = new OptionReader(words, list);
  reader.run();
  return reader;
}

class OptionReader implements Options {
  readonly #words: readonly Word[];
  readonly #list: OptionList;
  #at = 0;
  #rest = -1;
  isSure = true;
  readonly given = new Set<string>();
  readonly values = new Map<string, Word>();
  readonly operands: Word[] = [];

  constructor(words: readonly Word[], list: OptionList) {
    this.#words = words;
    this.#list = list;
  }

  get rest(): readonly Word[] {
    return this.#rest < 0 ? [] : this.#words.slice(this.#rest);
  }

  run(): void {
    while (this.#at < this.#words.length) {
      const word = this.#words[this.#at]!;
      this.#at += 1;
      if (word.literal && word.text === '--') return this.#remaining(this.#at);
      const isOption = word.optionLike && word.prefix !== '-';
      const isDash = word.literal && word.text === '-';
      if (isOption && !isDash) this.#option(word);
      else {
        if (!word.literal && word.optionLike) this.isSure = false;
        if (this.#list.stops) return this.#remaining(this.#at - 1);
        if (this.#rest < 0) this.#rest = this.#at - 1;
        this.operands.push(word);
      }
    }
    return undefined;
  }

  #remaining(from: number): void {
    if (this.#rest < 0) this.#rest = from;
    this.operands.push(...this.#words.slice(from));
  }

  #option(word: Word): void {
    const text = word.prefix;
    if (!word.literal && (word.splits || !/^(--?[\w-]{2,}=|-\w)/.test(text))) {
      this.isSure = false;
      this.operands.push(word);
      return undefined;
    }
    if (this.#list.numbers && /^-\d+f?$/.test(word.text) && word.literal) return void this.given.add('#');
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    const kind = this.#list.names.get(name);
    if (kind !== undefined) return this.#long(word, name, equals, kind);
    if (text.startsWith('--')) return this.#unknown(word);
    return this.#letters(word);
  }

  #unknown(word: Word): void {
    this.isSure = false;
    this.given.add(word.prefix);
  }

  #long(word: Word, name: string, equals: number, kind: '=' | '?' | ''): void {
    this.given.add(name);
    if (equals >= 0 && kind === '') this.isSure = false;
    if (equals >= 0) this.values.set(name, attached(word, equals + 1));
    else if (!word.literal) this.isSure = false;
    else if (kind === '=') this.#value(name);
  }

  #letters(word: Word): void {
    const text = word.prefix;
    for (let at = 1; at < text.length; at += 1) {
      const letter = text[at]!;
      const kind = this.#list.letters.get(letter);
      this.given.add(letter);
      if (kind === undefined) {
        this.isSure = false;
        return undefined;
      }
      if (kind === '') continue;
      const isLast = at + 1 === text.length && word.literal;
      if (!isLast) this.values.set(letter, attached(word, at + 1));
      else if (kind === ':') this.#value(letter);
      return undefined;
    }
    if (!word.literal) this.isSure = false;
    return undefined;
  }

  #value(name: string): void {
    const word = this.#words[this.#at];
    this.#at += 1;
    if (word === undefined || word.splits || (!word.literal && !word.expands)) this.isSure = false;
    if (word !== undefined) this.values.set(name, word);
  }
}
