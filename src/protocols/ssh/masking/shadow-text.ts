/**
 * A terminal's text without its control sequences, for searching. Every byte knows where in the stream it came from, so that
 * what is found is masked there. It has a cursor: what is written over is searched as it was and as it becomes, in two copies of
 * the end of the line. Offsets of the stream are those of the bytes that are held; -1: of none of them.
 */
import type { Findings, LiveText } from '../../../gate/masking.ts';

/** So much of a line is searched again when something in it is written over. */
const copiedBytes = 256;
/** Bold by overstriking: a character, a backspace and the same character, perhaps with a colour among them. */
const overstrikeBytes = 8;
export const lineFeed = 0x0a;
const blank = 0x20;
const underline = 0x5f;

export class ShadowText {
  text = new Uint8Array(1024);
  /** Of each byte: where it was written first, and last, if it was overstruck. */
  first = new Int32Array(1024);
  last = new Int32Array(1024);
  /** Characters since the line began, and whether that is certain. */
  columns = 0;
  certain = true;
  readonly #live: LiveText;
  #length = 0;
  #cursor = 0;
  /** The undecided bytes begin here. */
  #from = 0;
  /** The cursor does not go back behind this. */
  #line = 0;
  /** Bytes before this are read no more. */
  #kept = 0;
  /** The cursor went back since the last copy. */
  #moved = false;

  constructor(live: LiveText) {
    this.#live = live;
  }

  /** Something waits to be decided. */
  get pending(): boolean {
    return this.#from < this.#length;
  }

  /** `bytes[start, end)`, whose offsets are those of the stream. */
  write(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    for (; at < end && this.#cursor < this.#length; at++) this.#overwrite(bytes[at]!, at);
    if (at === end) return;
    const shift = this.#length - at;
    this.#reserve(end - at);
    this.text.set(bytes.subarray(at, end), this.#length);
    let high = 0;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      this.first[at + shift] = at;
      this.last[at + shift] = at;
      if ((byte & 0xc0) !== 0x80) this.columns++;
      high |= byte;
    }
    this.#length = end + shift;
    this.#cursor = this.#length;
    if (high >= 0x80) this.certain = false; // one column or two
  }

  /** A byte between texts, which stands nowhere in the stream. */
  mark(byte: number): void {
    this.#reserve(1);
    this.text[this.#length] = byte;
    this.first[this.#length] = -1;
    this.last[this.#length] = -1;
    this.#cursor = ++this.#length;
  }

  /** A line begins, or text at another place. */
  newLine(certain: boolean): void {
    this.#cursor = this.#length;
    this.#line = this.#length;
    this.#moved = false;
    this.columns = 0;
    this.certain = certain;
  }

  back(columns: number): void {
    for (let count = 0; count < columns && this.#cursor > this.#line; count++) {
      do this.#cursor--;
      while (this.#cursor > this.#line && (this.text[this.#cursor]! & 0xc0) === 0x80);
      this.#moved = true;
    }
  }

  /** @returns how many columns there is no text for */
  forward(columns: number): number {
    let left = columns;
    for (; left > 0 && this.#cursor < this.#length; left--) {
      do this.#cursor++;
      while (this.#cursor < this.#length && (this.text[this.#cursor]! & 0xc0) === 0x80);
    }
    return left;
  }

  /** The last byte so many times more; it was written once. */
  repeat(times: number): void {
    if (this.#cursor < this.#length || this.#length === this.#line) return;
    const before = this.#length - 1;
    for (let count = 0; count < times; count++) {
      this.mark(this.text[before]!);
      this.first[this.#length - 1] = this.first[before]!;
      this.last[this.#length - 1] = this.last[before]!;
    }
    this.columns += times;
  }

  /** What stands behind the cursor is gone from the screen. */
  eraseToEnd(): void {
    if (this.#cursor === this.#length) return;
    this.#copy();
    this.#length = this.#cursor;
  }

  /** Takes the blank away that a line editor writes to make the terminal begin a new line. */
  retractBlank(): void {
    if (this.#cursor < this.#length || this.#length === this.#line || this.text[this.#length - 1] !== blank)
      return;
    this.#cursor = --this.#length;
    this.#from = Math.min(this.#from, this.#length);
    this.columns--;
  }

  /** @param width of the terminal, 0 when it is not known */
  look(settle: boolean, width: number): Findings {
    const end = settle ? this.#length : Math.max(this.#from, this.#written(width));
    const found = this.#live.push(this.text, 0, this.#from, end, settle);
    this.#from = this.#live.decided;
    this.#kept = this.#live.kept;
    return found;
  }

  /** Up to where the text is there: what is being written over may become another. */
  #written(width: number): number {
    if (this.#cursor < this.#length && !this.#moved) return this.#cursor;
    // The last byte may be taken away by what follows: as an underline, or as the blank of a line editor.
    const last = this.text[this.#length - 1];
    const before = this.#length - 1;
    return last === underline || (last === blank && this.#mayBeEditors(before, width))
      ? before
      : this.#length;
  }

  /** A blank at the edge; where that is is not known of every line, and then only a value that goes on is worth the wait. */
  #mayBeEditors(at: number, width: number): boolean {
    if (this.columns <= 1) return false;
    if (width > 0 && this.certain) return (this.columns - 1) % width === 0;
    return this.#live.mayGoOn(this.text, 0, at);
  }

  /** The first offset in the stream of what is undecided; `most` when nothing is. */
  undecided(most: number): number {
    let first = most;
    for (let at = this.#from; at < this.#length; at++)
      if (this.first[at]! >= 0 && this.first[at]! < first) first = this.first[at]!;
    return first;
  }

  /** The first `delivered` bytes of the stream are no longer held. Lets go of what is read no more. */
  forget(delivered: number): void {
    const kept = Math.max(0, Math.min(this.#kept, this.#cursor, this.#from, this.#length - copiedBytes));
    const { text, first, last } = this;
    text.copyWithin(0, kept, this.#length);
    for (let at = kept; at < this.#length; at++) {
      first[at - kept] = last[at]! < delivered ? -1 : Math.max(0, first[at]! - delivered);
      last[at - kept] = last[at]! < delivered ? -1 : last[at]! - delivered;
    }
    this.#kept -= kept;
    this.#length -= kept;
    this.#cursor -= kept;
    this.#from -= kept;
    this.#line = Math.max(0, this.#line - kept);
  }

  #overwrite(byte: number, at: number): void {
    const same = this.text[this.#cursor] === byte;
    const near = this.#cursor >= this.#from && at - this.last[this.#cursor]! <= overstrikeBytes;
    if (same && near && this.last[this.#cursor]! >= 0) {
      this.last[this.#cursor++] = at;
      return;
    }
    if (this.#moved || this.#cursor < this.#from) this.#copy();
    this.#replace(byte);
    this.first[this.#cursor - 1] = at;
    this.last[this.#cursor - 1] = at;
  }

  /** The byte stands instead of the character at the cursor, or behind the byte that does. */
  #replace(byte: number): void {
    if (this.#cursor === this.#length) {
      this.mark(byte);
      return;
    }
    let after = this.#cursor;
    if ((byte & 0xc0) !== 0x80)
      do after++;
      while (after < this.#length && (this.text[after]! & 0xc0) === 0x80);
    this.#reserve(1);
    for (const cells of [this.text, this.first, this.last])
      if (after !== this.#cursor + 1) cells.copyWithin(this.#cursor + 1, after, this.#length);
    this.#length += this.#cursor + 1 - after;
    this.text[this.#cursor++] = byte;
  }

  /** The end of the line once more, for what is written over it. */
  #copy(): void {
    const back = this.#length - this.#cursor;
    const start = Math.max(this.#line, this.#length - copiedBytes);
    const cursor = this.#cursor;
    const end = this.#length;
    this.mark(lineFeed);
    this.newLine(false);
    if (cursor < start) return;
    this.#reserve(end - start);
    this.text.copyWithin(this.#length, start, end);
    this.first.copyWithin(this.#length, start, end);
    this.last.copyWithin(this.#length, start, end);
    this.#length += end - start;
    this.#cursor = this.#length - back;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.text.length) return;
    const length = 2 * (this.#length + more);
    const [text, first, last] = [new Uint8Array(length), new Int32Array(length), new Int32Array(length)];
    text.set(this.text.subarray(0, this.#length));
    first.set(this.first.subarray(0, this.#length));
    last.set(this.last.subarray(0, this.#length));
    [this.text, this.first, this.last] = [text, first, last];
  }
}
