/**
 * COPY input as it is recorded: `d` messages whole or in part, whose data is one text wherever the messages are cut. Every
 * byte is recorded before it is forwarded, so what may yet become a finding with what follows (the beginning of a card
 * number in a row that is not all here) is masked at once, as `undecided`, and its original sealed like every other.
 */
import type { Findings, Masking, RedactionPlace, ValueStream } from './masking.ts';

/** Type and length. */
const headerBytes = 5;
const lineBreak = 0x0a;

/** Of one COPY command. */
export class MaskedInput {
  readonly command: number;
  readonly #masking: Masking;
  #stream: ValueStream;
  /** A private key began somewhere. */
  #keys = false;
  /** Header of the message under way: type and length, as far as they have come. */
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  /** Bytes of the message's body that are still to come. */
  #bodyLeft = 0;
  /** The undecided end of what was recorded before, in the clear. */
  #tail: Buffer = Buffer.alloc(0);
  /** Data before `#tail`, in bytes. */
  #decided = 0;

  constructor(masking: Masking, command: number) {
    this.#masking = masking;
    this.command = command;
    this.#stream = masking.stream();
  }

  /** @returns what is recorded: `bytes` itself when nothing in them is masked */
  push(
    bytes: Uint8Array,
    tell: (rule: string, place: RedactionPlace, original: Uint8Array) => void,
  ): Uint8Array {
    const bodies = this.#bodies(bytes);
    const before = this.#tail.length;
    const text = Buffer.concat([this.#tail, ...bodies.map(([start, end]) => bytes.subarray(start, end))]);
    if (text.length === before) return bytes;
    const masked = new MaskedPieces(bytes, bodies, before);
    const mask = (rule: string, from: number, to: number): void => {
      const start = Math.max(from, before); // what lies before it was masked when it came
      if (start >= to) return;
      const offset = this.#decided + start;
      const place = { row: -1, column: -1, offset, length: to - start, literal: 'input' } as const;
      tell(rule, place, text.subarray(start, to));
      masked.redact(this.#masking, start, to);
    };
    // Rows end in line breaks, and no value goes on behind one; but a private key has line breaks in it.
    this.#keys ||= text.includes('-----BEGIN');
    const rows = this.#keys ? 0 : text.lastIndexOf(lineBreak) + 1;
    if (rows > 0) {
      this.#mask(this.#stream.push(text, 0, rows, true), mask);
      this.#stream = this.#masking.stream();
    }
    if (rows < text.length) this.#mask(this.#stream.push(text, rows, text.length, false), mask);
    const decided = rows < text.length ? this.#stream.decided : rows;
    mask('undecided', decided, text.length);
    this.#tail = text.subarray(decided);
    this.#decided += decided;
    return masked.bytes;
  }

  #mask(found: Findings, mask: (rule: string, from: number, to: number) => void): void {
    for (let i = 0; i < found.length; i++)
      mask(this.#masking.ruleName(found.rules[i]!), found.starts[i]!, found.ends[i]!);
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

/** Bytes in which ranges of the joined bodies are masked; a copy from the first one on. */
class MaskedPieces {
  bytes: Uint8Array;
  readonly #given: Uint8Array;
  readonly #bodies: readonly (readonly [number, number])[];
  /** The body that the last range reached into, and where it begins in what was joined. */
  #body = 0;
  #joined: number;

  /** @param before length of what was joined before the bodies */
  constructor(given: Uint8Array, bodies: readonly (readonly [number, number])[], before: number) {
    this.bytes = given;
    this.#given = given;
    this.#bodies = bodies;
    this.#joined = before;
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
