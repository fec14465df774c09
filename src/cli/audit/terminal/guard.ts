/**
 * Recorded terminal output made safe to play in somebody else's terminal: text, colours, cursor, scrolling and screens
 * pass; what would steer more than the picture does not: titles, the clipboard, links, printing, mouse and keyboard
 * modes, and questions that the terminal would answer as if they had been typed. Sequences may be cut anywhere.
 *
 * It knows what of the terminal's state was changed, so that it can be put back.
 */

type State = 'text' | 'escape' | 'intermediate' | 'control' | 'string' | 'string-escape' | 'c1';

/** Longer control sequences are not passed. */
const longestSequence = 128;

/** Private modes (DECSET) of the picture alone: wrapping, cursor, screens, origin, reverse video, synchronized output. */
const modes = new Set([5, 6, 7, 12, 25, 45, 47, 1047, 1048, 1049, 2026]);
/** Set in a terminal that nobody touched. */
const setFromStart = new Set([7, 25]);
/** Insert; line feed is new line. */
const ansiModes = new Set([4, 20]);
const alternateScreens = [47, 1047, 1049];

const finals = new Set('ABCDEFGHIJKLMPSTXZ@`abdefghlmrsu');
/** After an escape: save, restore, index, next line, tab, reverse index, reset. */
const escapes = new Set('78DEHMc');
/** Introduce character sets, and DEC's line sizes and test picture. */
const intermediates = new Set('()*+#');
const strings = new Set('P]X^_');
/** Bell, backspace, tab, line feeds, return, character sets. */
const controls = new Set([0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f]);

const escape = 0x1b;
const lineFeed = 0x0a;

export class TerminalGuard {
  #state: State = 'text';
  #sequence = '';
  #before = 0;
  /** Private modes that are not as in an untouched terminal. */
  readonly #changed = new Set<number>();
  #margins = false;
  #insert = false;

  /** What may be written now. */
  filter(bytes: Buffer): Buffer {
    // Each byte becomes at most two: a line feed.
    const passed = Buffer.allocUnsafe(2 * bytes.length + 2 * longestSequence);
    let length = 0;
    for (const byte of bytes) {
      const allowed = this.#take(byte);
      if (typeof allowed === 'number') passed[length++] = allowed;
      else if (allowed !== '') length += passed.write(allowed, length, 'latin1');
    }
    return passed.subarray(0, length);
  }

  /** Puts back what was changed, without moving the cursor where that can be helped. */
  restoring(): string {
    const back = [...this.#changed].map((mode) => `\x1b[?${mode}${setFromStart.has(mode) ? 'h' : 'l'}`);
    const screen = alternateScreens.some((mode) => this.#changed.has(mode)) ? '\x1b[r' : '';
    const margins = this.#margins && screen === '' ? '\x1b7\x1b[r\x1b8' : '';
    return `${screen}${back.join('')}${margins}${this.#insert ? '\x1b[4l\x1b[20l' : ''}\x1b(B\x0f\x1b[0m\x1b[?25h`;
  }

  #take(byte: number): number | string {
    const before = this.#before;
    this.#before = byte;
    switch (this.#state) {
      case 'text':
        return this.#text(byte, before);
      case 'c1':
        return this.#afterC2(byte);
      case 'escape':
        return this.#escape(String.fromCharCode(byte), byte);
      case 'intermediate':
        return this.#intermediate(byte);
      case 'control':
        return this.#control(byte);
      case 'string':
        if (byte === escape) this.#state = 'string-escape';
        else if (byte === 0x07 || byte === 0x18 || byte === 0x1a) this.#state = 'text';
        return '';
      case 'string-escape':
        // ST ends it; whatever else follows an escape begins anew.
        this.#state = 'text';
        return byte === 0x5c ? '' : this.#escape(String.fromCharCode(byte), byte);
      default:
        return this.#state satisfies never;
    }
  }

  #text(byte: number, before: number): number | string {
    if (byte === escape) {
      this.#state = 'escape';
      return '';
    }
    if (byte === 0xc2) {
      this.#state = 'c1';
      return '';
    }
    // This side's terminal driver adds a return to each line feed; a line feed alone only goes down.
    if (byte === lineFeed && before !== 0x0d) return '\x1bD';
    if (byte < 0x20) return controls.has(byte) ? byte : '';
    return byte === 0x7f ? '' : byte;
  }

  /** In UTF-8 C2 80 … C2 9F are control characters, each as an escape and a letter: some terminals do as they say. */
  #afterC2(byte: number): number | string {
    this.#state = 'text';
    if (byte >= 0xa0 && byte <= 0xbf) return `\xc2${String.fromCharCode(byte)}`;
    return byte >= 0x80 ? '' : this.#text(byte, 0);
  }

  #escape(letter: string, byte: number): string {
    this.#state = 'text';
    if (byte === escape) this.#state = 'escape';
    else if (letter === '[') {
      this.#state = 'control';
      this.#sequence = '';
    } else if (strings.has(letter)) this.#state = 'string';
    else if (byte >= 0x20 && byte <= 0x2f) {
      this.#state = 'intermediate';
      this.#sequence = letter;
    } else if (escapes.has(letter)) {
      if (letter === 'c') this.#untouched();
      return `\x1b${letter}`;
    }
    return '';
  }

  #intermediate(byte: number): string {
    if (byte >= 0x20 && byte <= 0x2f && this.#sequence.length < longestSequence) {
      this.#sequence += String.fromCharCode(byte);
      return '';
    }
    this.#state = byte === escape ? 'escape' : 'text';
    const passes = intermediates.has(this.#sequence) && byte >= 0x30 && byte <= 0x7e;
    return passes ? `\x1b${this.#sequence}${String.fromCharCode(byte)}` : '';
  }

  #control(byte: number): string {
    if (byte === escape) {
      this.#state = 'escape';
      return '';
    }
    // Control characters inside of a sequence are carried out by terminals; here they end it.
    if (byte < 0x20 || byte > 0x7e) {
      this.#state = 'text';
      return '';
    }
    const letter = String.fromCharCode(byte);
    if (byte < 0x40) {
      if (this.#sequence.length <= longestSequence) this.#sequence += letter;
      return '';
    }
    this.#state = 'text';
    return this.#sequence.length >= longestSequence ? '' : this.#whole(this.#sequence, letter);
  }

  /** A whole control sequence: its parameters and its final letter. */
  #whole(parameters: string, final: string): string {
    if (final === 'q' && /^\d* $/.test(parameters)) return `\x1b[${parameters}q`;
    if (final === 'p' && parameters === '!') {
      this.#untouched();
      return '\x1b[!p';
    }
    if (!finals.has(final)) return '';
    const set = final === 'h';
    if (set || final === 'l') return this.#mode(parameters, set);
    const plain = /^[\d;:]*$/.test(parameters) || (/^\?\d*$/.test(parameters) && /[JK]/.test(final));
    if (!plain) return '';
    if (final === 'r') this.#margins = parameters !== '';
    return `\x1b[${parameters}${final}`;
  }

  #mode(parameters: string, set: boolean): string {
    const final = set ? 'h' : 'l';
    const match = /^(\??)([\d;]*)$/.exec(parameters);
    if (match === null) return '';
    const asked = match[2]!.split(';').map(Number);
    if (match[1] === '') {
      const passed = asked.filter((mode) => ansiModes.has(mode));
      if (passed.length > 0) this.#insert = true;
      return passed.length === 0 ? '' : `\x1b[${passed.join(';')}${final}`;
    }
    const passed = asked.filter((mode) => modes.has(mode));
    for (const mode of passed)
      if (set === setFromStart.has(mode)) this.#changed.delete(mode);
      else this.#changed.add(mode);
    return passed.length === 0 ? '' : `\x1b[?${passed.join(';')}${final}`;
  }

  #untouched(): void {
    this.#changed.clear();
    this.#margins = false;
    this.#insert = false;
  }
}
