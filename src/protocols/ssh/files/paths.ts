/**
 * Paths as policy reads them: normalized by their letters alone, with every directory above. What the target's symbolic
 * links, mounts or letter case make of a path only the target knows; a link that is made through hoop names its target in
 * its own facts.
 */

/** Linux's own bound (`PATH_MAX`); a longer path could not be opened there. */
export const longestPathBytes = 4096;
const deepest = 256;

/**
 * `path` without `.`, `..`, doubled and trailing slashes; one that is relative is taken from `home`, or stays relative where
 * that is not known: `.` alone, or with `..` in front where it leads out of the unknown directory. Null: nested too deep.
 */
export function normalize(path: string, home: string | null): string | null {
  const absolute = path.startsWith('/');
  const whole = absolute || home === null ? path : `${home}/${path}`;
  const rooted = absolute || whole.startsWith('/');
  const kept: string[] = [];
  for (const part of whole.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== '..') kept.pop();
    else if (!rooted) kept.push(part);
  }
  if (kept.length > deepest) return null;
  if (rooted) return `/${kept.join('/')}`;
  return kept.length === 0 ? '.' : kept.join('/');
}

/** Where a relative path leads out of a directory that is not known. */
export const climbs = (normalized: string): boolean => normalized === '..' || normalized.startsWith('../');

/** Every directory above a normalized path, each with `/` at its end. */
export function directoriesAbove(normalized: string): string[] {
  const above: string[] = [];
  for (let at = normalized.indexOf('/'); at !== -1; at = normalized.indexOf('/', at + 1))
    if (at + 1 < normalized.length || at === 0) above.push(normalized.slice(0, at + 1));
  return above;
}

/** The directory that a normalized path stands in. */
export function directoryOf(normalized: string): string {
  const at = normalized.lastIndexOf('/');
  if (at === -1) return '.';
  return at === 0 ? '/' : normalized.slice(0, at);
}

export const baseName = (normalized: string): string => normalized.slice(normalized.lastIndexOf('/') + 1);

export const joined = (directory: string, name: string): string =>
  directory === '/' ? `/${name}` : directory === '.' ? name : `${directory}/${name}`;
