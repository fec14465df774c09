/**
 * JSON as text (RFC 8259), as far as masking needs it: whether a place is inside of a string, and what the characters of a
 * document are when its escapes are undone.
 */
const quote = 0x22, backslash = 0x5c; // prettier-ignore

/** Tells strings from the rest. Goes forward only, so that asking often costs one pass. */
export class JsonStrings {
  #bytes: Buffer | null = null;
  #start = -1;
  #position = 0;
  #inString = false;

  /** `position` of the value that begins at `start`; for one value in ascending order, or it begins anew. */
  inString(bytes: Buffer, start: number, position: number): boolean {
    if (bytes !== this.#bytes || start !== this.#start || position < this.#position) {
      this.#bytes = bytes;
      this.#start = start;
      this.#position = start;
      this.#inString = false;
    }
    let i = this.#position;
    let inString = this.#inString;
    for (; i < position; i++) {
      if (bytes[i] === quote) inString = !inString;
      else if (bytes[i] === backslash) i++;
    }
    this.#position = i;
    this.#inString = inString;
    return inString;
  }

  /** The value goes on at `start` of a buffer: what comes before it was walked to its end. */
  goOn(bytes: Buffer, start: number): void {
    this.#bytes = bytes;
    this.#start = start;
    this.#position = start;
  }

  /** Forgets the buffer, whose place another may take. */
  forget(): void {
    this.#bytes = null;
    this.#inString = false;
  }
}

/** The bytes of a text as the inside of a JSON string. */
export const jsonEscaped = (bytes: Buffer): Buffer =>
  Buffer.from(JSON.stringify(bytes.toString('latin1')).slice(1, -1), 'latin1');

/** A text without its escapes, and where each byte of it comes from. */
export class Unescaped {
  bytes: Buffer = Buffer.alloc(0);
  /** `positions[i]`: offset in the source of what byte i stands for; one more than there are bytes. */
  positions = new Int32Array(0);
  length = 0;

  /**
   * `style`: which escapes there are. `last`: nothing follows; else an escape that is not all here is left out.
   */
  read(source: Buffer, start: number, end: number, style: 'json' | 'copy', last = true): void {
    this.#reserve(end - start);
    let to = 0;
    let i = start;
    while (i < end) {
      this.positions[to] = i;
      const byte = source[i]!;
      if (byte !== backslash || (last && i + 1 >= end)) {
        this.bytes[to++] = byte;
        i++;
        continue;
      }
      if (!last && i + 6 > end) break;
      const escape = source[i + 1]!;
      if (style === 'json' && escape === 0x75 && i + 6 <= end) {
        const code = Number.parseInt(source.toString('latin1', i + 2, i + 6), 16);
        this.bytes[to++] = code >= 0x20 && code < 0x7f ? code : code < 0x20 ? 0x0a : 0xff;
        i += 6;
      } else if (style === 'copy' && isOctal(escape) && i + 4 <= end) {
        this.bytes[to++] = Number.parseInt(source.toString('latin1', i + 1, i + 4), 8) & 0xff;
        i += 4;
      } else {
        this.bytes[to++] = controls[escape] || escape;
        i += 2;
      }
    }
    this.positions[to] = i;
    this.length = to;
  }

  /** A field of CSV from between its quotes, in which `escape` stands before each quote and itself. */
  readQuoted(source: Buffer, start: number, end: number, quote: number, escape: number): void {
    this.#reserve(end - start);
    let to = 0;
    for (let i = start; i < end; i++) {
      this.positions[to] = i;
      const next = source[i + 1];
      if (source[i] === escape && i + 1 < end && (next === quote || next === escape)) i++;
      this.bytes[to++] = source[i]!;
    }
    this.positions[to] = end;
    this.length = to;
  }

  #reserve(length: number): void {
    if (this.bytes.length >= length) return;
    this.bytes = Buffer.allocUnsafeSlow(2 * length);
    this.positions = new Int32Array(2 * length + 1);
  }
}

const isOctal = (byte: number): boolean => byte >= 0x30 && byte <= 0x37;

/** What the letter behind a backslash stands for; 0: itself. */
const controls = new Uint8Array(256);
for (const [letter, byte] of [['b', 8], ['t', 9], ['n', 10], ['v', 11], ['f', 12], ['r', 13]] as const) {
  controls[letter.charCodeAt(0)] = byte;
} // prettier-ignore
