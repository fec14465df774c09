/**
 * Takes a terminal's bytes apart into text and control sequences (ECMA-48, https://ecma-international.org/publications-and-standards/standards/ecma-48/,
 * as terminals read it: https://vt100.net/emu/dec_ansi_parser). Nothing is kept of a sequence but its kind and its first
 * number, so that one without end takes no memory. What could be read as text or as a control is read as text: text is
 * searched, controls are not.
 *
 * C1 controls count in UTF-8 alone (`C2 80` to `C2 9F`): as single bytes they are parts of characters.
 */

/** What the bytes mean; `bytes` and offsets are those of the read. */
export interface TerminalEvents {
  /** Characters that stand on the screen; one may be cut at the end. */
  text(bytes: Uint8Array, start: number, end: number): void;
  /** A C0 control. */
  control(byte: number): void;
  /** `ESC` and this. */
  escape(final: number): void;
  /** `CSI`, without private parameters; its first number, 0 when there is none. */
  sequence(final: number, count: number): void;
  /** A string (OSC, DCS, …) begins; what stands in it is a text of its own. */
  stringBegins(): void;
  stringText(bytes: Uint8Array, start: number, end: number): void;
}

type State = 'ground' | 'escape' | 'intermediate' | 'sequence' | 'string';

const escapeByte = 0x1b, bell = 0x07, cancel = 0x18, substitute = 0x1a, deleteByte = 0x7f; // prettier-ignore
const lead = 0xc2;
/** `[`, and what begins a string: `P`, `X`, `]`, `^`, `_`. */
const sequenceOpener = 0x5b;
const stringOpeners = new Set([0x50, 0x58, 0x5d, 0x5e, 0x5f]);
const mostCount = 9999;

/** 1: stands on the screen, and is no lead of a C1 control. */
const plain = new Uint8Array(256).fill(1, 0x20);
plain[deleteByte] = 0;
plain[lead] = 0;

export class ControlSequences {
  readonly #events: TerminalEvents;
  #state: State = 'ground';
  #count = 0;
  /** The first number is over. */
  #counted = false;
  #private = false;

  constructor(events: TerminalEvents) {
    this.#events = events;
  }

  /**
   * Reads `bytes[start, end)`, perhaps without the last byte, which then has to be read again with what follows it.
   * @param settle nothing follows for now
   * @returns up to where it has read
   */
  read(bytes: Uint8Array, start: number, end: number, settle: boolean): number {
    let at = start;
    while (at < end) {
      if (this.#state === 'ground' && !settle && at + 1 === end && bytes[at] === lead) break;
      switch (this.#state) {
        case 'ground':
          at = this.#ground(bytes, at, end);
          break;
        case 'string':
          at = this.#string(bytes, at, end);
          break;
        case 'escape':
          at = this.#escape(bytes[at]!, at);
          break;
        case 'intermediate':
          at = this.#intermediate(bytes[at]!, at);
          break;
        case 'sequence':
          at = this.#sequence(bytes[at]!, at);
          break;
      }
    }
    return at;
  }

  #ground(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && plain[bytes[at]!] === 1) at++;
    if (at > start) {
      this.#events.text(bytes, start, at);
      return at;
    }
    const byte = bytes[at]!;
    if (byte === lead) {
      if (at + 1 < end && isC1(bytes[at + 1]!)) return this.#c1(bytes[at + 1]!, at + 1);
      this.#events.text(bytes, at, at + 1);
    } else if (byte === escapeByte) return this.#wholeSequence(bytes, at, end);
    else if (byte !== deleteByte) this.#events.control(byte);
    return at + 1;
  }

  /** A sequence that stands here whole, as nearly all do: the same as byte by byte, quicker. */
  #wholeSequence(bytes: Uint8Array, start: number, end: number): number {
    this.#state = 'escape';
    if (start + 1 >= end || bytes[start + 1] !== sequenceOpener) return start + 1;
    let [count, counted, isPrivate] = [0, false, false];
    for (let at = start + 2; at < end; at++) {
      const byte = bytes[at]!;
      if (byte < 0x20 || byte >= deleteByte) break;
      if (byte >= 0x40) {
        this.#state = 'ground';
        if (!isPrivate) this.#events.sequence(byte, count);
        return at + 1;
      }
      if (byte >= 0x30 && byte <= 0x39) {
        if (!counted) count = Math.min(mostCount, count * 10 + byte - 0x30);
      } else if (byte === 0x3a || byte === 0x3b) counted = true;
      else isPrivate = true;
    }
    return start + 1;
  }

  /** The second byte of a C1 control, which is what `ESC` and a letter are. */
  #c1(byte: number, at: number): number {
    this.#state = 'escape';
    return this.#escape(byte - 0x40, at);
  }

  #escape(byte: number, at: number): number {
    if (byte < 0x20) this.#controlWithin(byte);
    else if (byte <= 0x2f) this.#state = 'intermediate';
    else if (byte === sequenceOpener) this.#begin();
    else if (stringOpeners.has(byte)) {
      this.#state = 'string';
      this.#events.stringBegins();
    } else if (byte < deleteByte) {
      this.#state = 'ground';
      this.#events.escape(byte);
    } else if (byte > deleteByte) return this.#astray(at);
    return at + 1;
  }

  #begin(): void {
    this.#state = 'sequence';
    this.#count = 0;
    this.#counted = false;
    this.#private = false;
  }

  #intermediate(byte: number, at: number): number {
    if (byte < 0x20) this.#controlWithin(byte);
    else if (byte > deleteByte) return this.#astray(at);
    else if (byte > 0x2f && byte < deleteByte) this.#state = 'ground';
    return at + 1;
  }

  #sequence(byte: number, at: number): number {
    if (byte < 0x20) this.#controlWithin(byte);
    else if (byte >= 0x30 && byte <= 0x39) {
      if (!this.#counted) this.#count = Math.min(mostCount, this.#count * 10 + byte - 0x30);
    } else if (byte === 0x3a || byte === 0x3b) this.#counted = true;
    else if (byte < 0x40) this.#private = true;
    else if (byte < deleteByte) {
      this.#state = 'ground';
      if (!this.#private) this.#events.sequence(byte, this.#count);
    } else if (byte > deleteByte) return this.#astray(at);
    return at + 1;
  }

  /** In the middle of a sequence controls do what they do. */
  #controlWithin(byte: number): void {
    if (byte === escapeByte) this.#state = 'escape';
    else if (byte === cancel || byte === substitute) this.#state = 'ground';
    else this.#events.control(byte);
  }

  /** A character that has no place in a sequence is text. */
  #astray(at: number): number {
    this.#state = 'ground';
    return at;
  }

  #string(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && bytes[at]! >= 0x20) at++;
    if (at > start) this.#events.stringText(bytes, start, at);
    if (at === end) return at;
    const byte = bytes[at]!;
    if (byte === escapeByte) this.#state = 'escape';
    else if (byte === bell || byte === cancel || byte === substitute) this.#state = 'ground';
    return at + 1;
  }
}

const isC1 = (byte: number): boolean => byte >= 0x80 && byte <= 0x9f;
