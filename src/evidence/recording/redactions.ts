/**
 * The redactions of one session on their way into its segments. A bulk result may have millions: places that follow one
 * another are gathered into one `redactions` record of small integers, rules are told once a segment, and the originals of
 * one flush are encrypted at once. No object for a redaction.
 */
import type { LiteralPlace, OutputStream, RedactionPlace, RowFindings } from '../../gate/masking.ts';
import { Batch, copyWords, numberedRoom, putNumberedHead, putUint, uintRoom, viewOf } from './encode.ts';
import { SessionSeal, type OriginalsPolicy, type SegmentSeal } from './originals.ts';
import * as words from './words.ts';

/** Where the client typed it; in what the target answered: a stream of a program, else `row`, or `message` outside of rows. */
export type RedactionPart = LiteralPlace | OutputStream | 'row' | 'message';

/** A longer original is told in pieces, each a redaction of its own: records stay bounded. */
export const longestOriginalBytes = 262_144;

/** Longer originals are copied by the machine. */
const smallBytes = 64;
/** Of one place in rows: five integers. */
const placeRoom = 5 * uintRoom;

interface Rule {
  readonly number: number;
  /** Last segment that tells its name. */
  segment: number;
}

export class Redactions {
  readonly #policy: OriginalsPolicy;
  readonly #session: string;
  readonly #rules = new Map<string, Rule>();
  #lastRule = '';
  #lastNumber = -1;

  /** The places that wait for their record, and what they have in common. */
  readonly #places = new Batch();
  #count = 0;
  #first = 0;
  #part: RedactionPart = 'row';
  #connection = 0;
  #subject = 0;
  #row = 0;

  #seal: SessionSeal | null = null;
  #segment = -1;
  #segmentSeal: SegmentSeal | null = null;
  /** Sealed index of the next original in this segment. */
  #next = 0;
  /** Originals since the last flush, in the clear, as they will stand in `<index>.age`. */
  readonly #originals = new Batch();
  #originalsFirst = 0;
  /** Redactions since the last flush. */
  #flushCount = 0;

  constructor(policy: OriginalsPolicy, session: string) {
    this.#policy = policy;
    this.#session = session;
  }

  /** Places wait: tell them before the next record. */
  get pending(): boolean {
    return this.#count > 0;
  }

  /** Bytes that wait for the flush, beside the batch. */
  get waitingBytes(): number {
    return this.#originals.length + this.#places.length;
  }

  /** Redactions that the flush at hand brings into the segment's file; counts anew after it. */
  takeCount(): number {
    const count = this.#flushCount;
    this.#flushCount = 0;
    return count;
  }

  /** What opens the originals of the segment at hand; null when it has none. */
  get segmentSeal(): SegmentSeal | null {
    return this.#segmentSeal;
  }

  /** A segment begins. */
  begin(segment: number): void {
    this.#segment = segment;
    this.#segmentSeal = null;
    this.#next = 0;
    this.#lastNumber = -1;
  }

  /** @param original at most `longestOriginalBytes` */
  add(
    batch: Batch,
    t: number,
    { connection, command, rule }: { connection: number; command: number; rule: string },
    place: RedactionPlace,
    original: Uint8Array,
  ): void {
    const part = place.literal ?? place.stream ?? (place.row < 0 ? 'message' : 'row');
    if (!this.#continues(part, connection, command, place.row)) {
      this.tell(batch, t);
      this.#start(part, connection, command);
    }
    const places = this.#places;
    places.uint(
      rule === this.#lastRule && this.#lastNumber >= 0 ? this.#lastNumber : this.#rule(batch, t, rule),
    );
    if (part === 'row') {
      places.uint(place.row - this.#row);
      this.#row = place.row;
      places.uint(place.column);
    } else if (part === 'parameter') places.uint(place.column);
    places.uint(place.offset);
    places.uint(place.length);
    this.#count++;
    this.#flushCount++;
    if (this.#policy !== 'discard') this.#keep(original);
  }

  /**
   * Findings in rows, from number `from` on, as `add`: as many as `most` bytes that wait have room for, and up to one that
   * stands in no row or is too long.
   * @returns the number of the first that was not added
   */
  addRows(
    batch: Batch,
    t: number,
    { connection, command }: { readonly connection: number; readonly command: number },
    { bytes, findings, starts: valueStarts, columns, rows, firstRow, rules }: RowFindings,
    { from, most }: { readonly from: number; readonly most: number },
  ): number {
    const { length, starts, ends, values, rules: ruleOf } = findings;
    const numbers: number[] = []; // by rule, as told in this segment
    const kept = this.#policy !== 'discard';
    if (!this.#continues('row', connection, command, firstRow + rows[values[from]!]!)) {
      this.tell(batch, t);
      this.#start('row', connection, command);
    }
    // All that this touches for each finding is in locals: there may be two in every row of a bulk result.
    const [places, originals] = [this.#places, this.#originals];
    let [told, toldAt] = [places.memory, places.length];
    let [held, heldAt] = [originals.memory, originals.length];
    let heldView = viewOf(held);
    const view = viewOf(bytes);
    let [lastRow, original] = [this.#row, this.#next];
    if (kept && heldAt === 0) this.#originalsFirst = original;
    let index = from;
    for (; index < length && toldAt + heldAt < most; index++) {
      const start = starts[index]!;
      const end = ends[index]!;
      const value = values[index]!;
      const row = firstRow + rows[value]!;
      if (row < 0 || end - start > longestOriginalBytes) break;
      const rule = ruleOf[index]!;
      const number = (numbers[rule] ??= this.#rule(batch, t, rules.ruleName(rule)));
      if (told.length - toldAt < placeRoom) {
        places.wrote(toldAt);
        told = places.room(placeRoom);
      }
      toldAt = putUint(told, toldAt, number);
      toldAt = putUint(told, toldAt, row - lastRow);
      toldAt = putUint(told, toldAt, columns[value]!);
      toldAt = putUint(told, toldAt, start - valueStarts[value]!);
      toldAt = putUint(told, toldAt, end - start);
      lastRow = row;
      if (!kept) continue;
      const size = end - start;
      if (held.length - heldAt < numberedRoom + size) {
        originals.wrote(heldAt);
        held = originals.room(numberedRoom + size);
        heldView = viewOf(held);
      }
      heldAt = putNumberedHead(held, heldAt, original++, size);
      if (size <= smallBytes) copyWords(view, start, heldView, heldAt, size);
      else held.set(bytes.subarray(start, end), heldAt);
      heldAt += size;
    }
    places.wrote(toldAt);
    originals.wrote(heldAt);
    this.#row = lastRow;
    this.#next = original;
    this.#count += index - from;
    this.#flushCount += index - from;
    return index;
  }

  /** The record of the places that wait, if any. */
  tell(batch: Batch, t: number): void {
    if (this.#count === 0) return;
    const width = this.#part === 'row' ? 5 : this.#part === 'parameter' ? 4 : 3;
    batch.array(7);
    batch.uint(t);
    batch.encoded(words.redactions);
    batch.encoded(words.parts[this.#part]);
    batch.uint(this.#connection);
    batch.uint(this.#subject);
    if (this.#policy === 'discard') batch.null();
    else batch.uint(this.#first);
    batch.array(width * this.#count);
    batch.encoded(this.#places.bytes());
    this.#places.clear();
    this.#count = 0;
  }

  /**
   * Encrypts the originals since the last flush to the end of the batch.
   * @returns where in the batch the records that hold them begin; null when there are none
   */
  sealInto(batch: Batch, t: number): number | null {
    if (this.#originals.length === 0 || this.#policy === 'discard') return null;
    const start = batch.length;
    if (this.#segmentSeal === null) {
      this.#seal ??= new SessionSeal(this.#policy, this.#session);
      this.#segmentSeal = this.#seal.segment(this.#segment);
      batch.array(3);
      batch.uint(t);
      batch.encoded(words.sealKey);
      batch.byteString(this.#seal.wrappedKey);
    }
    const sealed = this.#segmentSeal.seal(this.#originalsFirst, this.#originals.bytes());
    batch.array(5);
    batch.uint(t);
    batch.encoded(words.originals);
    batch.uint(this.#originalsFirst);
    batch.uint(this.#next - this.#originalsFirst);
    batch.byteStringOf(sealed);
    this.#originals.clear();
    return start;
  }

  /** Gives memory back; for a session that rests. */
  release(): void {
    this.#originals.release();
    this.#places.release();
  }

  #continues(part: RedactionPart, connection: number, command: number, row: number): boolean {
    return (
      this.#count > 0 &&
      connection === this.#connection &&
      command === this.#subject &&
      part === this.#part &&
      (part !== 'row' || row >= this.#row)
    );
  }

  /** Places of another kind, or of another subject, begin. */
  #start(part: RedactionPart, connection: number, command: number): void {
    this.#part = part;
    this.#connection = connection;
    this.#subject = command;
    this.#first = this.#next;
    this.#row = 0;
  }

  #keep(original: Uint8Array): void {
    const originals = this.#originals;
    if (originals.length === 0) this.#originalsFirst = this.#next;
    originals.numbered(this.#next++, original);
  }

  /** The rule's number, told in this segment. */
  #rule(batch: Batch, t: number, name: string): number {
    let rule = this.#rules.get(name);
    if (rule === undefined) {
      rule = { number: this.#rules.size, segment: -1 };
      this.#rules.set(name, rule);
    }
    if (rule.segment !== this.#segment) {
      batch.array(4);
      batch.uint(t);
      batch.encoded(words.rule);
      batch.uint(rule.number);
      batch.text(name);
      rule.segment = this.#segment;
    }
    this.#lastRule = name;
    this.#lastNumber = rule.number;
    return rule.number;
  }
}

/** Where a finding stood; in headings: no row. */
export function placeOf(
  { findings, starts, columns, rows, firstRow }: RowFindings,
  index: number,
): RedactionPlace {
  const value = findings.values[index]!;
  const start = findings.starts[index]!;
  const row = firstRow + rows[value]!;
  const column = row < 0 ? -1 : columns[value]!;
  return { row, column, offset: start - starts[value]!, length: findings.ends[index]! - start };
}
