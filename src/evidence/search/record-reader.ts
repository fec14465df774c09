/**
 * Goes through a segment record by record without making objects of them: for who needs a few fields of very many. What is not
 * the canonical form of FORMAT.md ends it with an error, as `decode.ts` would.
 */
import { EvidenceError } from '../error.ts';
import { decodeItem } from '../recording/decode.ts';
import { parseContent, parseRecord, type Content, type SegmentRecord } from '../recording/records.ts';

const maxDepth = 16;

/** Kinds that are told apart; of others only where they end. */
const kinds = [
  'segment',
  'connection',
  'connection-closed',
  'statement',
  'command',
  'input',
  'output',
  'error-output',
  'blob',
] as const;
export type ReadKind = (typeof kinds)[number] | 'other';

/** By their length. */
const named = Array.from({ length: 32 }, (_, length) =>
  kinds.filter((name) => name.length === length).map((name) => ({ name, bytes: Buffer.from(name) })),
);

const damaged = (what: string): EvidenceError =>
  new EvidenceError('recording-damaged', `Not a segment: ${what}.`);

export class RecordReader {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Of the record at hand; fields are read in order, those behind the kind. */
  kind: ReadKind = 'other';
  /** Microseconds since `session.opened`. */
  t = 0;
  /** Of the last `range`. */
  from = 0;
  to = 0;
  #start = 0;
  #fields = 0;

  /** @param segment whole records */
  open(segment: Buffer): void {
    this.#bytes = segment;
    this.#at = 0;
    this.#fields = 0;
  }

  /** Goes to the next record, over what was not read of this one. @throws EvidenceError `recording-damaged` */
  next(): boolean {
    while (this.#fields > 0) this.skip();
    if (this.#at >= this.#bytes.length) return false;
    this.#start = this.#at;
    const items = this.#head(4);
    if (items < 2) throw damaged('an item is not a record');
    this.t = this.#head(0);
    this.kind = this.#kind(this.#head(3));
    this.#fields = items - 2;
    return true;
  }

  uint(): number {
    this.#field();
    return this.#head(0);
  }

  /** True when the next field is a byte string. */
  get isBytes(): boolean {
    return this.#fields > 0 && this.#bytes[this.#at]! >>> 5 === 2;
  }

  /** True when the next field is an integer. */
  get isUint(): boolean {
    return this.#fields > 0 && this.#bytes[this.#at]! >>> 5 === 0;
  }

  /** Where a byte string begins and ends in the segment: no view for each of very many. */
  range(): void {
    this.#field();
    const length = this.#head(2);
    this.from = this.#skipBytes(length);
    this.to = this.#at;
  }

  /** Of a command or a statement; null: it has none. */
  content(): Content | null {
    this.#field();
    const item = decodeItem(this.#bytes, this.#at);
    if (item === null) throw damaged('it ends inside a record');
    this.#at = item.end;
    return item.value === null ? null : parseContent(item.value);
  }

  /** The whole record, however much of it was read; null for a kind of a later version. */
  record(): SegmentRecord | null {
    const item = decodeItem(this.#bytes, this.#start);
    if (item === null) throw damaged('it ends inside a record');
    return parseRecord(item.value);
  }

  skip(): void {
    this.#field();
    this.#skipItem(0);
  }

  #field(): void {
    if (--this.#fields < 0) throw damaged('a record is too short');
  }

  #kind(length: number): ReadKind {
    const start = this.#skipBytes(length);
    const bytes = this.#bytes;
    const candidates = length < named.length ? named[length]! : [];
    for (let i = 0; i < candidates.length; i++) {
      const expected = candidates[i]!.bytes;
      let same = 0;
      while (same < length && bytes[start + same] === expected[same]) same++;
      if (same === length) return candidates[i]!.name;
    }
    return 'other';
  }

  #skipBytes(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw damaged('it ends inside a record');
    this.#at = start + length;
    return start;
  }

  /** The argument of an item of this major type. */
  #head(major: number): number {
    const initial = this.#bytes[this.#skipBytes(1)]!;
    if (initial >>> 5 !== major) throw damaged('a field is of another type');
    return this.#argument(initial & 31);
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info === 24) return this.#bytes[this.#skipBytes(1)]!;
    if (info === 25) return this.#bytes.readUInt16BE(this.#skipBytes(2));
    if (info === 26) return this.#bytes.readUInt32BE(this.#skipBytes(4));
    if (info !== 27) throw damaged('indefinite or reserved length');
    const start = this.#skipBytes(8);
    const value = this.#bytes.readUInt32BE(start) * 0x1_0000_0000 + this.#bytes.readUInt32BE(start + 4);
    if (value > Number.MAX_SAFE_INTEGER) throw damaged('a number is out of range');
    return value;
  }

  #skipItem(depth: number): void {
    if (depth > maxDepth) throw damaged('nested too deeply');
    const initial = this.#bytes[this.#skipBytes(1)]!;
    const info = initial & 31;
    switch (initial >>> 5) {
      case 0:
      case 1:
        this.#argument(info);
        return;
      case 2:
      case 3:
        this.#skipBytes(this.#argument(info));
        return;
      case 4:
        for (let items = this.#argument(info); items > 0; items--) this.#skipItem(depth + 1);
        return;
      case 5:
        for (let items = 2 * this.#argument(info); items > 0; items--) this.#skipItem(depth + 1);
        return;
      case 6:
        this.#argument(info);
        this.#skipItem(depth + 1);
        return;
      default:
        this.#argument(info);
    }
  }
}
