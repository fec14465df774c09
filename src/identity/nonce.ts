/**
 * Nonces of RFC 9449 §8 without state: an HMAC over the time window. Every process that has the secret accepts the
 * nonces of every other. They bound how long ago a proof was made; that it is used once is the replay cache's work.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../system/clock.ts';

export class Nonces {
  readonly #secret: Uint8Array;
  readonly #clock: Clock;
  readonly #windowMs: number;

  /** @param secret at least 32 random bytes, shared by all processes of one relay; the caller must not change it. */
  constructor(secret: Uint8Array, clock: Clock, windowMs = 120_000) {
    if (secret.length < 32) throw new RangeError('nonce secret under 32 bytes');
    this.#secret = secret;
    this.#clock = clock;
    this.#windowMs = windowMs;
  }

  /** For the `DPoP-Nonce` header of every answer; good for one to two windows. */
  current(): string {
    return this.#of(this.#window());
  }

  /** True for the nonce of the present window, the one before, and the next (clocks of two processes differ a little). */
  accepts(nonce: string): boolean {
    const window = this.#window();
    let accepted = false;
    for (const candidate of [window - 1, window, window + 1])
      if (equal(nonce, this.#of(candidate))) accepted = true;
    return accepted;
  }

  #window(): number {
    return Math.floor(this.#clock.wallMs() / this.#windowMs);
  }

  #of(window: number): string {
    return createHmac('sha256', this.#secret).update(`dpop-nonce ${window}`).digest('base64url');
  }
}

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
