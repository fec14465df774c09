/**
 * Cancellation keys of a session. Clients get keys of the relay's own; a request with one of them is turned into a
 * request with the target's key. Make one of these per session: then nobody can cancel another's commands, whatever
 * key is guessed.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import type { TargetKey } from './target-startup.ts';

/** A key as a client holds it. */
export interface ClientKey {
  readonly processId: number;
  readonly secret: Buffer;
}

/** Whom a cancel request is for. */
export interface Cancellable {
  readonly target: TargetKey;
  /** Ends a command that the relay itself holds; false: it holds none, so that the request is the target's. */
  readonly cancelHeld: () => boolean;
}

interface Issued extends Cancellable {
  readonly secret: Buffer;
}

/** Compared with when there is no such process, so that both cases take the same steps. */
const nobody: Issued = {
  secret: randomBytes(32),
  target: { processId: 0, secret: Buffer.alloc(4) },
  cancelHeld: () => false,
};

export class CancelKeys {
  readonly #issued = new Map<number, Issued>();

  /** A fresh random key that stands for `cancellable` until `revoke`. `secretBytes`: 4, or 32 from protocol 3.2 on. */
  issue(cancellable: Cancellable, secretBytes: 4 | 32): ClientKey {
    let processId = randomInt(1, 0x7fffffff);
    while (this.#issued.has(processId)) processId = randomInt(1, 0x7fffffff);
    const secret = randomBytes(secretBytes);
    this.#issued.set(processId, { ...cancellable, secret });
    return { processId, secret };
  }

  revoke(processId: number): void {
    this.#issued.delete(processId);
  }

  /** Whom it is for, or null for a key that was never issued; the secret is compared in constant time. */
  find(processId: number, secret: Buffer): Cancellable | null {
    const issued = this.#issued.get(processId) ?? nobody;
    const equal =
      timingSafeEqual(padded(secret), padded(issued.secret)) && secret.length === issued.secret.length;
    return equal && issued !== nobody ? issued : null;
  }
}

/** To one length: timingSafeEqual compares only equals in length. Longer input cannot match and is cut. */
function padded(secret: Buffer): Buffer {
  const bytes = Buffer.alloc(33);
  secret.copy(bytes, 0, 0, 33);
  return bytes;
}
