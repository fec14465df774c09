/**
 * Appends CBOR (RFC 8949, canonical: definite lengths, shortest heads) to one growing buffer: no object per record, no
 * intermediate bytes. Used on the hot path; reading is `decode.ts`.
 */

const smallestBytes = 4096;
const smallBytes = 48;
const maxUint32 = 0xffff_ffff;

/** A text encoded once, head included; for words that stand in every record. */
export function encodedText(text: string): Buffer {
  const batch = new Batch();
  batch.text(text);
  return Buffer.from(batch.bytes());
}

export class Batch {
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was appended; a view, valid until the next append or `clear`. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** The memory that `bytes` is a view of, from its beginning; for who needs no view. */
  get memory(): Buffer {
    return this.#buffer;
  }

  /** Starts again; the memory is kept. */
  clear(): void {
    this.#length = 0;
  }

  /** Starts again and gives the memory back; for a session that rests. */
  release(): void {
    this.#length = 0;
    this.#buffer = Buffer.alloc(0);
  }

  array(items: number): void {
    this.#head(0x80, items);
  }

  map(pairs: number): void {
    this.#head(0xa0, pairs);
  }

  /** @param value a safe integer, not negative */
  uint(value: number): void {
    this.#head(0x00, value);
  }

  null(): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = 0xf6;
  }

  true(): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = 0xf5;
  }

  byteString(bytes: Uint8Array): void {
    this.#reserve(9 + bytes.length);
    this.#head(0x40, bytes.length);
    this.#append(bytes);
  }

  text(text: string): void {
    this.#reserve(9 + 3 * text.length);
    const start = this.#length;
    // Short ASCII, which nearly every tag and code is, needs no measuring.
    if (text.length < 24 && this.#shortAscii(text)) return;
    this.#length = start;
    this.#head(0x60, Buffer.byteLength(text));
    this.#length += this.#buffer.write(text, this.#length, 'utf8');
  }

  textOrNull(text: string | null): void {
    if (text === null) this.null();
    else this.text(text);
  }

  /** Bytes that are CBOR already. */
  encoded(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#append(bytes);
  }

  /** Room is reserved. A few bytes go one by one: that costs less than the call. */
  #append(bytes: Uint8Array): void {
    const size = bytes.length;
    const at = this.#length;
    if (size <= smallBytes) {
      const buffer = this.#buffer;
      for (let i = 0; i < size; i++) buffer[at + i] = bytes[i]!;
    } else {
      this.#buffer.set(bytes, at);
    }
    this.#length = at + size;
  }

  #shortAscii(text: string): boolean {
    const buffer = this.#buffer;
    let at = this.#length;
    buffer[at++] = 0x60 | text.length;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return false;
      buffer[at++] = unit;
    }
    this.#length = at;
    return true;
  }

  #head(major: number, value: number): void {
    this.#reserve(9);
    const buffer = this.#buffer;
    const at = this.#length;
    if (value < 24) {
      buffer[at] = major | value;
      this.#length = at + 1;
    } else if (value < 0x100) {
      buffer[at] = major | 24;
      buffer[at + 1] = value;
      this.#length = at + 2;
    } else if (value < 0x1_0000) {
      buffer[at] = major | 25;
      buffer[at + 1] = value >>> 8;
      buffer[at + 2] = value;
      this.#length = at + 3;
    } else if (value <= maxUint32) {
      buffer[at] = major | 26;
      buffer[at + 1] = value >>> 24;
      buffer[at + 2] = value >>> 16;
      buffer[at + 3] = value >>> 8;
      buffer[at + 4] = value;
      this.#length = at + 5;
    } else {
      buffer[at] = major | 27;
      buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at + 1);
      buffer.writeUInt32BE(value % 0x1_0000_0000, at + 5);
      this.#length = at + 9;
    }
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(smallestBytes, 2 * this.#buffer.length, needed));
    larger.set(this.bytes());
    this.#buffer = larger;
  }
}
