/**
 * A failure as a person reads it: what happened, why, and what to do; three lines, no stack. With `--json` the same
 * as `{"error": {code, message, hint}}`. `HOOP_DEBUG=1` adds the stack and the causes.
 */
import { inspect } from 'node:util';
import { HoopError } from '../errors.ts';
import { colourStderr as colour, visible } from './colour.ts';
import { exitCodeOf, exitCodes, oclifExit } from './exit-codes.ts';

export interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null };
}

/** The document that `--json` prints on stdout in place of the result. */
export function errorDocument(error: unknown): ErrorDocument {
  const { code, what, hint } = explain(error);
  return { error: { code, message: what, hint } };
}

/** Lines for stderr, with a trailing newline. */
export function errorText(error: unknown, environment: NodeJS.ProcessEnv = process.env): string {
  const { code, what, why, hint } = explain(error);
  const lines = [`${colour.red('hoop:')} ${colour.bold(visible(what))}`];
  lines.push(colour.dim(`  ${why === null ? '' : `${visible(why)} `}(${visible(code)})`));
  if (hint !== null) lines.push(`  ${visible(hint)}`);
  if ((environment.HOOP_DEBUG ?? '') !== '') lines.push(inspect(error));
  return `${lines.join('\n')}\n`;
}

interface Explanation {
  readonly code: string;
  readonly what: string;
  readonly why: string | null;
  readonly hint: string | null;
}

function explain(error: unknown): Explanation {
  if (error instanceof HoopError)
    return { code: error.code, what: error.message, why: whyOf(error.cause), hint: error.hint ?? null };
  const exit = oclifExit(error);
  if (error instanceof Error && exit !== null) {
    const usage = exitCodeOf(error) === exitCodes.usage;
    const [what = '', ...more] = error.message.split('\n').filter((line) => line.trim() !== '');
    const hint = more.map((line) => line.trim()).join('; ');
    return { code: usage ? 'usage' : `exit-${exit}`, what, why: null, hint: hint === '' ? null : hint };
  }
  return {
    code: 'unexpected',
    what: error instanceof Error ? error.message || error.name : String(error),
    why: 'this is not an answer hoop should give',
    hint: 'HOOP_DEBUG=1 shows where it happened',
  };
}

/** One level of cause, and only system errors and our own: other libraries' messages may quote what they were given. */
function whyOf(cause: unknown): string | null {
  if (cause instanceof HoopError) return cause.message;
  const isSystemCall = cause instanceof Error && 'syscall' in cause && 'code' in cause;
  return isSystemCall ? `${String(cause.syscall)}: ${String(cause.code)}` : null;
}
