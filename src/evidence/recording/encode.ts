/**
 * Appends CBOR (RFC 8949, canonical: definite lengths, shortest heads) to one growing buffer: no object per record, no
 * intermediate bytes. Used on the hot path; reading is `decode.ts`.
 */

const smallestBytes = 4096;
const smallBytes = 48;
const maxUint32 = 0xffff_ffff;
const longestHead = 9;

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
    this.#reserve(longestHead + bytes.length);
    this.#head(0x40, bytes.length);
    this.#append(bytes);
  }

  /** One byte string of all the pieces. */
  byteStringOf(pieces: readonly Uint8Array[]): void {
    let size = 0;
    for (const piece of pieces) size += piece.length;
    this.#reserve(longestHead + size);
    this.#head(0x40, size);
    for (const piece of pieces) this.#append(piece);
  }

  text(text: string): void {
    this.#reserve(longestHead + 3 * text.length);
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

  /** `[index, bytes]`. */
  numbered(index: number, bytes: Uint8Array): void {
    this.#length = putNumberedHead(this.room(numberedRoom + bytes.length), this.#length, index, bytes.length);
    this.#append(bytes);
  }

  /**
   * Room for so many bytes more, for who writes them itself: they go into `memory`, from `length` on; then `wrote`.
   * @returns `memory`, which is another when it grew
   */
  room(bytes: number): Buffer {
    this.#reserve(bytes);
    return this.#buffer;
  }

  /** What was written into the room, up to this offset, is appended. */
  wrote(end: number): void {
    this.#length = end;
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
    this.#reserve(longestHead);
    this.#length = put(this.#buffer, this.#length, major, value);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(smallestBytes, 2 * this.#buffer.length, needed));
    larger.set(this.bytes());
    this.#buffer = larger;
  }
}

/** Room that `putUint` needs, and `putNumberedHead` and `copyWords` together beside the bytes. */
export const uintRoom = longestHead;
export const numberedRoom = 1 + 2 * longestHead + 3;

/** As `uint`, into room; returns where it ends. */
export const putUint = (memory: Buffer, at: number, value: number): number => put(memory, at, 0x00, value);

/** As `numbered`, up to the bytes. */
export function putNumberedHead(memory: Buffer, at: number, index: number, size: number): number {
  memory[at] = 0x82;
  return put(memory, put(memory, at + 1, 0x00, index), 0x40, size);
}

/**
 * Copies a few bytes, four at a time: less than a call of `set` costs. Up to three bytes behind them are overwritten; where as
 * many are not behind `from`'s, the last ones go one by one.
 */
export function copyWords(from: DataView, start: number, into: DataView, at: number, size: number): void {
  const words = start + size + 3 <= from.byteLength ? size : size - 3;
  let index = 0;
  for (; index < words; index += 4) into.setUint32(at + index, from.getUint32(start + index));
  for (; index < size; index++) into.setUint8(at + index, from.getUint8(start + index));
}

/** A view of the memory, for `copyWords`. */
export const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

/** Writes a head and returns where it ends. What nearly all are is tried here, so that this much is inlined. */
function put(buffer: Buffer, at: number, major: number, value: number): number {
  if (value < 24) {
    buffer[at] = major | value;
    return at + 1;
  }
  return putLonger(buffer, at, major, value);
}

function putLonger(buffer: Buffer, at: number, major: number, value: number): number {
  if (value < 0x100) {
    buffer[at] = major | 24;
    buffer[at + 1] = value;
    return at + 2;
  }
  if (value < 0x1_0000) {
    buffer[at] = major | 25;
    buffer[at + 1] = value >>> 8;
    buffer[at + 2] = value;
    return at + 3;
  }
  if (value <= maxUint32) {
    buffer[at] = major | 26;
    buffer[at + 1] = value >>> 24;
    buffer[at + 2] = value >>> 16;
    buffer[at + 3] = value >>> 8;
    buffer[at + 4] = value;
    return at + 5;
  }
  buffer[at] = major | 27;
  buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at + 1);
  buffer.writeUInt32BE(value % 0x1_0000_0000, at + 5);
  return at + longestHead;
}
