/**
 * What other shells read differently. The account's login shell runs the text, and which one it is, is not known here: a
 * text that another shell (dash, zsh, fish, csh) would take apart at other places than bash is `code`.
 *
 * Quotes: csh has no escapes inside `"…"`, fish has them inside `'…'`, dash has no `$'…'`. A text is scanned as each of them
 * would; a separator that is quoted for one and not for the other gives it away. The rest are signs that mean nothing to
 * bash and something elsewhere; those of single words are found by the reader.
 */
interface Dialect {
  readonly escapesInDouble: boolean;
  readonly escapesInSingle: boolean;
  readonly dollarSingle: boolean;
}

const bash: Dialect = { escapesInDouble: true, escapesInSingle: false, dollarSingle: true };
const others: readonly Dialect[] = [
  { ...bash, escapesInDouble: false, dollarSingle: false },
  { ...bash, escapesInSingle: true, dollarSingle: false },
  { ...bash, dollarSingle: false },
];

const separators = /[\s;&|<>()`$#{}*?[\]~=!]/;

/** Every unquoted separator with its place: `3;9|`. */
function separatorsOf(text: string, dialect: Dialect): string {
  const found: string[] = [];
  let quote = '';
  let escapes = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!;
    if (quote === '') {
      if (character === '\\') at += 1;
      else if (character === "'" || character === '"') {
        quote = character;
        const ansi = character === "'" && dialect.dollarSingle && text[at - 1] === '$';
        escapes = ansi || (character === '"' ? dialect.escapesInDouble : dialect.escapesInSingle);
      } else if (separators.test(character)) found.push(`${at}${character}`);
      continue;
    }
    if (character === '\\' && escapes) at += 1;
    else if (character === quote) quote = '';
  }
  return `${found.join(' ')} ${quote}`;
}

/** `!` starts a reference to an earlier command in csh and in interactive shells, quoted or not. */
const history = /(?<!\\)(?:\\\\)*(?<!\$)!(?![\s=(]|["'](?:[\s;&|)]|$)|$)/;
/** `^old^new` at the start of a line repeats the last command. */
const substitution = /^\s*\^/m;

/** True: another shell may run more of it than bash. */
export function readsOtherwise(text: string): boolean {
  if (history.test(text) || substitution.test(text)) return true;
  if (!text.includes('\\') && !text.includes("$'")) return false;
  const expected = separatorsOf(text, bash);
  return others.some((dialect) => separatorsOf(text, dialect) !== expected);
}

/** Letters that terminals obey, that cannot be seen, or that are spaces to some readers and not to the shell. */
const unseen = /(?![\t\n])[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
/** In another encoding of the account, what follows such a letter may be the second half of it. */
const swallowed = /\P{ASCII}[\\`|]/u;

/** The text, or null when people, terminals and shells would not agree on what its letters are. */
export function readableText(bytes: Uint8Array): string | null {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return null;
  }
  return unseen.test(text) || swallowed.test(text) ? null : text;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
