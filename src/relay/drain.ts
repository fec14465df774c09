/**
 * An orderly end: no new sessions, live ones until a bound, then everything sealed. The order is here; what the steps do
 * is the relay's.
 */
import { isatty } from 'node:tty';
import type { RelayLogger } from './logging.ts';

/** What a relay does to stop. Steps run one after another, each whatever became of the one before. */
export interface DrainSteps {
  /** From now on no session is opened; `/readyz` says so. Live ones go on. */
  refuseNew(): void;
  /** Resolves when no session is live. */
  whenIdle(): Promise<void>;
  /** Ends what is live (`relay-stopped`); resolves when each is recorded to its end. */
  endSessions(): Promise<void>;
  /** Seals recordings, publishes the last checkpoint, closes log, state and sockets. */
  close(): Promise<void>;
}

/** How the waiting ended. */
export type Drained = 'idle' | 'bound' | 'hurried';

/**
 * Runs the steps.
 * @param boundMs how long live sessions may go on
 * @param hurry ends the waiting at once
 * @throws AggregateError of the steps that failed, after all have run
 */
export async function drain(steps: DrainSteps, boundMs: number, hurry: AbortSignal): Promise<Drained> {
  const failures: unknown[] = [];
  const attempt = async (step: () => void | Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  };
  await attempt(() => steps.refuseNew());
  const drained = await waitFor(steps, boundMs, hurry);
  await attempt(() => steps.endSessions());
  await attempt(() => steps.close());
  if (failures.length > 0) throw new AggregateError(failures, 'the relay did not stop cleanly');
  return drained;
}

async function waitFor(steps: DrainSteps, boundMs: number, hurry: AbortSignal): Promise<Drained> {
  const over = Promise.withResolvers<Drained>();
  const timer = setTimeout(() => over.resolve('bound'), boundMs);
  const hurried = (): void => over.resolve('hurried');
  hurry.addEventListener('abort', hurried);
  if (hurry.aborted) hurried();
  try {
    const idle = steps.whenIdle().then(
      (): Drained => 'idle',
      (): Drained => 'bound',
    );
    return await Promise.race([idle, over.promise]);
  } finally {
    clearTimeout(timer);
    hurry.removeEventListener('abort', hurried);
  }
}

/** Signals that stop a relay; a service manager sends SIGTERM, a terminal SIGINT. */
const stoppingSignals = ['SIGTERM', 'SIGINT'] as const;

/**
 * Waits for a signal to stop, then runs `stop`; a second signal aborts the `hurry` that it was given. Until then SIGHUP runs
 * `reload`. Resolves when `stop` has, or when the relay stopped by itself (`ended`).
 */
export async function runUntilStopped(options: {
  readonly stop: (hurry: AbortSignal) => Promise<void>;
  /** Resolves or rejects when the relay ended without being told to. */
  readonly ended: Promise<void>;
  readonly log: RelayLogger;
  /** On SIGHUP; it tells by itself whether it worked. */
  readonly reload: () => Promise<unknown>;
  /** True when it was started from a terminal that has closed: SIGHUP then means the end, as for any program there. */
  readonly terminalGone?: () => boolean;
  /** `process`, unless a test says otherwise. */
  readonly signals?: NodeJS.EventEmitter;
}): Promise<void> {
  const { stop, reload, ended, log, signals = process } = options;
  const terminalGone = options.terminalGone ?? watchTerminal();
  const hurry = new AbortController();
  const stopped = Promise.withResolvers<void>();
  let stopping = false;
  const handle = (signal: string): void => {
    log.info(stopping ? 'stopping at once' : 'stopping', { signal });
    if (stopping) return hurry.abort();
    stopping = true;
    stop(hurry.signal).then(stopped.resolve, stopped.reject);
  };
  const hangup = (signal: string): void => {
    if (terminalGone()) handle(signal);
    else if (!stopping) reload().catch(() => undefined);
  };
  for (const signal of stoppingSignals) signals.on(signal, handle);
  signals.on('SIGHUP', hangup);
  try {
    await Promise.race([stopped.promise, ended.then(() => (stopping ? stopped.promise : undefined))]);
  } finally {
    for (const signal of stoppingSignals) signals.off(signal, handle);
    signals.off('SIGHUP', hangup);
    log.flush();
  }
}

/** A terminal that hung up is none any more. */
function watchTerminal(): () => boolean {
  const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor));
  return () => terminals.some((descriptor) => !isatty(descriptor));
}

/**
 * From now on an error that nobody caught ends the process at once: what it left half done is unknown, and the next start
 * recovers from the record. It is told by name, code and place; the runtime would print its text, which may hold user data.
 */
export function crashSafely(log: RelayLogger): void {
  process.on('uncaughtException', (error) => {
    log.error('crashed', {}, error);
    log.flush();
    process.exit(1);
  });
}
