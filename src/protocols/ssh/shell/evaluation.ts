/**
 * Commands → facts: what their assignments, redirections and programs do, and those that these start in turn.
 */
import type { SimpleCommand } from './commands.ts';
import { readsOtherwise } from './dialects.ts';
import type { FactsBuilder } from './facts.ts';
import type { ShellGrammar } from './grammar.ts';
import { isDevice, normalizePath } from './paths.ts';
import { ruleOf } from './programs/table.ts';
import { readCommands, type Reading } from './reader.ts';
import type { Run } from './rules.ts';
import { isTransferPlace } from './transfers.ts';
import { isTelling } from './variables.ts';
import { namedBy, type Word } from './words.ts';

/** Longest text that is read, in UTF-16 units; it takes some ten milliseconds. */
export const longestText = 8192;
/** Of commands in commands. */
const deepest = 12;
/** Texts inside one text, and their letters together: each is parsed. */
const mostTexts = 32;
const mostLetters = 4 * longestText;

/** Where the system's own programs are: one of these is what its name says. */
const systemPlaces = /^\/(usr\/)?(local\/)?s?bin\/$/;

/** Into a pipe, a word or a file: not to a terminal. Later redirections undo earlier ones, so that all are looked at. */
function printsToTerminal({ redirects, isPiped }: SimpleCommand): boolean {
  const ofOutput = redirects.filter(
    ({ sign, descriptor }) => sign.startsWith('&') || (sign.startsWith('>') && (descriptor ?? 1) === 1),
  );
  if (ofOutput.length === 0) return !isPiped;
  return !ofOutput.every(
    ({ sign, target }) =>
      !sign.startsWith('>&') &&
      target.literal &&
      !/^\/(dev\/(?!null$)|proc\/)/.test(normalizePath(target.text)),
  );
}

export class Evaluation implements Run {
  readonly facts: FactsBuilder;
  readonly #grammar: ShellGrammar;
  readonly #terminal: boolean;
  #depth = 0;
  #texts = 0;
  #letters = 0;
  /** What the command that is gone through prints goes to the terminal. */
  #isOnTerminal = false;

  constructor(grammar: ShellGrammar, facts: FactsBuilder, terminal: boolean) {
    this.#grammar = grammar;
    this.facts = facts;
    this.#terminal = terminal;
  }

  /** A whole text. Nothing in it: nothing is added. */
  run(text: string): void {
    this.#texts += 1;
    this.#letters += text.length;
    if (text.length > longestText || this.#texts > mostTexts || this.#letters > mostLetters)
      return this.facts.add('unknown');
    const reading = this.#read(text);
    if (reading === null) return this.facts.add('unknown');
    if (reading.isCode || readsOtherwise(text)) this.facts.add('code');
    for (const command of reading.commands) this.#simple(command);
    return undefined;
  }

  /** Null: it is not understood, or two readers understand it differently. */
  #read(text: string): Reading | null {
    let reading: Reading;
    try {
      reading = readCommands(text);
    } catch {
      return null;
    }
    const starts = this.#grammar.startsOf(text);
    const agree =
      starts?.length === reading.starts.length && starts.every((at, i) => at === reading.starts[i]);
    return agree ? reading : null;
  }

  #simple(command: SimpleCommand): void {
    const { assignments, words, redirects } = command;
    const isOnTerminal = this.#isOnTerminal;
    for (const { assigns } of assignments) this.environment(assigns ?? '', words.length > 0);
    if (words.length === 0 && assignments.length > 0) this.facts.add('session');
    for (const { sign, target } of redirects) this.#redirect(sign, target);
    const isAlone = words.length === 0 && assignments.length === 0 && !command.isCompound;
    // zsh starts a pager with it.
    if (isAlone && redirects.some(({ sign }) => sign === '<') && !command.isPiped) this.facts.add('code');
    this.#isOnTerminal = this.#terminal && printsToTerminal(command);
    if (words.length > 0) this.command(words);
    this.#isOnTerminal = isOnTerminal;
  }

  #redirect(sign: string, target: Word): void {
    if (sign === '<<' || sign === '<<-' || sign === '<<<') return this.facts.add('read');
    const isDuplicate = /^[<>]&$/.test(sign) && target.literal && /^(\d+-?|-)$/.test(target.text);
    if (isDuplicate) return undefined;
    const { prefix } = target;
    if (/^\/dev\/(tcp|udp)(\/|$)/.test(normalizePath(prefix))) this.facts.add('network', 'code');
    if (sign === '<') this.facts.add('read');
    else if (target.literal && /^\/dev\/(null|stdout|stderr)$/.test(target.text)) return undefined;
    else this.facts.add('write');
    if (sign !== '<' && isDevice(prefix)) this.facts.add('system');
    // A descriptor, or a file: whose name nobody knows.
    if (sign.includes('&') && !target.literal) this.facts.add('unknown');
    if (!target.literal && target.prefix === '' && !target.isPipe) this.facts.add('unknown');
    return this.facts.path(target);
  }

  environment(name: string, isExported: boolean): void {
    if (isTelling(name, isExported)) this.facts.add('code');
  }

  text(word: Word | undefined): void {
    if (word === undefined || !word.literal) return this.facts.add('code');
    this.#depth += 1;
    if (this.#depth > deepest) this.facts.add('unknown');
    else this.#nested(word.text);
    this.#depth -= 1;
    return undefined;
  }

  #nested(text: string): void {
    const isOnTerminal = this.#isOnTerminal;
    this.run(text);
    this.#isOnTerminal = isOnTerminal;
  }

  command(words: readonly Word[]): void {
    this.#depth += 1;
    if (this.#depth > deepest) this.facts.add('unknown');
    else this.#program(words);
    this.#depth -= 1;
  }

  #program(words: readonly Word[]): void {
    const [program, ...args] = words;
    if (program === undefined) return this.facts.add('unknown');
    // A tilde at its start is some directory.
    if (!program.literal || /^[~%=-]/.test(program.text) || namedBy(program) !== null) {
      if (program.literal && program.text !== '') this.facts.program(program.text);
      return this.facts.add('code');
    }
    this.facts.program(program.text);
    const slash = program.text.lastIndexOf('/') + 1;
    const name = program.text.slice(slash);
    const place = program.text.slice(0, slash);
    const isKnown = slash === 0 || systemPlaces.test(place) || isTransferPlace(place, name);
    const rule = isKnown ? ruleOf(name) : undefined;
    if (slash > 0 && rule === undefined) this.facts.path(program);
    if (rule === undefined) return this.#unknownProgram(args);
    return rule({ name, args, isOnTerminal: this.#isOnTerminal }, this);
  }

  #unknownProgram(args: readonly Word[]): void {
    this.facts.add('code');
    for (const word of args) {
      const slash = word.prefix.indexOf('/');
      const isWhole = slash === 0 || /^[.~]?[\w.-]*\//.test(word.prefix);
      if (isWhole && !word.expands && !word.prefix.startsWith('-')) this.facts.path(word);
      else if (slash > 0 && /[=-]/.test(word.prefix[0] ?? '')) this.facts.pathText(word.prefix.slice(slash));
    }
  }
}
