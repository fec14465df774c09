/**
 * Words as one command line of a POSIX shell, which splits it into exactly these words again: no expansion, no pattern, no
 * second meaning. SSH knows command lines only; the login shell of the server reads them.
 */
import { AgentError } from '../../agent/error.ts';
import { isExactText } from '../../wire/exec.ts';

/** Means itself in every shell, anywhere but as a name of the shell's own. */
const plain = /^[A-Za-z0-9_@+:,./-]+(?:=[A-Za-z0-9_@+:,./=-]*)?$/;
const reserved = new Set(
  'if then else elif fi do done case esac while until for in function select time coproc'.split(' '),
);

/** @throws AgentError `command-unquotable` */
export function commandLine(words: readonly string[]): string {
  return words.map((word, at) => quoted(exactly(word), at === 0)).join(' ');
}

/** The word itself. @throws AgentError `command-unquotable`: bytes that are no UTF-8 arrive here as replacements */
export function exactly(word: string): string {
  if (isExactText(word)) return word;
  throw new AgentError(
    'command-unquotable',
    'a command has to be UTF-8 without NUL to be passed on exactly',
    {
      hint: 'put it into a file at the target, or send it by stdin',
    },
  );
}

function quoted(word: string, first: boolean): string {
  // `NAME=value` in front would set a variable, and a keyword would be one.
  const means = plain.test(word) && !(first && (word.includes('=') || reserved.has(word)));
  return means ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
