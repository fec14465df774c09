/**
 * Passwords with scrypt (RFC 7914), written as `$scrypt$ln=15,r=8,p=1$salt$hash` (PHC string format, base64 without
 * padding). One hash is 32 MiB and some 80 ms of a thread of the pool, so they are made one after another, and a crowd is
 * turned away instead of starving the disk work that shares the pool.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

interface Cost {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

const cost: Cost = { ln: 15, r: 8, p: 1 };
const hashBytes = 32;

/** Longer passwords are refused, not cut. */
export const maxPasswordLength = 256;

export class Passwords {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  readonly #maxWaiting: number;
  #decoy: Promise<string> | null = null;

  constructor(maxWaiting = 32) {
    this.#maxWaiting = maxWaiting;
  }

  async hash(password: string): Promise<string> {
    const salt = randomBytes(16);
    const key = await this.#derive(password, salt, cost);
    if (key === null) throw new Error('too many passwords are being hashed');
    return `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${base64(salt)}$${base64(key)}`;
  }

  /**
   * Costs the same whether there is such a user or not.
   * @param stored null when there is no such user
   * @returns null when too many are waiting: nothing was decided
   */
  async verify(password: string, stored: string | null): Promise<boolean | null> {
    this.#decoy ??= this.hash(randomBytes(32).toString('base64url'));
    const parsed = parse(stored ?? (await this.#decoy));
    const key = await this.#derive(password, parsed.salt, parsed.cost);
    if (key === null) return null;
    const same = key.length === parsed.hash.length && timingSafeEqual(key, parsed.hash);
    return same && stored !== null;
  }

  #derive(password: string, salt: Buffer, { ln, r, p }: Cost): Promise<Buffer | null> {
    if (this.#waiting >= this.#maxWaiting) return Promise.resolve(null);
    this.#waiting += 1;
    const options = { N: 2 ** ln, r, p, maxmem: 2 ** ln * r * 256 };
    const text = password.normalize('NFKC');
    const next = this.#last.then(
      () =>
        new Promise<Buffer>((resolve, reject) => {
          scrypt(text, salt, hashBytes, options, (error, key) =>
            error === null ? resolve(key) : reject(error),
          );
        }),
    );
    this.#last = next.then(
      () => (this.#waiting -= 1),
      () => (this.#waiting -= 1),
    );
    return next;
  }
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');

function parse(stored: string): { cost: Cost; salt: Buffer; hash: Buffer } {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(
    stored,
  );
  if (match === null) throw new Error('a stored password hash is malformed');
  const [ln, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (ln > 20) throw new Error('a stored password hash costs too much');
  return {
    cost: { ln, r, p },
    salt: Buffer.from(match[4]!, 'base64'),
    hash: Buffer.from(match[5]!, 'base64'),
  };
}
