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
