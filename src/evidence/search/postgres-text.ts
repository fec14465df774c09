/**
 * PostgreSQL's messages as lines of text: a row is its values separated by tabs, as COPY writes them; an error its fields;
 * framing is left out. Reads a connection's bytes in pieces of any size and holds none of them.
 */
import type { SearchText } from './text.ts';

const tab = 9, newline = 10; // prettier-ignore
const code = (type: string): number => type.charCodeAt(0);
const dataRow = code('D'), copyData = code('d'), functionResult = code('V'); // prettier-ignore
const described = code('T'), notification = code('A'); // prettier-ignore
/** Each field is a letter and a text. */
const lettered = new Set([code('E'), code('N')]);
/** One text. */
const tagged = new Set([code('C'), code('f')]);

/** What the next bytes are. `letter`: of a field of an error. */
type Expects = 'type' | 'length' | 'count' | 'value-length' | 'value' | 'letter' | 'text' | 'skip';

export class PostgresText {
  readonly #text: SearchText;
  readonly #decoder: InstanceType<typeof TextDecoder> | null;
  #expects: Expects = 'type';
  #type = 0;
  /** Of the message. */
  #left = 0;
  /** A number that is being read, and how many bytes of it are missing. */
  #number = 0;
  #missing = 0;
  #values = 0;
  #valueLeft = 0;
  /** Between two texts of a RowDescription. */
  #skipLeft = 0;

  /** @param encoding name of a decoder; null: the bytes are UTF-8 */
  constructor(text: SearchText, encoding: string | null) {
    this.#text = text;
    this.#decoder = encoding === null ? null : new TextDecoder(encoding);
  }

  take(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      switch (this.#expects) {
        case 'type':
          if (bytes[at] === dataRow && this.#decoder === null) {
            const after = this.#wholeRow(bytes, at, end);
            if (after > at) {
              at = after;
              break;
            }
          }
          this.#type = bytes[at++]!;
          this.#await('length', 4);
          break;
        case 'value':
        case 'text':
        case 'skip':
          at = this.#content(bytes, at, end);
          break;
        case 'letter':
          // The letter says which field it is; a zero ends them.
          this.#left--;
          at++;
          this.#expects = this.#left > 0 ? 'text' : 'type';
          break;
        default:
          this.#number = this.#number * 256 + bytes[at++]!;
          if (--this.#missing === 0) this.#numberRead();
      }
    }
  }

  /**
   * A row that stands here whole, as nearly all do: the same as byte by byte, several times as fast.
   * @returns where it ends; `at` when it is not whole, or not as it should be
   */
  #wholeRow(bytes: Buffer, at: number, end: number): number {
    if (at + 7 > end) return at;
    const after = at + 1 + int32(bytes, at + 1);
    if (after > end || after < at + 7) return at;
    const text = this.#text;
    const into = text.room(after - at);
    let to = text.length;
    if (to > 0 && into[to - 1] !== newline) into[to++] = newline;
    let from = at + 7;
    for (let values = bytes[at + 5]! * 256 + bytes[at + 6]!; values > 0; values--) {
      if (from + 4 > after) return at;
      const length = int32(bytes, from);
      from += 4;
      if (length > after - from) return at;
      const last = from + Math.max(0, length);
      if (length > copiedByBytes) {
        into.set(bytes.subarray(from, last), to);
        to += length;
        from = last;
      } else while (from < last) into[to++] = bytes[from++]!;
      if (values > 1) into[to++] = tab;
    }
    if (from !== after) return at;
    text.grew(to);
    return after;
  }

  #put(bytes: Buffer, start: number, end: number): void {
    if (this.#decoder === null) return this.#text.put(bytes, start, end);
    const decoded = Buffer.from(this.#decoder.decode(bytes.subarray(start, end), { stream: true }));
    this.#text.put(decoded, 0, decoded.length);
  }

  #await(expects: Expects, bytes: number): void {
    this.#expects = expects;
    this.#number = 0;
    this.#missing = bytes;
  }

  #numberRead(): void {
    const number = this.#number;
    switch (this.#expects) {
      case 'length':
        this.#left = Math.max(0, number - 4);
        this.#begin();
        return;
      case 'count':
        this.#left -= 2;
        this.#values = number;
        this.#nextValue();
        return;
      default:
        this.#left -= 4;
        this.#values--;
        // NULL is -1.
        this.#valueLeft = number > 0x7fff_ffff ? 0 : Math.min(number, Math.max(0, this.#left));
        if (this.#valueLeft > 0) this.#expects = 'value';
        else this.#valueOver();
    }
  }

  /** A message whose type and length are read. */
  #begin(): void {
    const type = this.#type;
    if (type !== copyData) this.#text.endLine();
    if (this.#left === 0) this.#expects = 'type';
    else if (type === dataRow) this.#await('count', 2);
    else if (type === functionResult) {
      this.#values = 1;
      this.#nextValue();
    } else if (lettered.has(type)) this.#expects = 'letter';
    else if (type === described) this.#skip(2);
    else if (type === notification) this.#skip(4);
    else if (type === copyData) {
      this.#valueLeft = this.#left;
      this.#values = 0;
      this.#expects = 'value';
    } else if (tagged.has(type)) this.#expects = 'text';
    else this.#skip(this.#left);
  }

  #skip(bytes: number): void {
    this.#skipLeft = Math.min(bytes, this.#left);
    this.#expects = 'skip';
  }

  #nextValue(): void {
    if (this.#values > 0 && this.#left >= 4) this.#await('value-length', 4);
    else if (this.#left > 0) this.#skip(this.#left);
    else this.#expects = 'type';
  }

  #valueOver(): void {
    if (this.#values > 0) this.#text.byte(tab);
    this.#nextValue();
  }

  #content(bytes: Buffer, at: number, end: number): number {
    if (this.#expects === 'value') {
      const to = Math.min(end, at + this.#valueLeft);
      this.#put(bytes, at, to);
      this.#valueLeft -= to - at;
      this.#left -= to - at;
      if (this.#valueLeft === 0) this.#valueOver();
      return to;
    }
    if (this.#expects === 'skip') {
      const to = Math.min(end, at + this.#skipLeft);
      this.#skipLeft -= to - at;
      this.#left -= to - at;
      if (this.#left === 0) this.#expects = 'type';
      else if (this.#skipLeft === 0) this.#expects = 'text';
      return to;
    }
    return this.#textField(bytes, at, end);
  }

  /** Up to its zero. */
  #textField(bytes: Buffer, at: number, end: number): number {
    const most = Math.min(end, at + this.#left);
    const zero = bytes.subarray(at, most).indexOf(0);
    const to = zero === -1 ? most : at + zero;
    this.#put(bytes, at, to);
    this.#left -= to - at;
    if (zero === -1) {
      if (this.#left === 0) this.#expects = 'type';
      return to;
    }
    this.#left--;
    if (this.#left > 0) this.#text.byte(tab);
    if (this.#left === 0) this.#expects = 'type';
    else if (lettered.has(this.#type)) this.#expects = 'letter';
    // Behind the name of a column: its table, number, type, size, modifier and format.
    else if (this.#type === described) this.#skip(18);
    return to + 1;
  }
}

/** Longer pieces are copied at once. */
const copiedByBytes = 64;

const int32 = (bytes: Buffer, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
