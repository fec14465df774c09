/**
 * Failures, at the bottom of every layer.
 *
 * One subclass per module, each with a literal union of codes, so that a `switch` over `error.code` is checked
 * by the compiler. Expected outcomes (a denial, a wrong password) are values, not exceptions.
 *
 * A code and a hint may reach a log, a terminal and the other end of a protocol: neither ever holds user data,
 * a token, a key or a credential. `docs/errors.md` lists every code; a test compares both ways.
 */
export abstract class HoopError<Code extends string = string> extends Error {
  /** Stable, machine-readable; unique over the whole program. */
  readonly code: Code;
  /** What the person can do next, one sentence; absent when there is nothing to add. */
  readonly hint: string | undefined;

  constructor(code: Code, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint;
  }
}

/** True when a system call failed with this errno name (`ENOENT`, `ENOSPC`, …). */
export function hasErrno(error: unknown, ...names: string[]): boolean {
  return error instanceof Error && 'code' in error && names.includes(String(error.code));
}
