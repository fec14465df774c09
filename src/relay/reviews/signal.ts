/** Wakes whoever waits for a change, all at once. */
export class Signal {
  readonly #waiting = new Set<() => void>();
  #closed = false;

  fire(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Resolves at the next `fire`, after `ms`, when `abort` is, or at once after `close`. */
  next(ms: number, abort?: AbortSignal): Promise<void> {
    if (this.#closed || abort?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        abort?.removeEventListener('abort', wake);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      abort?.addEventListener('abort', wake, { once: true });
      this.#waiting.add(wake);
    });
  }

  close(): void {
    this.#closed = true;
    this.fire();
  }

  get closed(): boolean {
    return this.#closed;
  }
}
