/**
 * The quickest answer for a statement like the one before: a few texts are kept as templates, their shapes with marks
 * where constants stand, and a text that fits one has its shape. Nothing is copied or hashed; it costs a third of taking
 * the shape. Whatever does not fit goes the longer way, which gives the same answer.
 */
import { keyBuffer } from './cache.ts';
import { endOfLiteral, endOfNumber, inWord, isDigitAt, isEnd } from './shape.ts';

/** Marks; a shape with control characters (in a quoted name) has no template. */
const numberMark = 1;
const literalMark = 2;

const places = 64;
const shortest = 20;
const longest = 1024;

interface Template<Value> {
  readonly bytes: Uint8Array;
  /** What stands before its first mark, as far as it fills words of four bytes. */
  readonly words: Int32Array;
  readonly value: Value;
}

/** One template in each place: whoever comes last stays. */
export class Templates<Value> {
  readonly #kept: (Template<Value> | undefined)[] = Array.from({ length: places });
  /** The text is copied here, because only aligned words can be compared at once. */
  readonly #text = keyBuffer(longest + 4);

  get(text: Uint8Array): Value | undefined {
    if (text.length < shortest || text.length > longest) return undefined;
    const template = this.#kept[placeOf(text)];
    if (template === undefined) return undefined;
    const { bytes, words } = this.#text;
    bytes.set(text);
    for (let index = 0; index < template.words.length; index += 1)
      if (words[index] !== template.words[index]) return undefined;
    bytes[text.length] = 0x20;
    return fits(bytes, text.length, template) ? template.value : undefined;
  }

  /** `shape`: that of `text`; copied. Does nothing when the shape leaves out more than what constants say. */
  add(text: Uint8Array, shape: Uint8Array, value: Value): void {
    if (text.length < shortest || text.length > longest) return;
    const bytes = templateOf(shape);
    if (bytes === null) return;
    const mark = bytes.findIndex((byte) => byte <= literalMark);
    const words = new Int32Array((mark < 0 ? bytes.length : mark) >> 2);
    new Uint8Array(words.buffer).set(bytes.subarray(0, words.byteLength));
    const place = placeOf(text);
    const before = this.#kept[place];
    this.#kept[place] = { bytes, words, value };
    if (this.get(text) === undefined) this.#kept[place] = before;
  }
}

/** By some of the first bytes, where statements of one program differ and constants seldom stand. */
function placeOf(text: Uint8Array): number {
  const hash = text[0]! + 3 * text[7]! + 7 * text[12]! + 13 * text[16]! + 29 * text[19]!;
  return (hash ^ (hash >> 6)) & (places - 1);
}

/** Whether `text[0, length)` fits, whose words are known to. A space stands behind it, which ends a number. */
function fits(text: Uint8Array, length: number, template: Template<unknown>): boolean {
  const { bytes } = template;
  let at = template.words.length * 4;
  for (let index = at; index < bytes.length; index += 1) {
    const expected = bytes[index]!;
    if (at >= length) return false;
    if (expected > literalMark) {
      if (text[at] !== expected) return false;
      at += 1;
      continue;
    }
    if (expected === literalMark) at = text[at] === 0x27 ? endOfLiteral(text, at) : -1;
    else at = isDigitAt(text, at) ? endOfNumber(text, at) : -1;
    if (at < 0 || at > length) return false;
  }
  return isEnd(text, at, length);
}

function templateOf(shape: Uint8Array): Uint8Array | null {
  const template = new Uint8Array(shape.length);
  let length = 0;
  for (let at = 0; at < shape.length;) {
    const byte = shape[at]!;
    if (byte <= literalMark) return null;
    let end = at + 1;
    if (byte === 0x22) end = shape.indexOf(0x22, end) + 1;
    else if (inWord[byte] === 1 && !isDigitAt(shape, at))
      while (end < shape.length && inWord[shape[end]!] === 1) end += 1;
    else if (byte === 0x27) end += 1;
    const mark = byte === 0x27 ? literalMark : isDigitAt(shape, at) ? numberMark : 0;
    if (mark !== 0) template[length++] = mark;
    else for (let from = at; from < end; from += 1) template[length++] = shape[from]!;
    at = end;
  }
  return template.slice(0, length);
}
