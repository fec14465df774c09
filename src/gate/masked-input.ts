/**
 * What a command reads, as it is recorded: the bytes of a program's standard input, or `d` messages of COPY whole or in part,
 * whose data is one text wherever the messages are cut. Every byte is recorded before it is forwarded, so what may yet become a
 * finding with what follows (the beginning of a card number in a row that is not all here) is masked at once, as
 * `undecided`, and its original sealed like every other.
 */
import type { LiveText, Masking, RedactionPlace } from './masking.ts';

/** Type and length. */
const headerBytes = 5;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** How the bytes of a command's input are made. */
export type InputKind = 'bytes' | 'copy-data';

/** Of one command. */
export class MaskedInput {
  readonly command: number;
  readonly #masking: Masking;
  readonly #kind: InputKind;
  readonly #text: MaskedText;
  /** Bytes of the text so far. */
  #length = 0;
  /** Header of the message under way: type and length, as far as they have come. */
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  /** Bytes of the message's body that are still to come. */
  #bodyLeft = 0;

  constructor(masking: Masking, command: number, kind: InputKind) {
    this.#masking = masking;
    this.#kind = kind;
    this.#text = new MaskedText(masking);
    this.command = command;
  }

  /** @returns what is recorded: `bytes` itself when nothing in them is masked */
  push(
    bytes: Uint8Array,
    tell: (rule: string, place: RedactionPlace, original: Uint8Array) => void,
  ): Uint8Array {
    const bodies: [number, number][] = this.#kind === 'bytes' ? [[0, bytes.length]] : this.#bodies(bytes);
    const [only] = bodies;
    const text =
      bodies.length === 1
        ? bytes.subarray(...only!)
        : Buffer.concat(bodies.map(([start, end]) => bytes.subarray(start, end)));
    if (text.length === 0) return bytes;
    const masked = new MaskedPieces(bytes, bodies);
    this.#text.push(text, (rule, start, end) => {
      const offset = this.#length + start;
      const place = { row: -1, column: -1, offset, length: end - start, literal: 'input' } as const;
      tell(rule, place, text.subarray(start, end));
      masked.redact(this.#masking, start, end);
    });
    this.#length += text.length;
    return masked.bytes;
  }

  /** Where bodies of messages stand in `bytes`; the reason of a CopyFail counts as data. */
  #bodies(bytes: Uint8Array): [start: number, end: number][] {
    const bodies: [number, number][] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#bodyLeft > 0) {
        const end = Math.min(bytes.length, at + this.#bodyLeft);
        this.#bodyLeft -= end - at;
        bodies.push([at, end]);
        at = end;
        continue;
      }
      this.#header[this.#headerFilled++] = bytes[at++]!;
      if (this.#headerFilled < headerBytes) continue;
      this.#headerFilled = 0;
      this.#bodyLeft = Math.max(0, this.#header.readInt32BE(1) - 4);
    }
    return bodies;
  }
}

/** A text in pieces of which none may wait for the next. */
class MaskedText {
  readonly #masking: Masking;
  readonly #live: LiveText;
  /** A private key began somewhere. */
  #keys = false;
  /** The last bytes in the clear, of which those from `#from` on are undecided. */
  #before: Buffer = Buffer.alloc(0);
  #from = 0;

  constructor(masking: Masking) {
    this.#masking = masking;
    this.#live = masking.live();
  }

  /** Tells, in ascending order, which ranges of the piece are masked. */
  push(piece: Uint8Array, mask: (rule: string, start: number, end: number) => void): void {
    const before = this.#before.length; // it was masked when it came
    const text = Buffer.concat([this.#before, piece]);
    const hide = (rule: string, start: number, end: number): void => {
      if (end > before) mask(rule, Math.max(0, start - before), end - before);
    };
    // Rows end in line breaks, and no value goes on behind one; but a private key has line breaks in it.
    this.#keys ||= text.includes('-----BEGIN');
    const rows = this.#keys ? 0 : Math.max(text.lastIndexOf(lineFeed), text.lastIndexOf(carriageReturn)) + 1;
    if (rows > this.#from) this.#look(text, rows, true, hide);
    this.#look(text, text.length, false, hide);
    if (this.#from < text.length) hide('undecided', this.#from, text.length);
    const kept = this.#live.kept;
    this.#before = text.subarray(kept);
    this.#from -= kept;
  }

  #look(
    text: Buffer,
    end: number,
    settle: boolean,
    hide: (rule: string, start: number, end: number) => void,
  ): void {
    const found = this.#live.push(text, 0, this.#from, end, settle);
    for (let i = 0; i < found.length; i++)
      hide(this.#masking.ruleName(found.rules[i]!), found.starts[i]!, found.ends[i]!);
    this.#from = this.#live.decided;
  }
}

/** Bytes in which ranges of the joined bodies are masked; a copy from the first one on. */
class MaskedPieces {
  bytes: Uint8Array;
  readonly #given: Uint8Array;
  readonly #bodies: readonly (readonly [number, number])[];
  /** The body that the last range reached into, and where it begins in what was joined. */
  #body = 0;
  #joined = 0;

  constructor(given: Uint8Array, bodies: readonly (readonly [number, number])[]) {
    this.bytes = given;
    this.#given = given;
    this.#bodies = bodies;
  }

  /** Ranges come in ascending order. */
  redact(masking: Masking, from: number, to: number): void {
    if (this.bytes === this.#given) this.bytes = Buffer.from(this.#given);
    for (;;) {
      const [start, end] = this.#bodies[this.#body]!;
      const joinedEnd = this.#joined + end - start;
      const [first, last] = [Math.max(from, this.#joined), Math.min(to, joinedEnd)];
      const shift = start - this.#joined;
      if (first < last) masking.redact(this.bytes, first + shift, last + shift, 'text');
      if (to <= joinedEnd) return;
      this.#joined = joinedEnd;
      this.#body++;
    }
  }
}
