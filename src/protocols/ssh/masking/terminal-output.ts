/**
 * The output of a pseudo-terminal. A value may have control sequences in it: a colour between two digits, a backspace, the
 * line end where the terminal is too narrow. So what is searched is the text without them, three times:
 *
 * - `joined`: as if the cursor never moved and lines never ended, for values that were taken apart; a line that is certain to be
 *   shorter than the terminal is wide does not go on in the next;
 * - `apart`: each line, and each text behind a movement of the cursor, begins a text of its own, for values that stand next to
 *   others;
 * - `strings`: what stands in strings (titles of windows, targets of links), each a text of its own.
 *
 * What any of them finds is masked where it stands in the stream, byte for byte; control sequences stay as they are. A byte is
 * delivered when all three have decided about it. It is no terminal: that a text is drawn over another one after a movement of the
 * cursor, or out of order, is not seen.
 */
import type { Findings } from '../../../gate/masking.ts';
import { ControlSequences, type TerminalEvents } from './control-sequences.ts';
import type { MaskedStreamOptions, Waiting } from './masked-stream.ts';
import { lineFeed, ShadowText } from './shadow-text.ts';

/** So much is looked at at once: overwriting may make its text much longer. */
const sliceBytes = 4096;
/** A tail waits for no more than this, which is mostly control sequences. */
const mostHeldBytes = 32 * 1024;
const mostRepeats = 256;
const backspace = 0x08, tab = 0x09, formFeed = 0x0c, carriageReturn = 0x0d, blank = 0x20; // prettier-ignore
/** A gap of so many columns may be one between two parts of a number. */
const gapColumns = 2;
const codesOf = (text: string): ReadonlySet<number> => new Set(Buffer.from(text));
/** Finals of sequences and of escapes that bring the cursor elsewhere. */
const moves = codesOf('ABEFGHIZ`defsu');
const escapedMoves = codesOf('DEM78');
/** Those that clear or move what stands there: no value goes on behind them. */
const breaks = codesOf('JLMSTr');
const escapedBreaks = codesOf('c');

export class TerminalOutput implements TerminalEvents {
  columns = 0;
  readonly #options: MaskedStreamOptions;
  readonly #sequences = new ControlSequences(this);
  readonly #joined: ShadowText;
  readonly #apart: ShadowText;
  readonly #strings: ShadowText;
  readonly #shadows: readonly ShadowText[];
  /** What is held, in the clear and masked, and which of it is masked. */
  #raw = Buffer.allocUnsafeSlow(1024);
  #masked = Buffer.allocUnsafeSlow(1024);
  #marks = new Uint8Array(1024);
  #length = 0;
  /** The sequences are read up to here. */
  #read = 0;
  /** Of the first byte that is held, in the stream. */
  #offset = 0;
  /** A carriage return came, and not yet what follows it. */
  #returned = false;
  #textBytes = 0;

  constructor(options: MaskedStreamOptions) {
    this.#options = options;
    const shadow = (): ShadowText => new ShadowText(options.masking.live());
    this.#joined = shadow();
    this.#apart = shadow();
    this.#strings = shadow();
    this.#shadows = [this.#joined, this.#apart, this.#strings];
  }

  /** Of the last push: bytes that stand on the screen or in a title. */
  get textBytes(): number {
    return this.#textBytes;
  }

  push(chunk: Buffer): Waiting {
    this.#textBytes = 0;
    let waiting: Waiting = 'nothing';
    let untouched = true;
    for (let at = 0; at < chunk.length; at += sliceBytes) {
      waiting = this.#slice(chunk.subarray(at, at + sliceBytes));
      untouched &&= waiting === 'as before';
    }
    return waiting === 'as before' && !untouched ? 'new' : waiting;
  }

  /** Decides what waits as it stands. */
  settle(): void {
    if (this.#length > 0) this.#decide(true);
  }

  #slice(slice: Buffer): Waiting {
    const before = this.#length;
    this.#reserve(before + slice.length);
    this.#raw.set(slice, before);
    this.#masked.set(slice, before);
    this.#marks.fill(0, before, before + slice.length);
    this.#length += slice.length;
    const delivered = this.#decide(false);
    if (this.#length > mostHeldBytes) this.settle();
    if (this.#length === 0) return 'nothing';
    return before > 0 && delivered < before ? 'as before' : 'new';
  }

  #reserve(length: number): void {
    if (length <= this.#raw.length) return;
    const [raw, masked] = [this.#raw, this.#masked];
    const marks = new Uint8Array(2 * length);
    marks.set(this.#marks.subarray(0, this.#length));
    this.#raw = Buffer.allocUnsafeSlow(2 * length);
    this.#masked = Buffer.allocUnsafeSlow(2 * length);
    this.#marks = marks;
    raw.copy(this.#raw, 0, 0, this.#length);
    masked.copy(this.#masked, 0, 0, this.#length);
  }

  /** Delivers what is decided; returns how much that was. */
  #decide(settle: boolean): number {
    this.#read = this.#sequences.read(this.#raw, this.#read, this.#length, settle);
    let decided = this.#read;
    for (const shadow of this.#shadows) {
      if (!shadow.pending) continue;
      this.#mask(shadow, shadow.look(settle, this.columns));
      decided = shadow.undecided(decided);
    }
    const bytes = Buffer.from(this.#masked.subarray(0, decided));
    this.#raw.copyWithin(0, decided, this.#length);
    this.#masked.copyWithin(0, decided, this.#length);
    this.#marks.copyWithin(0, decided, this.#length);
    this.#length -= decided;
    this.#read -= decided;
    this.#offset += decided;
    for (const shadow of this.#shadows) shadow.forget(decided);
    if (bytes.length > 0) this.#options.deliver(bytes);
    return decided;
  }

  #mask(shadow: ShadowText, found: Findings): void {
    const { masking, redacted, stream = 'output' } = this.#options;
    for (let index = 0; index < found.length; index++) {
      const [start, end, rule] = [found.starts[index]!, found.ends[index]!, found.rules[index]!];
      const value = Buffer.from(shadow.text.subarray(start, end));
      if (found.values[index] === 0 && masking.keepsLength(rule))
        masking.mask(rule, value, 0, value.length, 'text');
      else masking.redact(value, 0, value.length, 'text');
      const [first, last] = this.#put(shadow, start, end, value);
      if (last === -1) continue; // delivered, or found by another
      const place = { row: -1, column: -1, offset: this.#offset + first, length: last + 1 - first, stream };
      redacted(rule, place, this.#raw, first, last + 1);
    }
  }

  /** Puts what stands instead where the value came from; returns the first and the last place that it took. */
  #put(shadow: ShadowText, start: number, end: number, value: Buffer): [first: number, last: number] {
    let [first, last] = [this.#length, -1];
    for (let at = start; at < end; at++) {
      if (shadow.last[at] === -1) continue;
      for (let place = shadow.first[at]!; place <= shadow.last[at]!; place++) {
        if (this.#marks[place] === 1 || this.#raw[place] !== shadow.text[at]) continue;
        this.#marks[place] = 1;
        this.#masked[place] = value[at - start]!;
        first = Math.min(first, place);
        last = Math.max(last, place);
      }
    }
    return [first, last];
  }

  // ---- what the bytes mean ----

  text(bytes: Uint8Array, start: number, end: number): void {
    this.#textBytes += end - start;
    this.#return();
    this.#joined.write(bytes, start, end);
    this.#apart.write(bytes, start, end);
  }

  control(byte: number): void {
    if (byte === carriageReturn) this.#returned = true;
    else if (byte >= lineFeed && byte <= formFeed) this.#endLine();
    else if (byte === backspace) this.#back(1);
    else if (byte === tab) {
      this.#return();
      this.#joined.mark(tab);
      this.#joined.certain = false;
      this.#apart.mark(tab);
    }
  }

  escape(final: number): void {
    if (escapedMoves.has(final)) this.#move();
    else if (escapedBreaks.has(final)) this.#break();
  }

  sequence(final: number, given: number): void {
    const count = Math.max(1, given);
    if (moves.has(final)) this.#move();
    else if (breaks.has(final)) this.#break();
    else if (final === 0x44) this.#back(count);
    else if (final === 0x43 || final === 0x61) this.#forward(count);
    else if (final === 0x4b && given === 0) {
      this.#return();
      this.#joined.eraseToEnd();
      this.#apart.eraseToEnd();
    } else if (final === 0x62) {
      this.#textBytes += Math.min(count, mostRepeats);
      this.#joined.repeat(Math.min(count, mostRepeats));
      this.#apart.repeat(Math.min(count, mostRepeats));
    }
  }

  stringBegins(): void {
    this.#strings.mark(lineFeed);
    this.#strings.newLine(true);
  }

  stringText(bytes: Uint8Array, start: number, end: number): void {
    this.#textBytes += end - start;
    this.#strings.write(bytes, start, end);
  }

  /** A carriage return that no line feed followed: the line is drawn anew, or (behind a blank) a line editor went to the next. */
  #return(): void {
    if (!this.#returned) return;
    this.#joined.retractBlank();
    this.#endLine();
  }

  #endLine(): void {
    this.#returned = false;
    const { columns, certain } = this.#joined;
    const full = columns > 0 && columns % this.columns === 0;
    if (certain && this.columns > 0 && !full) this.#joined.mark(lineFeed);
    this.#joined.newLine(true);
    this.#apart.mark(lineFeed);
    this.#apart.newLine(true);
  }

  #move(): void {
    this.#return();
    this.#joined.newLine(false);
    this.#apart.mark(lineFeed);
    this.#apart.newLine(false);
  }

  #break(): void {
    this.#move();
    this.#joined.mark(lineFeed);
    this.#joined.newLine(false);
  }

  #back(columns: number): void {
    this.#return();
    this.#joined.back(columns);
    this.#apart.back(columns);
  }

  #forward(columns: number): void {
    this.#return();
    if (this.#joined.forward(columns) > 0) this.#joined.certain = false;
    const left = this.#apart.forward(columns);
    if (left > 0) this.#apart.mark(left <= gapColumns ? blank : lineFeed);
  }
}
