/**
 * What a terminal showed, as lines: without control sequences, with what the cursor went back over replaced, and a new line
 * wherever the cursor went elsewhere. Not the screen: text that was written is found even when it was overwritten later.
 */
import { ControlSequences } from '../../protocols/ssh/masking/control-sequences.ts';
import type { SearchText } from './text.ts';

const backspace = 0x08, tab = 0x09, newline = 0x0a, carriageReturn = 0x0d, space = 0x20; // prettier-ignore
/** Final bytes of CSI after which text stands elsewhere: up, down, next and previous line, position, erase, scroll. */
const elsewhere = new Set([...'ABEFHfdJST'].map((char) => char.charCodeAt(0)));
const cursorForward = 'C'.charCodeAt(0);

export class TerminalText {
  readonly #text: SearchText;
  readonly #sequences: ControlSequences;
  /** The last byte of a read that has to be read again. */
  #left: Buffer | null = null;
  /** A carriage return, which a new line may follow. */
  #returned = false;

  constructor(text: SearchText) {
    this.#text = text;
    this.#sequences = new ControlSequences({
      text: (bytes, start, end) => this.#characters(bytes, start, end),
      control: (byte) => this.#control(byte),
      escape: () => undefined,
      sequence: (final) => {
        if (elsewhere.has(final)) this.#text.endLine();
        else if (final === cursorForward) this.#text.byte(space);
      },
      stringBegins: () => undefined,
      stringText: () => undefined,
    });
  }

  take(bytes: Buffer, start: number, end: number): void {
    if (this.#left !== null) {
      const whole = Buffer.concat([this.#left, bytes.subarray(start, end)]);
      this.#left = null;
      return this.take(whole, 0, whole.length);
    }
    const read = this.#sequences.read(bytes, start, end, false);
    if (read < end) this.#left = Buffer.from(bytes.subarray(read, end));
  }

  #characters(bytes: Uint8Array, start: number, end: number): void {
    if (this.#returned) this.#text.endLine();
    this.#returned = false;
    this.#text.put(bytes, start, end);
  }

  #control(byte: number): void {
    if (byte === newline) {
      this.#text.byte(newline);
      this.#returned = false;
    } else if (byte === carriageReturn) this.#returned = true;
    else if (byte === backspace) this.#text.back();
    else if (byte === tab) this.#text.byte(tab);
  }
}
