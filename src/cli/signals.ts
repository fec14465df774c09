/** Being asked to stop: Ctrl-C, `kill`, a terminal that closes. */
import { HoopError } from '../errors.ts';

export class InterruptedError extends HoopError<'interrupted-by-signal'> {}

/** What ends a command; SIGHUP comes when its terminal closes. */
export const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Aborts on the first ending signal, with an InterruptedError; a second one kills as usual. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of endingSignals)
    process.once(name, () => {
      controller.abort(new InterruptedError('interrupted-by-signal', `stopped by ${name}`));
    });
  return controller.signal;
}

let readerLeft: AbortController | null = null;

/**
 * Aborts when whoever read stdout or stderr has left (`| head`). A command that asks for this ends in order by itself;
 * the others are ended at the spot, as SIGPIPE would.
 */
export function outputUnread(): AbortSignal {
  readerLeft ??= new AbortController();
  return readerLeft.signal;
}

/** Stdout or stderr has nobody to read it. @returns false when no command waits for that */
export function tellOutputUnread(): boolean {
  readerLeft?.abort(new InterruptedError('interrupted-by-signal', 'nobody reads the output'));
  return readerLeft !== null;
}

export const isOutputUnread = (): boolean => readerLeft?.signal.aborted ?? false;
