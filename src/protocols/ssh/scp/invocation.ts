/** `scp -t` and `scp -f`, which the old scp and rcp run at the other end. */

export interface ScpInvocation {
  /** `to`: the target receives (`-t`). `from`: it sends (`-f`). */
  readonly direction: 'to' | 'from';
  /** `-r`: directories may come. */
  readonly recursive: boolean;
  /** `-d`: the path must be a directory, so that files are put into it. */
  readonly intoDirectory: boolean;
  /** As written; one where the target receives. */
  readonly paths: readonly string[];
}

/** Of the words of a command; null: it is not one of these. `paths` are as the shell would hand them on. */
export function parseScp(words: readonly string[]): ScpInvocation | null {
  const [program, ...rest] = words;
  if (program === undefined || !/(^|\/)scp$/.test(program)) return null;
  let letters = '';
  let at = 0;
  for (; at < rest.length && /^-[a-z]+$/i.test(rest[at]!); at++) letters += rest[at]!.slice(1);
  if (rest[at] === '--') at++;
  const paths = rest.slice(at);
  // What takes a value, or is not known, makes it another command than it looks.
  if (/[^tfrdpvq]/.test(letters) || letters.includes('t') === letters.includes('f')) return null;
  if (paths.length === 0 || (letters.includes('t') && paths.length > 1)) return null;
  return {
    direction: letters.includes('t') ? 'to' : 'from',
    recursive: letters.includes('r'),
    intoDirectory: letters.includes('d'),
    paths,
  };
}
