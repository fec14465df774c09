/**
 * What an operation on files does, as facts. Equal facts are one object, within a bound, so that a decision can be
 * remembered by them; a session's channels may share one memory.
 *
 * `write` makes or changes, `delete` takes a name away, `privilege` changes modes or owners. A rename is `write` and `delete`,
 * no `read`, though the file can be read under its new name. A hard or symbolic link is `read` and `write`: it makes a file
 * readable under another name.
 */
import type { CommandFacts, Effect } from '../../../model/command-facts.ts';
import { climbs, directoriesAbove } from './paths.ts';

/** Letters of the paths of facts that are kept, and how many are. */
const mostLetters = 8192;
const mostKept = 2048;

const none: readonly never[] = Object.freeze([]);

export const fileEffects = {
  read: ['file', 'read'],
  write: ['file', 'write'],
  readWrite: ['file', 'read', 'write'],
  delete: ['delete', 'file'],
  rename: ['delete', 'file', 'write'],
  privilege: ['file', 'privilege', 'write'],
  readPrivilege: ['file', 'privilege', 'read', 'write'],
} as const satisfies Record<string, readonly Effect[]>;

export type FileEffects = (typeof fileEffects)[keyof typeof fileEffects];

export class FileFacts {
  readonly #kept = new Map<string, CommandFacts>();

  /**
   * Of `paths`, normalized. `whole`: each may be a directory, whose contents are meant with it: it stands with `/` at its end
   * as well. `unclear`, and a path that leads out of a directory that is not known: they may not be all, and the effect
   * `unknown` says so.
   */
  of(effects: FileEffects, paths: readonly string[], whole: boolean, unclear = false): CommandFacts {
    const unknown = unclear || paths.some(climbs);
    const key = `${effects.join(' ')}${whole ? '+' : ''}${unknown ? '?' : ''}\0${paths.join('\0')}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    // `unknown` is never together with a claim that it only reads.
    const all = unknown ? [...effects.filter((effect) => effect !== 'read'), 'unknown' as const] : effects;
    const made = make(all, paths, whole);
    let letters = key.length;
    for (const path of made.paths ?? none) letters += path.length;
    if (letters > mostLetters) return made;
    if (this.#kept.size >= mostKept) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, made);
    return made;
  }
}

function make(effects: readonly Effect[], paths: readonly string[], whole: boolean): CommandFacts {
  const named = new Set<string>();
  for (const path of paths) {
    named.add(path);
    for (const directory of directoriesAbove(path)) named.add(directory);
    if (whole && path !== '/') named.add(`${path}/`);
  }
  return Object.freeze({
    effects: Object.freeze(effects.toSorted()),
    relations: none,
    functions: none,
    programs: none,
    paths: Object.freeze([...named].toSorted()),
  });
}
