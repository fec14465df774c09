/**
 * What was typed into one line, as far as keys tell it without the program that gets them: all of it while it was text and
 * rubbing out alone (`whole`), its last piece otherwise. It is compared with the screen, and never recorded by itself: a
 * password may be among it.
 */
import type { Key } from './keys.ts';

/** Longer lines are not kept whole; what the screen shows of them is taken. */
const textLimit = 16_384;

export class TypedLine {
  readonly #decoder = new TextDecoder();
  #whole = true;
  #text = '';
  #run = '';
  #left = '';
  #lastRun = '';
  #vertical = false;
  #moved = false;
  #modal = false;

  /** All that was typed; null when keys were used whose effect the program alone knows. */
  get whole(): string | null {
    return this.#whole ? this.#text : null;
  }

  /** Text typed since the last key that was not text; empty where that need not be before the cursor. */
  get run(): string {
    return this.#modal ? '' : this.#run;
  }

  /** The last text that was typed, wherever the cursor went since. */
  get lastRun(): string {
    return this.#modal ? '' : this.#run === '' ? this.#lastRun : this.#run;
  }

  /** Keys that recall other lines, or move the cursor among the rows of this one. */
  get vertical(): boolean {
    return this.#vertical;
  }

  /** Text was typed that no key is known to have removed. */
  get leavesText(): boolean {
    return this.#left.trim() !== '';
  }

  /** The cursor may stand elsewhere than at the end of the line. */
  get moved(): boolean {
    return this.#moved;
  }

  add(key: Key): void {
    switch (key.kind) {
      case 'text':
        this.#add(this.#decoder.decode(key.bytes, { stream: true }));
        break;
      case 'erase':
        this.#map((text) => withoutLast(text));
        break;
      case 'kill':
        this.#kill(key.bytes[0] === 0x15);
        break;
      case 'at-end':
        if (key.pasted) this.#add('\t');
        else this.#edited();
        this.#vertical ||= isVertical(key.bytes);
        break;
      case 'submit':
        // Inside a paste: a line break of the text.
        this.#add('\n');
        break;
      case 'paste-start':
      case 'paste-end':
      case 'report':
        break;
      case 'part':
        // Escape by itself: what follows are perhaps commands of an editor like vi.
        if (key.bytes.at(-1) === 0x1b) this.#modal = true;
        break;
      case 'submit-and-next':
      case 'edit-and-submit':
      case 'end-of-input':
      case 'interrupt':
      case 'other':
        this.#edited();
        this.#moved = true;
    }
  }

  /** Text that nobody typed stands there already. */
  prefilled(): void {
    this.#whole = false;
  }

  #add(text: string): void {
    this.#map((old) => old + text);
    if (this.#left.length <= textLimit) return;
    this.#edited();
    this.#left = this.#left.slice(-textLimit);
  }

  #edited(): void {
    this.#whole = false;
    this.#text = '';
    if (this.#run !== '') this.#lastRun = this.#run;
    this.#run = '';
  }

  #kill(everything: boolean): void {
    this.#run = '';
    this.#left = everything ? '' : this.#left.replace(/\S+\s*$/u, '');
    if (everything && this.#whole) this.#text = '';
    else this.#edited();
    this.#lastRun = '';
  }

  #map(change: (text: string) => string): void {
    if (this.#whole) this.#text = change(this.#text);
    this.#run = change(this.#run);
    this.#left = change(this.#left);
  }
}

function withoutLast(text: string): string {
  const last = text.codePointAt(text.length - 2) ?? 0;
  return text.slice(0, last > 0xffff ? -2 : -1);
}

function isVertical(bytes: Buffer): boolean {
  const last = bytes.at(-1);
  return last === 0x10 || last === 0x0e || (bytes.length > 1 && (last === 0x41 || last === 0x42));
}
