/**
 * Signals to this process while something runs elsewhere: the first Ctrl-C goes there, the second ends us. Whoever asks us
 * to end (`kill`, a terminal that closes) or leaves our output unread is not made to wait.
 */
import { outputUnread } from '../signals.ts';

/** Exit codes of shells for those signals. */
const exits = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGQUIT: 131 } as const;
const unreadExit = 141;
/** After a signal was passed on, and it does not end. */
const graceMs = 1000;

export class Interrupts {
  /** Settles with the exit code when we have to end. */
  readonly stopped: Promise<number>;
  /** Aborts at that moment. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #stop: (code: number) => void;
  readonly #listeners: (readonly [NodeJS.Signals, () => void])[] = [];
  #passOn: ((signal: 'INT' | 'TERM' | 'HUP' | 'QUIT') => void) | null = null;
  #interrupted = false;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.stopped = promise;
    this.signal = this.#controller.signal;
    this.#stop = (code) => {
      resolve(code);
      this.#controller.abort();
    };
    this.#listen('SIGINT', () => {
      if (this.#passOn === null || this.#interrupted) return this.#stop(exits.SIGINT);
      this.#interrupted = true;
      this.#passOn('INT');
    });
    for (const name of ['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)
      this.#listen(name, () => {
        this.#passOn?.(name.slice(3) as 'TERM');
        setTimeout(() => this.#stop(exits[name]), this.#passOn === null ? 0 : graceMs);
      });
    outputUnread().addEventListener('abort', () => this.#stop(unreadExit), { once: true });
  }

  /** True after the first Ctrl-C. */
  get interrupted(): boolean {
    return this.#interrupted;
  }

  /** From now on they have somewhere to go. */
  to(passOn: (signal: 'INT' | 'TERM' | 'HUP' | 'QUIT') => void): void {
    this.#passOn = passOn;
  }

  close(): void {
    for (const [name, listener] of this.#listeners) process.off(name, listener);
  }

  #listen(name: NodeJS.Signals, listener: () => void): void {
    this.#listeners.push([name, listener]);
    process.on(name, listener);
  }
}
