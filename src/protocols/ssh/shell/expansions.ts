/**
 * What stands behind a `$`: how far it reaches, and whether it can run something. Only forms that are known to be
 * harmless are read; whoever asks gives up on all others.
 */
export interface Expansion {
  /** Length after the `$`. */
  readonly length: number;
  /** Evaluating it may run a command that stands in a variable. */
  readonly isCode: boolean;
  /** As many words as there are values, even in quotes. */
  readonly isMany: boolean;
}

const name = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])/;
/** `${name}`, `${#name}`. */
const braced = /^\{#?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*?$#-])\}/;
/** `${name:-word}` and the like, with nothing in the word that expands. One with `=` would assign. */
const operated =
  /^\{(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*])(?::?[-+?]|##?|%%?|\/\/?|\^\^?|,,?)[\w./:,@%+ *?-]*\}/;
/** `$((1 + 2))`. */
const sum = /^\(\([0-9\s+*/%-]*\)\)/;
/** A variable in an arithmetic expression is evaluated as one: `a[$(command)]` in it runs. */
const arithmetic = /^\(\([\w\s+\-*/%<>=!&|^~?:,$]*\)\)/;

const known = (found: RegExpExecArray | null, isCode = false): Expansion | null =>
  found === null ? null : { length: found[0].length, isCode, isMany: /^\{?[@*]/.test(found[0]) };

/** Of the text after a `$` that is not `$(`, a quote or a sign of its own; null: cannot be told. */
export function expansionOf(text: string, at: number): Expansion | null {
  const rest = text.slice(at, at + 512);
  if (rest.startsWith('{')) return known(braced.exec(rest)) ?? known(operated.exec(rest));
  if (rest.startsWith('((')) return known(sum.exec(rest)) ?? known(arithmetic.exec(rest), true);
  const simple = name.exec(rest);
  // `$x[…]` is an element to zsh, fish and csh, and its index is evaluated.
  return known(simple, simple !== null && rest[simple[0].length] === '[');
}

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  e: '\x1b',
  E: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  '?': '?',
};

/** What is inside `$'…'`, decoded; null when it holds what shells do not agree on. */
export function ansiText(source: string): string | null {
  let isClear = true;
  const text = source.replaceAll(
    /\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|.|$)/gs,
    (_, escape: string) => {
      if (/^[xuU]./.test(escape)) return codePoint(Number.parseInt(escape.slice(1), 16));
      if (/^[0-7]/.test(escape)) return codePoint(Number.parseInt(escape, 8));
      const letter = escapes[escape];
      if (letter === undefined) isClear = false;
      return letter ?? '';
    },
  );
  return isClear && !text.includes('\0') ? text : null;
}

const codePoint = (code: number): string => (code > 0 && code < 0x80 ? String.fromCharCode(code) : '\0');
