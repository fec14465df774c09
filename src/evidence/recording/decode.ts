/**
 * Reads CBOR (RFC 8949) of definite length, which is all that a segment holds. The input is untrusted: depth and
 * lengths are bounded by the bytes that are really there, and nothing is allocated for what is only announced.
 */
import { EvidenceError } from '../error.ts';

export type Cbor = number | bigint | string | boolean | null | undefined | Buffer | Cbor[] | Map<Cbor, Cbor>;

/** An item, and where it ends. `value` holds views of the input, no copies. */
export interface Decoded {
  readonly value: Cbor;
  readonly end: number;
}

const maxDepth = 16;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * One item at `start`; null when the bytes end before it does.
 * @throws EvidenceError `recording-damaged` when these bytes cannot be the start of an item
 */
export function decodeItem(bytes: Buffer, start: number): Decoded | null {
  const reader = new Reader(bytes, start);
  try {
    return { value: reader.item(0), end: reader.at };
  } catch (error) {
    if (error === ended) return null;
    throw error;
  }
}

const ended = new Error('the bytes end inside an item');
const damaged = (what: string): EvidenceError =>
  new EvidenceError('recording-damaged', `Not a segment: ${what}.`);

class Reader {
  at: number;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, start: number) {
    this.#bytes = bytes;
    this.at = start;
  }

  item(depth: number): Cbor {
    if (depth > maxDepth) throw damaged('nested too deeply');
    const initial = this.#bytes[this.#skip(1)]!;
    const major = initial >>> 5;
    if (major === 7) return this.#simple(initial & 31);
    const value = this.#argument(initial & 31);
    switch (major) {
      case 0:
        return value;
      case 1:
        return typeof value === 'bigint' ? -1n - value : -1 - value;
      case 2: {
        const length = count(value);
        const start = this.#skip(length);
        return this.#bytes.subarray(start, start + length);
      }
      case 3:
        return this.#text(count(value));
      case 4:
        return this.#array(count(value), depth);
      case 5:
        return this.#map(count(value), depth);
      default:
        return this.item(depth + 1); // a tag says more about the item; none is known here
    }
  }

  /** Moves past `length` bytes and returns where they start. */
  #skip(length: number): number {
    const start = this.at;
    if (length > this.#bytes.length - start) throw ended;
    this.at = start + length;
    return start;
  }

  #argument(info: number): number | bigint {
    if (info < 24) return info;
    if (info === 24) return this.#bytes[this.#skip(1)]!;
    if (info === 25) return this.#bytes.readUInt16BE(this.#skip(2));
    if (info === 26) return this.#bytes.readUInt32BE(this.#skip(4));
    if (info !== 27) throw damaged('indefinite or reserved length');
    const wide = this.#bytes.readBigUInt64BE(this.#skip(8));
    return wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide;
  }

  #text(length: number): string {
    const start = this.#skip(length);
    return (
      (length < 24 ? shortText(this.#bytes, start, this.at) : null) ??
      decodeUtf8(this.#bytes.subarray(start, this.at))
    );
  }

  #array(items: number, depth: number): Cbor[] {
    const array: Cbor[] = [];
    for (let i = 0; i < items; i++) array.push(this.item(depth + 1));
    return array;
  }

  #map(pairs: number, depth: number): Map<Cbor, Cbor> {
    const map = new Map<Cbor, Cbor>();
    for (let i = 0; i < pairs; i++) {
      const key = this.item(depth + 1);
      map.set(key, this.item(depth + 1));
    }
    return map;
  }

  #simple(info: number): Cbor {
    if (info === 20) return false;
    if (info === 21) return true;
    if (info === 22) return null;
    if (info === 23) return undefined;
    if (info === 26) return this.#bytes.readFloatBE(this.#skip(4));
    if (info === 27) return this.#bytes.readDoubleBE(this.#skip(8));
    throw damaged('a simple value of no meaning here');
  }
}

function count(value: number | bigint): number {
  if (typeof value === 'bigint') throw damaged('length out of range');
  return value;
}

/** By their bytes: the same few words stand in every record. */
const shortTexts = Array.from({ length: 1024 }, () => '');

/** Null: it is not ASCII. */
function shortText(bytes: Buffer, start: number, end: number): string | null {
  let sum = 0;
  let all = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    sum = (sum * 31 + byte) | 0;
    all |= byte;
  }
  if (all > 0x7f) return null;
  const place = sum & (shortTexts.length - 1);
  const known = shortTexts[place]!;
  let same = known.length === end - start ? 0 : -1;
  while (same >= 0 && same < known.length)
    same = known.charCodeAt(same) === bytes[start + same] ? same + 1 : -1;
  return same >= 0 ? known : (shortTexts[place] = bytes.toString('latin1', start, end));
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw damaged('text is not UTF-8');
  }
}
