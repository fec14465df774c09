/** This process's terminal while it stands for one at the target: raw, and put back whatever happens. */
import type { ExecRequest } from '../../wire/exec.ts';

const bounded = (value: number | undefined, other: number): number =>
  Math.min(Math.max(1, value || other), 10_000);

export const isInteractive = (): boolean => process.stdin.isTTY && process.stdout.isTTY;

/** As it is now; without one, the usual size. */
export function terminalNow(): NonNullable<ExecRequest['terminal']> {
  const term = process.env['TERM'] ?? '';
  const { columns, rows } = process.stdout.isTTY ? process.stdout : process.stderr;
  return {
    term: /^[\x21-\x7e]{1,64}$/.test(term) ? term : 'xterm',
    columns: bounded(columns, 80),
    rows: bounded(rows, 24),
  };
}

/**
 * Every key goes to the target, Ctrl-C too.
 * @param resized told of each new size
 * @returns puts it back
 */
export function takeTerminal(resized: (columns: number, rows: number) => void): () => void {
  const { stdin, stdout } = process;
  const tell = (): void => {
    const { columns, rows } = terminalNow();
    resized(columns, rows);
  };
  const restore = (): void => {
    process.off('exit', restore);
    stdout.off('resize', tell);
    if (stdin.isTTY) stdin.setRawMode(false);
  };
  // A crash ends in `exit` as well.
  process.on('exit', restore);
  stdout.on('resize', tell);
  if (stdin.isTTY) stdin.setRawMode(true);
  return restore;
}
