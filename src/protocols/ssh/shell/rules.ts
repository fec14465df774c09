/**
 * What is known of a program: a rule tells what a call of it does. Without a rule a program is `code`.
 *
 * A rule claims `read` alone only when it knows every option that was given; the rest of a claim (`write`, `system` …) may
 * be more than what happens, never less.
 */
import type { Effect } from '../../../model/command-facts.ts';
import type { FactsBuilder } from './facts.ts';
import { optionList, readOptions, type Options } from './options.ts';
import type { Word } from './words.ts';

/** One program that a command starts. */
export interface Call {
  /** Without the path before it. */
  readonly name: string;
  /** After the name. */
  readonly args: readonly Word[];
  /** What it prints may go to a terminal: a pager that it starts there obeys keys, `!` among them. */
  readonly isOnTerminal: boolean;
}

/** What a rule tells, and what it asks about the commands inside its call. */
export interface Run {
  readonly facts: FactsBuilder;
  /** A program that this one starts, name first. Assignments before it are those of `env`. */
  command(words: readonly Word[]): void;
  /** Text that a shell reads; `code` when it is not literal. */
  text(word: Word | undefined): void;
  /** A variable of the environment of what is started. */
  environment(name: string, isExported: boolean): void;
}

export type Rule = (call: Call, run: Run) => void;
export type Rules = Readonly<Record<string, Rule>>;

/** Which operands are files: all; none; all but the first. */
export type Operands = 'files' | 'words' | 'after-first';

/** Files among arguments of any program: operands, and what follows the first `/` of an option. */
export function filesIn(args: readonly Word[], facts: FactsBuilder, isTree = false): void {
  for (const word of args) {
    const text = word.prefix;
    const slash = text.search(/(?<=[=:])~?\/|\//);
    const isOption = text.startsWith('-') && text !== '-';
    if (!isOption && text !== '-') facts.path(word, isTree);
    // `--file=/x`, `-f/x`, `if=/x`
    const isNamed = isOption || /^[\w-]+=/.test(text);
    if (isNamed && slash > 0) facts.pathText(text.slice(slash), isTree);
  }
}

/** Values of options that look like files. */
function filesInValues(options: Options, facts: FactsBuilder): void {
  for (const value of options.values.values())
    if (value.prefix.includes('/') || value.expands) facts.path(value);
}

/** Reads whatever its options are: nothing that can be given makes it write or run anything. */
export function always(operands: Operands = 'files', ...effects: readonly Effect[]): Rule {
  return ({ args }, { facts }) => {
    facts.add(...(effects.length > 0 ? effects : (['read'] as const)));
    if (operands === 'files') filesIn(args, facts);
    if (operands === 'after-first') filesIn(args.slice(1), facts);
  };
}

/** Reads with these options; with any other it is `code`. */
export function reads(options: string, operands: Operands = 'files'): Rule {
  return limited(options, operands, ['read']);
}

/** Has these effects with these options; with any other `code` too. */
export function limited(options: string, operands: Operands, effects: readonly Effect[]): Rule {
  const list = optionList(options);
  return ({ args }, { facts }) => {
    const found = readOptions(args, list);
    facts.add(...effects);
    if (!found.isSure) facts.add('code');
    filesInValues(found, facts);
    if (operands === 'files') for (const word of found.operands) facts.path(word);
    if (operands === 'after-first') for (const word of found.operands.slice(1)) facts.path(word);
    if (!found.isSure && operands !== 'words') filesIn(args, facts);
  };
}

/** Has these effects whatever its arguments are; files among them are told. */
export function does(...effects: readonly Effect[]): Rule {
  return ({ args }, { facts }) => {
    facts.add(...effects);
    filesIn(args, facts);
  };
}

/** The same, and only arguments with a `/` are files. */
export function acts(...effects: readonly Effect[]): Rule {
  return ({ args }, { facts }) => {
    facts.add(...effects);
    filesIn(
      args.filter(({ prefix }) => prefix.includes('/')),
      facts,
    );
  };
}

/** As `rule`, and `code` when it may start a pager. */
export function paged(rule: Rule): Rule {
  return (call, run) => {
    rule(call, run);
    if (call.isOnTerminal) run.facts.add('code');
  };
}

/** Options up to the first operand, which is a program with its arguments. */
export function wrapper(options: string, before: (found: Options, run: Run) => readonly Word[]): Rule {
  const list = optionList(`${options} +`);
  return ({ args }, run) => {
    const found = readOptions(args, list);
    if (!found.isSure) run.facts.add('code');
    run.command(before(found, run));
  };
}

/** One rule under many names. */
export const named = (names: string, rule: Rule): Rules =>
  Object.fromEntries(names.split(' ').map((name) => [name, rule]));
