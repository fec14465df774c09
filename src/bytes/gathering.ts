/**
 * Collects one message of known length from chunks of any size. Grows by doubling, so a peer that announces much and
 * sends little costs little, and one that sends byte by byte costs no object per byte. The caller checks the length
 * against its limit before it starts.
 */
const firstBytes = 4096;

export class Gathering {
  #bytes: Buffer;
  #length = 0;
  readonly #wanted: number;

  constructor(wantedBytes: number) {
    this.#wanted = wantedBytes;
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(wantedBytes, firstBytes));
  }

  get length(): number {
    return this.#length;
  }

  get missing(): number {
    return this.#wanted - this.#length;
  }

  /** Copies from `chunk` what is missing, at most; returns the position after it. */
  add(chunk: Buffer, start: number): number {
    const taken = Math.min(this.missing, chunk.length - start);
    const needed = this.#length + taken;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#wanted, Math.max(needed, 2 * this.#bytes.length)));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    chunk.copy(this.#bytes, this.#length, start, start + taken);
    this.#length = needed;
    return start + taken;
  }

  /** The bytes so far; the whole message once `missing` is 0. Owned by the caller when nothing is added afterwards. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}
