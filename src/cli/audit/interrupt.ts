/** A command that runs until somebody stops it. */

/** Aborts at the first Ctrl-C or request to end; a second one ends the program at once. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => controller.abort());
  return controller.signal;
}
