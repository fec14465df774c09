/**
 * A bounded table from bytes to values: four places for each hash, the oldest of them gives way. A look-up allocates
 * nothing. Keys are chosen by clients: the hash is seeded, and however they collide no look-up compares more than four.
 */
import { randomInt } from 'node:crypto';

const sets = 1024;
const ways = 4;
/** Longer keys are not kept; so no client fills more than `sets * ways` times this. */
const longestKey = 4096;

export class BytesCache<Value> {
  readonly #seed = randomInt(2 ** 31);
  readonly #hashes = new Int32Array(sets * ways);
  readonly #keys: (Uint8Array | undefined)[] = Array.from({ length: sets * ways });
  readonly #values: (Value | undefined)[] = Array.from({ length: sets * ways });
  readonly #oldest = new Uint8Array(sets);

  /** The value of the first `length` bytes of `bytes`. */
  get(bytes: Uint8Array, length: number): Value | undefined {
    if (length > longestKey) return undefined;
    const hash = this.#hash(bytes, length);
    const first = (hash & (sets - 1)) * ways;
    for (let place = first; place < first + ways; place += 1)
      if (this.#hashes[place] === hash && isEqual(this.#keys[place], bytes, length))
        return this.#values[place];
    return undefined;
  }

  /** Copies the key. It must not be there yet. */
  set(bytes: Uint8Array, length: number, value: Value): void {
    if (length > longestKey) return;
    const hash = this.#hash(bytes, length);
    const set = hash & (sets - 1);
    const way = this.#oldest[set]!;
    this.#oldest[set] = (way + 1) % ways;
    const place = set * ways + way;
    this.#hashes[place] = hash;
    this.#keys[place] = bytes.slice(0, length);
    this.#values[place] = value;
  }

  /** FNV-1a, mixed at the end because its low bits choose the place. */
  #hash(bytes: Uint8Array, length: number): number {
    let hash = this.#seed;
    for (let at = 0; at < length; at += 1) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    return hash ^ (hash >>> 13);
  }
}

function isEqual(key: Uint8Array | undefined, bytes: Uint8Array, length: number): boolean {
  if (key === undefined || key.length !== length) return false;
  for (let at = 0; at < length; at += 1) if (key[at] !== bytes[at]) return false;
  return true;
}
