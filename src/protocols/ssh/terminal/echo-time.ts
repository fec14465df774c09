/** How long the echo of what was typed may take. */

/** After the last key; or twice what it has taken lately, where the target is far away. */
const usualMs = 30;
const longestMs = 500;
/** A program that is busy with the line before shows what was typed ahead when it is done. */
const aheadMs = 1000;

export class EchoTime {
  readonly #now: () => number;
  #typedAt = 0;
  #firstTypedAt = 0;
  #responded = true;
  #tookMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The target has sent something since the last key. */
  get responded(): boolean {
    return this.#responded;
  }

  /** How much longer to wait. `ahead`: typed before the target had answered to the line before. */
  leftMs(ahead: boolean): number {
    const wait = ahead ? aheadMs : Math.min(Math.max(usualMs, 2 * this.#tookMs), longestMs);
    return Math.max(0, this.#typedAt + wait - this.#now());
  }

  typed(): void {
    // Of keys in quick succession the first one's answer says how far the target is.
    if (this.#responded) this.#firstTypedAt = this.#now();
    this.#typedAt = this.#now();
    this.#responded = false;
  }

  output(): void {
    if (this.#responded) return;
    this.#responded = true;
    this.#tookMs = Math.max(Math.min(this.#now() - this.#firstTypedAt, longestMs), this.#tookMs * 0.8);
  }
}
