/** What is decided about a line of a shell: the facts of its text, and of what could not be seen. */
import type { CommandFacts, Effect } from '../../model/command-facts.ts';
import type { CommandLine } from './terminal/line-owner.ts';

/**
 * Something was typed that the screen does not show: a password, or a command with the echo off. `hidden-input` among the
 * functions lets a policy that forbids `unknown` make an exception for it.
 */
const hiddenFacts: CommandFacts = Object.freeze({
  effects: Object.freeze(['unknown'] as const),
  relations: Object.freeze([]),
  functions: Object.freeze(['hidden-input']),
  programs: Object.freeze([]),
});

export class LineFacts {
  readonly #classify: (text: Uint8Array) => CommandFacts;
  /** By the facts of the text: equal facts stay one object. */
  readonly #inexact = new WeakMap<CommandFacts, CommandFacts>();

  constructor(classify: (text: Uint8Array) => CommandFacts) {
    this.#classify = classify;
  }

  of({ text, exact, hidden, prompt }: CommandLine): { text: Buffer; facts: CommandFacts } {
    if (hidden)
      return { text: Buffer.from(`(input that is not shown, at "${prompt.trim()}")`), facts: hiddenFacts };
    const bytes = Buffer.from(text);
    const facts = this.#classify(bytes);
    return { text: bytes, facts: exact ? facts : this.#unsure(facts) };
  }

  #unsure(facts: CommandFacts): CommandFacts {
    if (facts.effects.includes('unknown')) return facts;
    let unsure = this.#inexact.get(facts);
    if (unsure === undefined) {
      const effects = [...facts.effects, 'unknown' as Effect].toSorted();
      unsure = Object.freeze({ ...facts, effects: Object.freeze(effects) });
      this.#inexact.set(facts, unsure);
    }
    return unsure;
  }
}
