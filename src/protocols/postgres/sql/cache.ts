/**
 * A bounded table from bytes to values: four places for each hash, the oldest of them gives way. A look-up allocates
 * nothing. Keys are chosen by clients: the hash is seeded, and however they collide no look-up compares more than four.
 *
 * Keys are looked up four bytes at a time, so that they stand in a `KeyBuffer`.
 */
import { randomInt } from 'node:crypto';

const sets = 1024;
const ways = 4;
/** Longer keys are not kept; so no client fills more than `sets * ways` times this. */
const longestKeyBytes = 4096;

/** Room for the key that is looked up. `bytes` and `words` are the same memory; replaced when it has to grow. */
export interface KeyBuffer {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

export function keyBuffer(lengthBytes: number): KeyBuffer {
  const memory = new ArrayBuffer((lengthBytes + 3) & ~3);
  return { bytes: new Uint8Array(memory), words: new Int32Array(memory) };
}

export class BytesCache<Value> {
  readonly #seed = randomInt(2 ** 31);
  readonly #hashes = new Int32Array(sets * ways);
  readonly #lengths = new Int32Array(sets * ways);
  readonly #keys: (Int32Array | undefined)[] = Array.from({ length: sets * ways });
  readonly #values: (Value | undefined)[] = Array.from({ length: sets * ways });
  readonly #oldest = new Uint8Array(sets);

  /** The value of the first `length` bytes of `key`; the bytes after them, up to a multiple of four, become 0. */
  get(key: KeyBuffer, length: number): Value | undefined {
    if (length > longestKeyBytes) return undefined;
    for (let at = length; (at & 3) !== 0; at += 1) key.bytes[at] = 0;
    const hash = this.#hash(key.words, length);
    const first = (hash & (sets - 1)) * ways;
    for (let place = first; place < first + ways; place += 1) {
      if (this.#hashes[place] !== hash || this.#lengths[place] !== length) continue;
      if (isEqual(this.#keys[place], key.words)) return this.#values[place];
    }
    return undefined;
  }

  /** Copies the key, which `get` has just not found. */
  set(key: KeyBuffer, length: number, value: Value): void {
    if (length > longestKeyBytes) return;
    const hash = this.#hash(key.words, length);
    const set = hash & (sets - 1);
    const way = this.#oldest[set]!;
    this.#oldest[set] = (way + 1) % ways;
    const place = set * ways + way;
    this.#hashes[place] = hash;
    this.#lengths[place] = length;
    this.#keys[place] = key.words.slice(0, (length + 3) >> 2);
    this.#values[place] = value;
  }

  /** FNV-1a over words, mixed after each, as only the low bits choose the place. */
  #hash(words: Int32Array, length: number): number {
    let hash = this.#seed ^ length;
    const count = (length + 3) >> 2;
    for (let at = 0; at < count; at += 1) {
      hash = Math.imul(hash ^ words[at]!, 0x01000193);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0x2c1b3c6d);
    return hash ^ (hash >>> 13);
  }
}

function isEqual(key: Int32Array | undefined, words: Int32Array): boolean {
  if (key === undefined) return false;
  for (let at = 0; at < key.length; at += 1) if (key[at] !== words[at]) return false;
  return true;
}
