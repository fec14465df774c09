/** Facts of requests that are no texts of a shell. Equal facts are one object. */
import type { CommandFacts, Effect } from '../../model/command-facts.ts';

function facts(effects: readonly Effect[], more: Partial<CommandFacts> = {}): CommandFacts {
  return Object.freeze({ relations: [], functions: [], programs: [], ...more, effects });
}

/** An interactive shell: its lines are decided one by one, as far as they can be seen. */
export const shellFacts = facts(['shell']);
/** The subsystem itself: each file that it touches is decided apart. */
export const sftpFacts = facts(['file']);
export const forwardAgentFacts = facts(['forward'], { destinations: ['agent'] });
export const forwardX11Facts = facts(['forward'], { destinations: ['x11'] });

const kept = 512;
const subsystems = new Map<string, CommandFacts>();
const ways = new Map<string, CommandFacts>();

/** A program that the server knows by a name. */
export const subsystemFacts = (name: string): CommandFacts =>
  remembered(subsystems, name, () => facts(['code'], { programs: [name] }));

/** @param destination `host:port`, or the path of a socket */
export const forwardFacts = (destination: string): CommandFacts =>
  remembered(ways, destination, () => facts(['forward'], { destinations: [destination] }));

/** By the facts without it: equal facts stay one object. */
const coded = new WeakMap<CommandFacts, CommandFacts>();

/** A variable such as LD_PRELOAD or PAGER makes another program of it. */
export function withCode(plain: CommandFacts): CommandFacts {
  if (plain.effects.includes('code')) return plain;
  let known = coded.get(plain);
  if (known === undefined) {
    const effects: Effect[] = [...plain.effects, 'code'];
    known = facts(effects.toSorted(), plain);
    coded.set(plain, known);
  }
  return known;
}

function remembered(all: Map<string, CommandFacts>, key: string, make: () => CommandFacts): CommandFacts {
  let known = all.get(key);
  if (known !== undefined) return known;
  known = make();
  if (all.size >= kept) all.clear();
  all.set(key, known);
  return known;
}
