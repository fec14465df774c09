/** How long the echo of what was typed may take. */

/**
 * After the last key; or twice what it has taken lately, where the target is far away. Only input that is not echoed waits so
 * long, passwords above all; a busy machine takes more than a few milliseconds to echo.
 */
const usualMs = 150;
const longestMs = 500;
/** A program that is busy with the line before shows what was typed ahead when it is done. */
const aheadMs = 1000;
/** Where keys do not say what the line is, the answer to the last one is in when it can be, and nothing more comes. */
const answerMs = 30;
const pauseMs = 10;

export class EchoTime {
  readonly #now: () => number;
  #typedAt = 0;
  #firstTypedAt = 0;
  #outputAt = 0;
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

  /** How long until an answer to the last key can be taken for whole. */
  get unquietMs(): number {
    const answer = this.#typedAt + Math.min(Math.max(answerMs, 1.25 * this.#tookMs), longestMs);
    return Math.max(0, answer - this.#now(), this.#outputAt + pauseMs - this.#now());
  }

  typed(): void {
    // Of keys in quick succession the first one's answer says how far the target is.
    if (this.#responded) this.#firstTypedAt = this.#now();
    this.#typedAt = this.#now();
    this.#responded = false;
  }

  output(): void {
    this.#outputAt = this.#now();
    if (this.#responded) return;
    this.#responded = true;
    this.#tookMs = Math.max(Math.min(this.#now() - this.#firstTypedAt, longestMs), this.#tookMs * 0.8);
  }
}
