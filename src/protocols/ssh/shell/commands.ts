/**
 * Which words of a list make a command: where one begins, which words are reserved there, and which belong to a loop, a
 * choice or a function instead.
 */
import { isTelling } from './variables.ts';
import { isBare, type Word } from './words.ts';

export interface Redirect {
  /** `>`, `<<`, `>&` … without the number before it. */
  readonly sign: string;
  /** Null: the one that the sign means by itself. */
  readonly descriptor: number | null;
  readonly target: Word;
}

export interface SimpleCommand {
  readonly assignments: readonly Word[];
  readonly words: readonly Word[];
  readonly redirects: readonly Redirect[];
  /** What it prints goes to another program or into a word: no terminal, so no pager of its own. */
  readonly isPiped: boolean;
  /** These are the redirections of a loop or a group. */
  readonly isCompound: boolean;
}

type Mode =
  | 'command'
  | 'arguments'
  /** After what ends a loop, a group or a choice: only redirections and separators. */
  | 'compound'
  | 'loop-name'
  | 'loop-in'
  | 'loop-words'
  | 'choice-word'
  | 'choice-in'
  | 'pattern'
  | 'function-name';

interface Open {
  assignments: Word[];
  words: Word[];
  redirects: Redirect[];
  isCompound: boolean;
}

const openers = new Set(['if', 'then', 'elif', 'else', 'do', 'while', 'until', '!', '{']);
const closers = new Set(['fi', 'done', '}', 'esac']);
const others = new Set(['for', 'select', 'case', 'function', 'coproc']);

function refuse(what: string): never {
  throw new SyntaxError(what);
}

/** Of one list: of the whole text or of one substitution. Words and signs come in order. */
export class CommandList {
  readonly #isSubstitution: boolean;
  readonly #finished: SimpleCommand[] = [];
  #open: Open | null = null;
  #mode: Mode = 'command';
  readonly #nesting: ('subshell' | 'choice')[] = [];
  /** Nothing has come since the line began. */
  #isAtLineStart = true;
  /** Nothing has come since a separator that must have a command on both sides. */
  #isFresh = false;
  #isCode = false;

  constructor(isSubstitution: boolean) {
    this.#isSubstitution = isSubstitution;
  }

  get isAtLineStart(): boolean {
    return this.#isAtLineStart;
  }

  /** A `)` belongs to a subshell or a pattern, not to what the list stands in. */
  get isNested(): boolean {
    return this.#nesting.length > 0;
  }

  get size(): number {
    return this.#finished.length;
  }

  get isCode(): boolean {
    return this.#isCode;
  }

  finish(): readonly SimpleCommand[] {
    this.#close(false);
    if (this.#nesting.length > 0 || this.#isFresh) refuse('a list without an end');
    if (!['command', 'arguments', 'compound'].includes(this.#mode)) refuse('a loop without an end');
    return this.#finished;
  }

  word(word: Word): void {
    this.#isAtLineStart = false;
    switch (this.#mode) {
      case 'command':
        this.#isFresh = false;
        return this.#first(word);
      case 'arguments':
        return this.#argument(word);
      case 'compound':
        if (!this.#isReserved(word, openers) && !this.#isReserved(word, closers))
          return refuse('a word after a group');
        this.#close(false);
        return this.#first(word);
      case 'loop-name':
        if (!word.literal || !/^\w+$/.test(word.text)) return refuse('the name of a loop');
        this.#isCode ||= isTelling(word.text);
        return this.#to('loop-in');
      case 'loop-in':
        if (isBare(word, 'do')) return this.#to('command');
        return isBare(word, 'in') ? this.#to('loop-words') : refuse('a loop');
      case 'loop-words':
        return undefined;
      case 'choice-word':
        return this.#to('choice-in');
      case 'choice-in':
        return isBare(word, 'in') ? this.#to('pattern') : refuse('a choice');
      case 'pattern':
        return isBare(word, 'esac') ? this.#endChoice() : undefined;
      case 'function-name':
        return this.#to('command');
    }
  }

  #to(mode: Mode): void {
    this.#mode = mode;
  }

  #isReserved(word: Word, names: ReadonlySet<string>): boolean {
    return word.literal && !word.quoted && names.has(word.text);
  }

  #first(word: Word): void {
    const all = [openers, closers, others].some((names) => this.#isReserved(word, names));
    if (all && this.#open !== null) return refuse('a reserved word after an assignment or a redirection');
    if (all) return this.#reserved(word.text);
    if (/^[A-Za-z_]\w*\[/.test(word.text)) return refuse('an element of an array');
    this.#open ??= this.#empty();
    if (word.assigns !== null) this.#open.assignments.push(word);
    else {
      // `=name` is the program of that name in zsh, `%1` a job.
      if (/^[=%]/.test(word.prefix)) this.#isCode = true;
      this.#open.words.push(word);
      this.#mode = 'arguments';
    }
    return undefined;
  }

  #reserved(name: string): void {
    this.#isFresh = openers.has(name);
    if (openers.has(name)) return this.#to('command');
    if (name === 'esac') return this.#endChoice();
    if (closers.has(name)) return this.#to('compound');
    if (name === 'case') {
      this.#nesting.push('choice');
      return this.#to('choice-word');
    }
    if (name === 'coproc') return refuse('a coprocess');
    this.#isCode ||= name !== 'for';
    return this.#to(name === 'function' ? 'function-name' : 'loop-name');
  }

  #endChoice(): void {
    this.#close(false);
    if (this.#nesting.pop() !== 'choice') refuse('the end of no choice');
    this.#to('compound');
  }

  #argument(word: Word): void {
    const open = this.#open!;
    // Sole braces are signs to zsh; after `&>` dash begins a new command.
    if (!word.quoted && /^[{}]$/.test(word.text)) this.#isCode = true;
    if (open.redirects.some(({ sign }) => sign.startsWith('&>'))) this.#isCode = true;
    open.words.push(word);
  }

  redirect(redirect: Redirect): void {
    if (!['command', 'arguments', 'compound'].includes(this.#mode)) refuse('a redirection here');
    this.#isAtLineStart = false;
    this.#isFresh = false;
    this.#open ??= this.#empty();
    this.#open.isCompound ||= this.#mode === 'compound';
    this.#open.redirects.push(redirect);
  }

  /** `closesAtOnce`: reads the `)` that makes a function of the word before; false when there is none. */
  separator(sign: string, closesAtOnce: () => boolean): void {
    this.#isAtLineStart = sign === '\n';
    if (sign === '(') return this.#parenthesis(closesAtOnce);
    if (this.#mode === 'pattern' || this.#mode === 'choice-in' || this.#mode === 'choice-word')
      return this.#inChoice(sign);
    if (sign === ')') return this.#endSubshell();
    if (this.#mode === 'function-name' || this.#mode === 'loop-name') return refuse('a name');
    const isEmpty = this.#mode === 'command' && this.#open === null;
    if (sign.startsWith(';;') || sign === ';&') return this.#endPattern();
    if (sign === '\n' && isEmpty) return undefined;
    if (isEmpty) return refuse('a separator of nothing');
    this.#close(sign === '|' || sign === '|&');
    this.#isFresh = ['|', '|&', '&&', '||'].includes(sign);
    return this.#to('command');
  }

  #inChoice(sign: string): void {
    if (sign === '\n') return undefined;
    if (this.#mode === 'pattern' && sign === '|') return undefined;
    if (this.#mode === 'pattern' && sign === ')') return this.#to('command');
    return refuse('a choice');
  }

  #endPattern(): void {
    if (this.#nesting.at(-1) !== 'choice') refuse('the end of no pattern');
    this.#close(false);
    this.#isFresh = false;
    this.#to('pattern');
  }

  #parenthesis(closesAtOnce: () => boolean): void {
    if (this.#mode === 'pattern') return undefined;
    const open = this.#open;
    const isFunction = this.#mode === 'arguments' && open !== null && open.words.length === 1;
    if (this.#mode === 'command' && open === null) {
      if (closesAtOnce()) {
        // `function name ()`: the name has been read.
        if (this.#isCode) return undefined;
        return refuse('an empty subshell');
      }
      this.#isFresh = true;
      this.#nesting.push('subshell');
      return undefined;
    }
    if (!isFunction || open.assignments.length > 0 || open.redirects.length > 0 || !closesAtOnce())
      return refuse('a parenthesis');
    this.#open = null;
    this.#isCode = true;
    this.#isFresh = true;
    return this.#to('command');
  }

  #endSubshell(): void {
    this.#close(false);
    if (this.#nesting.pop() !== 'subshell' || this.#isFresh) refuse('a parenthesis');
    this.#to('compound');
  }

  #empty(): Open {
    return { assignments: [], words: [], redirects: [], isCompound: false };
  }

  #close(isPiped: boolean): void {
    const open = this.#open;
    if (open === null) return;
    this.#finished.push({ ...open, isPiped: isPiped || this.#isSubstitution });
    this.#open = null;
  }
}
