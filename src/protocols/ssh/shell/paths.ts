/**
 * Paths as a command names them, made plain by their letters alone: nothing is looked up, so a symbolic link may lead
 * elsewhere, and a relative path is relative to wherever the command runs.
 */

/** `//a/./b/../c/` → `/a/c/`. A `..` that goes above the start stays: `../x`. Empty stays empty. */
export function normalizePath(path: string): string {
  const isAbsolute = path.startsWith('/');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    const above = parts.at(-1);
    // What `~` stands for is not known, nor what is above it.
    const canGoUp = above !== undefined && above !== '..' && !above.startsWith('~');
    if (part !== '..' || (!canGoUp && !isAbsolute)) parts.push(part);
    else if (canGoUp) parts.pop();
  }
  const isDirectory = /(^|\/)\.{0,2}$/.test(path);
  const joined = `${isAbsolute ? '/' : ''}${parts.join('/')}`;
  if (joined === '') return path === '' ? '' : './';
  return isDirectory && !joined.endsWith('/') ? `${joined}/` : joined;
}

/**
 * The path and every directory above it, each with `/` at its end. A path that is written as a directory stands without
 * and with `/`; so does one that is meant with everything below it (`isTree`).
 */
export function namesOfPath(path: string, isTree: boolean): readonly string[] {
  const plain = normalizePath(path);
  if (plain === '') return [];
  const names: string[] = [];
  for (let at = plain.indexOf('/'); at >= 0; at = plain.indexOf('/', at + 1))
    names.push(plain.slice(0, at + 1));
  const bare = plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain;
  names.push(bare);
  if (isTree && !bare.endsWith('/')) names.push(`${bare}/`);
  return names;
}

/** The literal directory before a pattern: `/etc/sh*` → `/etc/`. */
export const directoryOf = (prefix: string): string => prefix.slice(0, prefix.lastIndexOf('/') + 1);

/** A device, and none of those that swallow or show what is written. */
export const isDevice = (path: string): boolean =>
  /^\/dev\/(?!(?:null|zero|stdout|stderr|stdin|tty)$|fd\/)/.test(normalizePath(path));
