/** Passwords on their way in: from a pipe, or from a terminal without echo. Never from an argument or the environment. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { OperatorError } from './operator-error.ts';

const limitBytes = 4096;
/** Without letters and digits that look alike. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789';

/** How a new password is had. */
export interface NewPassword {
  readonly password: string;
  /** True when it was made here: the operator must be shown it, once. */
  readonly generated: boolean;
}

/**
 * From standard input (`stdin`), else typed twice on a terminal (an empty line asks for a generated one), else generated.
 * @throws OperatorError `password-unreadable`
 */
export async function newPassword(stdin: boolean): Promise<NewPassword> {
  if (stdin) return { password: await readLine(), generated: false };
  if (process.stdin.isTTY && process.stderr.isTTY) {
    const password = await withoutEcho(async () => {
      const first = await typed('Password (empty: one is made): ');
      if (first !== '' && (await typed('Again: ')) !== first)
        throw new OperatorError('password-unreadable', 'the two passwords differ');
      return first;
    });
    if (password !== '') return { password, generated: false };
  }
  return { password: generatePassword(), generated: true };
}

const character = (): string => alphabet[randomInt(alphabet.length)]!;

/** 25 characters in fives, 123 bits: safe to keep, and to read over a telephone. */
export function generatePassword(): string {
  return Array.from({ length: 5 }, () => Array.from({ length: 5 }, character).join('')).join('-');
}

/** The first line of standard input, which ends there or with the input. */
async function readLine(): Promise<string> {
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.includes('\n') || text.length > limitBytes) break;
  }
  const line = text.split('\n')[0]!.replace(/\r$/, '');
  if (line === '' || line.length > limitBytes)
    throw new OperatorError('password-unreadable', 'standard input has no password in its first line', {
      hint: 'for example: printf \'%s\\n\' "$PASSWORD" | hoop admin users passwd EMAIL --password-stdin',
    });
  return line;
}

/** Silences the terminal before anything is asked, and puts it back whatever happens. */
async function withoutEcho<T>(ask: () => Promise<T>): Promise<T> {
  const { stdin } = process;
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  try {
    return await ask();
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
  }
}

/** One line from a silenced terminal. */
async function typed(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  process.stdin.resume();
  let line = '';
  try {
    for (;;) {
      const [chunk] = await once(process.stdin, 'data');
      for (const character of String(chunk)) {
        if (character === '\r' || character === '\n') return line;
        if (character === '\u0003' || character === '\u0004')
          throw new OperatorError('password-unreadable', 'no password was given');
        if (character === '\u007f' || character === '\b') line = Array.from(line).slice(0, -1).join('');
        else if (character >= ' ' && line.length < limitBytes) line += character;
      }
    }
  } finally {
    process.stderr.write('\n');
  }
}
