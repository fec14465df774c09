/**
 * PostgreSQL's messages as lines of text: a row is its values separated by tabs, as COPY writes them; an error its fields;
 * framing is left out. Reads a connection's bytes in pieces of any size and holds none of them.
 */
import type { SearchText } from './text.ts';

const tab = 9;
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
  readonly #put: (bytes: Buffer, start: number, end: number) => void;
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

  /** @param put bytes of values go through it into the text */
  constructor(text: SearchText, put: (bytes: Buffer, start: number, end: number) => void) {
    this.#text = text;
    this.#put = put;
  }

  take(bytes: Buffer): void {
    const end = bytes.length;
    let at = 0;
    while (at < end) {
      switch (this.#expects) {
        case 'type':
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
