/**
 * Where the files of an scp transfer are at the target. The protocol tells names alone; the directory is that of the command's
 * path. Where the target receives and the path may be a directory or not, only the target knows whether `scp -t /tmp` puts a
 * file `a` at `/tmp` or at `/tmp/a`: both are said then, and decided.
 *
 * Paths are strings of bytes (`latin1`) in here: names need not be UTF-8.
 */
import { baseName, directoryOf, joined, longestPathBytes, normalize } from '../files/paths.ts';
import { ScpError } from './error.ts';
import type { ScpInvocation } from './invocation.ts';

/** Where something may be; `unclear`: also elsewhere, as the target's shell makes something of the path. */
export interface Place {
  readonly paths: readonly string[];
  readonly unclear: boolean;
}

/** A path of the command. */
interface Asked {
  readonly path: string;
  /** It names a directory, whatever is there. */
  readonly directory: boolean;
  readonly unclear: boolean;
}

/** What shells expand. */
const pattern = /[*?[\]{}$`]/;
const bytesOf = (text: string): string => Buffer.from(text).toString('latin1');

export class Places {
  readonly #invocation: ScpInvocation;
  readonly #asked: readonly Asked[];
  /** Of each directory that was entered, where it may be. */
  readonly #entered: Place[] = [];

  /** @throws ScpError `scp-unsafe-name` for a path that no file can have */
  constructor(invocation: ScpInvocation, home: string | null) {
    this.#invocation = invocation;
    const from = home === null ? null : bytesOf(home);
    this.#asked = invocation.paths.map((path) => ask(bytesOf(path), from));
  }

  get depth(): number {
    return this.#entered.length;
  }

  /** @throws ScpError `scp-unsafe-name`: the target sends what was not asked for, or nested too deep */
  of(name: string): Place {
    const inside = this.#entered.at(-1);
    const place =
      inside !== undefined
        ? { ...inside, paths: inside.paths.map((directory) => joined(directory, name)) }
        : this.#invocation.direction === 'from'
          ? this.#sent(name)
          : this.#received(name);
    if (place.paths.some(({ length }) => length > longestPathBytes)) throw tooLong();
    return place;
  }

  #received(name: string): Place {
    const [{ path, directory, unclear }] = this.#asked as [Asked];
    const into = joined(path, name);
    const paths = this.#invocation.intoDirectory || directory ? [into] : [path, into];
    return { paths, unclear: unclear || pattern.test(path) };
  }

  /** Of the paths that were asked for, those that have this name; a pattern stands for names of its directory. */
  #sent(name: string): Place {
    const found = new Set<string>();
    let unclear = false;
    for (const asked of this.#asked) {
      const last = baseName(asked.path);
      if (last !== name && !pattern.test(last)) continue;
      const directory = directoryOf(asked.path);
      found.add(joined(directory, name));
      // Patterns may stand for slashes only in front of the last one; `{a/b,c}` and `$x` for anything.
      unclear ||= asked.unclear || pattern.test(directory) || /[{$`]/.test(last);
    }
    if (found.size === 0)
      throw new ScpError('scp-unsafe-name', 'the target sends a file that was not asked for');
    return { paths: [...found], unclear };
  }

  enter(place: Place): void {
    this.#entered.push(place);
  }

  leave(): void {
    this.#entered.pop();
  }
}

/** `~/a` is what `a` is; of other people's directories only the target knows. */
function ask(written: string, home: string | null): Asked {
  const path = normalize(written.replace(/^~(\/+|$)/, ''), home);
  if (path === null || path.length > longestPathBytes) throw tooLong();
  return {
    path,
    directory: /(^|\/)(~|\.{0,2})$/.test(written),
    unclear: written.startsWith('~') && !/^~(\/|$)/.test(written),
  };
}

const tooLong = (): ScpError => new ScpError('scp-unsafe-name', 'a path is longer than any file’s');
