/**
 * The anchors of `anchors.ts`, sixteen bytes at a time in WebAssembly SIMD. Two passes over a block:
 *
 * 1. classes: each byte's membership of a class (digit, letter, separator, …) becomes one bit of that class's bit field. The
 *    marks of three bytes are found as Teddy does it (Hyperscan's literal matcher): for each of the three bytes two
 *    look-ups by nibble give the set of buckets, of eight, that the byte may belong to; all three agree on a bucket.
 * 2. places: 48 positions at a time, shifts and ands of the bit fields find runs and words. A short run of digits is an
 *    anchor only if nine digits stand there with separators among them, or three full stops. The most frequent values are
 *    confirmed, or refused, at once (`confirm.ts`).
 *
 * It finds every anchor that `nextAnchor` finds, but for numbers that are too short for any detector, and more, because
 * buckets hold more than their marks; detectors refuse those. The memory is shared by all sessions of the process: a block is
 * copied in, its anchors are read before anybody else runs.
 */
import {
  at,
  bit,
  bits,
  digits,
  fieldAt,
  first,
  firstConstant,
  found,
  foundBytes,
  input,
  inputAt,
  kindsAt,
  length,
  letters,
  locals,
  lower,
  marks,
  mostConstants,
  next,
  numbers,
  out,
  outputAt,
  pages,
  place,
  result,
  run,
  scratch,
  span,
  starts,
  tables,
  tablesAt,
  window,
} from './memory.ts';
import type { Field } from './memory.ts';
import { confirmed, kindsOfBytes, outcomes } from './confirm.ts';
import { either, get, i32, i64, i8x16, moduleBytes, set, when, whileLoop } from '../../bytes/wasm.ts';
import type { Code } from '../../bytes/wasm.ts';

/** Kinds of anchors that a program looks for. */
export interface AnchorKinds {
  readonly numbers: boolean;
  readonly words: boolean;
  readonly colons: boolean;
  readonly mails: boolean;
  readonly marks: boolean;
  /** Numbers that are confirmed here. */
  readonly cards: boolean;
  readonly ssns: boolean;
}

/** Positions of a step of the second pass; with 8 before and 8 behind they are the 64 bits of one load. */
const stepBytes = 48;
/** The positions of a step, as the bits from 8 on. */
const here = i64.const(((1n << BigInt(stepBytes)) - 1n) << 8n);

const ahead = (value: Code, count: number): Code => i64.shrU(value, i64.const(BigInt(count)));
const behind = (value: Code, count: number): Code => i64.shl(value, i64.const(BigInt(count)));
const all = (...values: readonly Code[]): Code => values.reduce((a, b) => i64.and(a, b));
const any = (...values: readonly Code[]): Code => values.reduce((a, b) => i64.or(a, b));
const not = (value: Code): Code => i64.xor(value, i64.const(-1n));
/** Bits of a field from eight positions before `place` on. */
const around = (field: Field): Code => i64.load(get(bits), fieldAt(field) - 1);
/** Bits of a field from the position `at` on; the upper seven are not valid. */
const from = (field: Field): Code =>
  i64.shrU(
    i64.load(i32.shrU(get(at), i32.const(3)), fieldAt(field)),
    i64.extend(i32.and(get(at), i32.const(7))),
  );

/** The program that finds these kinds and no others. */
class Program {
  readonly #kinds: AnchorKinds;
  /** Bytes of the constant vectors, each in a local of its own. */
  readonly #constants: number[] = [];

  constructor(kinds: AnchorKinds) {
    this.#kinds = kinds;
  }

  code(): Code {
    const restart: Code = [...set(place, i32.const(0)), ...set(bits, i32.const(0))];
    const classify = this.#classify();
    return [
      [0, 1, 2, 3, 4, 5].flatMap((index) =>
        set(tables + index, i8x16.load(i32.const(0), tablesAt + index * 16)),
      ),
      this.#constants.flatMap((byte, index) => set(firstConstant + index, i8x16.splat(byte))),
      restart,
      whileLoop(i32.ltU(get(place), get(length)), classify, advance(16)),
      restart,
      set(out, i32.const(outputAt)),
      whileLoop(i32.ltU(get(place), get(length)), this.#locate(), advance(stepBytes)),
      i32.shrU(i32.add(get(out), i32.const(-outputAt)), i32.const(Math.log2(foundBytes))),
    ].flat();
  }

  #splat(byte: number): Code {
    let index = this.#constants.indexOf(byte);
    if (index === -1) index = this.#constants.push(byte) - 1;
    if (index >= mostConstants) throw new RangeError('more constants than locals');
    return get(firstConstant + index);
  }

  /** Bytes from `first` on, `count` of them. */
  #range(value: Code, first: number, count: number): Code {
    return i8x16.leU(i8x16.sub(value, this.#splat(first)), this.#splat(count - 1));
  }

  #is(byte: number, offset = 0): Code {
    return i8x16.eq(offset === 0 ? get(input) : i8x16.load(get(place), inputAt + offset), this.#splat(byte));
  }

  /** Buckets that the byte `offset` behind each position may belong to. */
  #buckets(offset: number): Code {
    const bytes = offset === 0 ? get(input) : i8x16.load(get(place), inputAt + offset);
    const nibble = this.#splat(0x0f);
    const low = i8x16.swizzle(get(tables + offset * 2), i8x16.and(bytes, nibble));
    const high = i8x16.swizzle(
      get(tables + offset * 2 + 1),
      i8x16.and(i8x16.shrU16(bytes, i32.const(4)), nibble),
    );
    return i8x16.and(low, high);
  }

  /** First pass: sixteen bytes to bits. */
  #classify(): Code {
    const { numbers: number, words, colons, mails, marks: marked } = this.#kinds;
    const isDigit = this.#range(get(input), 0x30, 10);
    const isLetter = this.#range(get(lower), 0x61, 26);
    return [
      set(input, i8x16.load(get(place), inputAt)),
      words || colons ? set(lower, i8x16.or(get(input), this.#splat(0x20))) : [],
      store(number || words, 'digit', () => isDigit),
      store(words, 'letter', () => isLetter),
      // a letter behind a backslash is the letter of an escape, not of a word
      store(words, 'word', () => i8x16.or(isDigit, i8x16.andNot(isLetter, this.#is(0x5c, -1)))),
      store(number || words, 'separator', () => i8x16.or(this.#range(get(input), 0x2d, 3), this.#is(0x20))),
      store(number, 'stop', () => this.#is(0x2e)),
      store(colons, 'colon', () => this.#is(0x3a)),
      store(colons, 'hex', () => i8x16.or(isDigit, this.#range(get(lower), 0x61, 6))),
      store(words, 'xyz', () => this.#range(get(lower), 0x78, 3)),
      marked ? set(marks, i8x16.and(i8x16.and(this.#buckets(0), this.#buckets(1)), this.#buckets(2))) : [],
      store(marked || mails, 'mark', () => {
        const mail = i8x16.or(
          this.#is(0x40),
          i8x16.and(i8x16.and(this.#is(0x25), this.#is(0x34, 1)), this.#is(0x30, 2)),
        );
        const mark = i8x16.not(i8x16.eq(get(marks), this.#splat(0)));
        return marked && mails ? i8x16.or(mark, mail) : marked ? mark : mail;
      }),
    ].flat();
  }

  /** Second pass: the bits of a step to positions. */
  #locate(): Code {
    const { numbers: number, words, colons, mails, marks: marked } = this.#kinds;
    const kinds: Code[] = [];
    if (marked || mails) kinds.push(around('mark'));
    if (number) kinds.push(all(get(starts), get(run)));
    if (words) kinds.push(wordAnchors);
    if (colons) kinds.push(colonAnchors);
    return [
      number || words ? set(digits, around('digit')) : [],
      words ? set(letters, around('letter')) : [],
      number ? numberAnchors : [],
      set(found, all(here, any(i64.const(0n), ...kinds))),
      number ? set(numbers, all(get(numbers), not(get(found)))) : [],
      set(scratch, number ? i64.or(get(found), get(numbers)) : get(found)),
      whileLoop(
        isSet(get(scratch)),
        set(bit, i64.ctz(get(scratch))),
        set(scratch, all(get(scratch), i64.sub(get(scratch), i64.const(1n)))),
        set(at, i32.add(get(place), i32.wrap(i64.sub(get(bit), i64.const(8n))))),
        when(
          number ? either(isFound, i32.const(1), worthwhile) : i32.const(1),
          confirmed(this.#kinds, from('digit')),
          when(i32.ne(get(result), i32.const(outcomes.refused)), emit),
        ),
      ),
    ].flat();
  }
}

/** Keeps the mask of a class as bits. */
const store = (wanted: boolean, field: Field, mask: () => Code): Code =>
  wanted ? i32.store16(get(bits), i8x16.bitmask(mask()), fieldAt(field)) : [];
const isSet = (value: Code): Code => i32.eqz(i64.eqz(value));
const isFound = i32.wrap(all(i64.shrU(get(found), get(bit)), i64.const(1n)));
const emit: Code = [
  ...i32.store(get(out), get(at), 0),
  ...i32.store(get(out), get(first), 4),
  ...i32.store(get(out), get(next), 8),
  ...i32.store(get(out), get(result), 12),
  ...set(out, i32.add(get(out), i32.const(foundBytes))),
];
const advance = (count: number): Code => [
  ...set(place, i32.add(get(place), i32.const(count))),
  ...set(bits, i32.add(get(bits), i32.const(count / 8))),
];

/** `LLdd`, `LL dd`, `LLLLLLdd`, `Xd`, `X-` at the beginning of a word. */
const wordAnchors = all(
  get(letters),
  not(behind(around('word'), 1)),
  any(
    all(around('xyz'), ahead(any(get(digits), around('separator')), 1)),
    all(ahead(get(letters), 1), ahead(get(digits), 2), ahead(get(digits), 3)),
    all(ahead(get(letters), 1), ahead(around('separator'), 2), ahead(get(digits), 3), ahead(get(digits), 4)),
    all(
      ...[1, 2, 3, 4, 5].map((count) => ahead(get(letters), count)),
      ahead(get(digits), 6),
      ahead(get(digits), 7),
    ),
  ),
);

/** `::`, or `:` behind four hex digits. */
const colonAnchors = all(
  around('colon'),
  any(ahead(around('colon'), 1), all(...[1, 2, 3, 4].map((count) => behind(around('hex'), count)))),
);

/**
 * `starts` of runs of digits; `run`: eight digits from here on; `numbers`: starts of runs of one to seven digits behind
 * which a separator and a digit stand.
 */
const numberAnchors: Code = [
  set(starts, all(get(digits), not(behind(get(digits), 1)), here)),
  set(numbers, i64.const(0n)),
  set(scratch, all(around('separator'), behind(get(digits), 1), ahead(get(digits), 1))),
  when(
    isSet(get(scratch)),
    set(run, get(starts)),
    ...[1, 2, 3, 4, 5, 6, 7].flatMap((count) => [
      set(numbers, i64.or(get(numbers), all(get(run), ahead(get(scratch), count)))),
      set(run, all(get(run), ahead(get(digits), count))),
    ]),
  ),
  set(run, all(get(digits), ahead(get(digits), 1))),
  set(run, all(get(run), ahead(get(run), 2))),
  set(run, all(get(run), ahead(get(run), 4))),
].flat();

/** 1 when nine digits, or three full stops, stand in the number that begins at `at`. */
const worthwhile: Code = [
  set(window, from('digit')),
  // digits, and separators between digits; the lowest zero ends the number
  set(span, i64.or(get(window), all(from('separator'), behind(get(window), 1), ahead(get(window), 1)))),
  set(span, i64.or(not(get(span)), i64.const(-1n << 56n))),
  set(span, all(not(get(span)), i64.sub(get(span), i64.const(1n)))), // the bits below the lowest zero
  either(
    i32.geU(i32.wrap(i64.popcnt(all(get(window), get(span)))), i32.const(9)),
    i32.const(1),
    i32.geU(i32.wrap(i64.popcnt(all(from('stop'), get(span)))), i32.const(3)),
  ),
].flat();

/** A set of three-byte marks as look-up tables, and the kinds of anchors that are asked for. */
export interface AnchorTables extends AnchorKinds {
  /** Six tables of sixteen bytes. */
  readonly lookUp: Uint8Array;
}

/** Each bucket: which bytes may come first, second and third; `null` stands for any. */
export type Bucket = readonly [string, string | null, string | null];

/** @param list at most eight buckets */
export function lookUpTables(list: readonly Bucket[]): Uint8Array {
  const built = new Uint8Array(96);
  for (const [bucket, bytes] of list.entries())
    for (const [offset, members] of bytes.entries()) {
      const low = offset * 32;
      for (let byte = 0; byte < 256; byte++) {
        if (members !== null && !members.includes(String.fromCharCode(byte))) continue;
        built[low + (byte & 15)]! |= 1 << bucket;
        built[low + 16 + (byte >> 4)]! |= 1 << bucket;
      }
    }
  return built;
}

/** A program with its memory, shared by all sessions that look for the same kinds. */
interface Engine {
  readonly scan: (bytes: number) => number;
  readonly memory: Uint8Array;
  readonly output: Int32Array;
  /** Whose look-up tables are in the memory. */
  loaded: AnchorTables | null;
}

const engines = new Map<string, Engine>();

function engineFor({
  numbers: number,
  words,
  colons,
  mails,
  marks: marked,
  cards,
  ssns,
}: AnchorKinds): Engine {
  const kinds = { numbers: number, words, colons, mails, marks: marked, cards, ssns };
  const key = JSON.stringify(kinds);
  let engine = engines.get(key);
  if (engine === undefined) {
    const source = { parameters: ['i32'] as const, locals, body: new Program(kinds).code() };
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes(source, pages)));
    const { memory, scan } = exports;
    if (!(memory instanceof WebAssembly.Memory) || !isScan(scan)) throw new TypeError('not the module');
    engine = {
      scan,
      memory: new Uint8Array(memory.buffer),
      output: new Int32Array(memory.buffer, outputAt),
      loaded: null,
    };
    engine.memory.set(kindsOfBytes, kindsAt);
    engines.set(key, engine);
  }
  return engine;
}

const isScan = (value: unknown): value is (bytes: number) => number => typeof value === 'function';

/** The block that is being looked at: bytes `[from, to)` of the scanned buffer, at most a block and its margins. */
export class AnchorBlock {
  readonly #tables: AnchorTables;
  readonly #engine: Engine;
  /** Where the block begins in the buffer, and its bytes. */
  origin = 0;
  length = 0;

  constructor(tables: AnchorTables) {
    this.#tables = tables;
    this.#engine = engineFor(tables);
  }

  /**
   * What `find` found, four numbers each: the anchor, then where the value that was confirmed there begins and ends, and its
   * detector; -1 instead: a detector has to be asked. Offsets in the block.
   */
  get output(): Int32Array {
    return this.#engine.output;
  }

  load(bytes: Uint8Array, from: number, to: number): void {
    this.origin = from;
    this.length = to - from;
    const { memory } = this.#engine;
    memory.set(bytes.subarray(from, to), inputAt);
    memory.fill(0, inputAt + this.length, inputAt + roundUp(this.length) + 16);
  }

  /** Puts a byte of no class before and behind each value, from value `first` on, as far as the block reaches. */
  cut(starts: Int32Array, ends: Int32Array, first: number, count: number): void {
    const { memory } = this.#engine;
    const from = this.origin;
    const length = this.length;
    for (let value = first; value < count; value++) {
      const before = starts[value]! - 1 - from;
      const after = ends[value]! - from;
      if (before >= length) break;
      if (before >= 0) memory[inputAt + before] = 0;
      if (after >= 0 && after < length) memory[inputAt + after] = 0;
    }
  }

  /** Finds the anchors; returns how many. */
  find(): number {
    const engine = this.#engine;
    if (engine.loaded !== this.#tables) {
      engine.memory.set(this.#tables.lookUp, tablesAt);
      engine.loaded = this.#tables;
    }
    return engine.scan(roundUp(this.length));
  }
}

/** To the end of the last step, and the bits behind it, so that no bit of an earlier block is seen there. */
const roundUp = (length: number): number => length - (length % 16) + 16 + stepBytes + 16;
