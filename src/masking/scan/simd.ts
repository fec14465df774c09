/**
 * The anchors of `anchors.ts`, sixteen bytes at a time in WebAssembly SIMD. Two passes over a block:
 *
 * 1. classes: each byte's membership of a class (digit, letter, separator, …) becomes one bit of that class's bit field. The
 *    marks of three bytes are found as Teddy does it (Hyperscan's literal matcher): for each of the three bytes two
 *    look-ups by nibble give the set of buckets, of eight, that the byte may belong to; all three agree on a bucket.
 * 2. places: 32 positions at a time, shifts and ands of the bit fields find runs and words. A short run of digits is an
 *    anchor only if nine digits stand there with separators among them, or three full stops.
 *
 * It finds every anchor that `nextAnchor` finds, but for numbers that are too short for any detector, and more, because
 * buckets hold more than their marks; detectors refuse those. The memory is shared by all sessions of the process: a block is
 * copied in, its anchors are read before anybody else runs.
 */
import { either, get, i32, i64, i8x16, moduleBytes, set, splat64, when, whileLoop } from './wasm.ts';
import type { Code, ValueType } from './wasm.ts';

/** Positions of a block. */
export const blockBytes = 65_536;
/** Bytes around a block that its anchors depend on. */
export const marginBytes = 64;

/** A block, its margins, and zeros to the end of the last step. */
const capacityBytes = blockBytes + 4 * marginBytes;
const fieldBytes = capacityBytes / 8;
/** Six look-up tables: for each of three bytes, by low and by high nibble. */
const tablesAt = 64;
/** Bit fields, one after another; the first has eight bytes before it that stay zero. */
const fieldsAt = 1024;
const inputAt = 131_072;
const outputAt = 262_144;
const pages = 9;

const fields = ['digit', 'letter', 'word', 'separator', 'stop', 'colon', 'hex', 'xyz', 'mark'] as const;
type Field = (typeof fields)[number];
const fieldAt = (field: Field): number => fieldsAt + fields.indexOf(field) * (fieldBytes + 16);

// Parameters: bytes of the input; masks that switch kinds of anchors on (all ones) or off (zero).
const length = 0;
const wantNumbers = 1;
const wantWords = 2;
const wantColons = 3;
const wantMails = 4;
const place = 5;
const bits = 6;
const out = 7;
const at = 8;
const input = 9; // v128
const lower = 10;
const prior = 11;
const marks = 12;
const digits = 13; // i64
const letters = 14;
const starts = 15;
const found = 16;
const numbers = 17;
const run = 18;
const scratch = 19;
const window = 20;
const span = 21;
const bit = 22;
const tables = 23; // v128, six of them
const locals: readonly ValueType[] = [
  ...(['i32', 'i32', 'i32', 'i32'] as const),
  ...(['v128', 'v128', 'v128', 'v128'] as const),
  ...(['i64', 'i64', 'i64', 'i64', 'i64', 'i64', 'i64', 'i64', 'i64', 'i64'] as const),
  ...(['v128', 'v128', 'v128', 'v128', 'v128', 'v128'] as const),
];

const splat = i8x16.splat;
const inRange = (value: Code, first: number, count: number): Code =>
  i8x16.ltU(i8x16.sub(value, splat(first)), splat(count));

/** Buckets that the byte `offset` behind each position may belong to. */
const buckets = (offset: number): Code => {
  const bytes = i8x16.load(get(place), inputAt + offset);
  const table = (half: number): Code => get(tables + offset * 2 + half);
  return i8x16.and(
    i8x16.swizzle(table(0), i8x16.and(bytes, splat(0x0f))),
    i8x16.swizzle(table(1), i8x16.shrU(bytes, i32.const(4))),
  );
};

const store = (field: Field, mask: Code): Code => i32.store16(get(bits), i8x16.bitmask(mask), fieldAt(field));

const classify: Code = [
  set(input, i8x16.load(get(place), inputAt)),
  set(lower, i8x16.or(get(input), splat(0x20))),
  // a letter behind a backslash is the letter of an escape, not of a word
  set(prior, i8x16.eq(i8x16.load(get(place), inputAt - 1), splat(0x5c))),
  store('digit', inRange(get(input), 0x30, 10)),
  store('letter', inRange(get(lower), 0x61, 26)),
  store(
    'word',
    i8x16.or(inRange(get(input), 0x30, 10), i8x16.andNot(inRange(get(lower), 0x61, 26), get(prior))),
  ),
  store('separator', i8x16.or(inRange(get(input), 0x2d, 3), i8x16.eq(get(input), splat(0x20)))),
  store('stop', i8x16.eq(get(input), splat(0x2e))),
  store('colon', i8x16.eq(get(input), splat(0x3a))),
  store('hex', i8x16.or(inRange(get(input), 0x30, 10), inRange(get(lower), 0x61, 6))),
  store('xyz', inRange(get(lower), 0x78, 3)),
  set(marks, i8x16.and(i8x16.and(buckets(0), buckets(1)), buckets(2))),
  store(
    'mark',
    i8x16.or(
      i8x16.ne(get(marks), splat(0)),
      // the address sign stands alone: no bucket for it
      i8x16.and(i8x16.eq(get(input), splat(0x40)), splat64(get(wantMails))),
    ),
  ),
].flat();

/** Bits of a field from eight positions before `place` on. */
const around = (field: Field): Code => i64.load(get(bits), fieldAt(field) - 1);
const ahead = (value: Code, count: number): Code =>
  count === 0 ? value : i64.shrU(value, i64.const(BigInt(count)));
const behind = (value: Code, count: number): Code => i64.shl(value, i64.const(BigInt(count)));
const all = (...values: readonly Code[]): Code => values.reduce((a, b) => i64.and(a, b));
const any = (...values: readonly Code[]): Code => values.reduce((a, b) => i64.or(a, b));
const not = (value: Code): Code => i64.xor(value, i64.const(-1n));

/** `LLdd`, `LL dd`, `LLLLLLdd`, `Xd`, `X-` at the beginning of a word. */
const words = all(
  get(wantWords),
  get(letters),
  not(behind(around('word'), 1)),
  any(
    all(ahead(around('xyz'), 0), ahead(any(get(digits), around('separator')), 1)),
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
const colons = all(
  get(wantColons),
  around('colon'),
  any(ahead(around('colon'), 1), all(...[1, 2, 3, 4].map((count) => behind(around('hex'), count)))),
);

/** Starts of runs of one to seven digits behind which a separator and a digit stand, collected in `numbers`. */
const shortRuns: Code = [
  set(scratch, all(around('separator'), behind(get(digits), 1), ahead(get(digits), 1))),
  set(run, get(starts)),
  ...[1, 2, 3, 4, 5, 6, 7].flatMap((count) => [
    set(numbers, i64.or(get(numbers), all(get(run), ahead(get(scratch), count)))),
    set(run, all(get(run), ahead(get(digits), count))),
  ]),
].flat();

/** Bits of a field from the position `at` on; the upper seven are not valid. */
const from = (field: Field): Code =>
  i64.shrU(
    i64.load(i32.shrU(get(at), i32.const(3)), fieldAt(field)),
    i64.extend(i32.and(get(at), i32.const(7))),
  );

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

const emit: Code = [...i32.store(get(out), get(at), 0), ...set(out, i32.add(get(out), i32.const(4)))];

/** Positions of 32 bytes, as the bits from 8 on. */
const here = i64.const(0xff_ff_ff_ff_00n);

const locate: Code = [
  set(digits, around('digit')),
  set(letters, around('letter')),
  set(starts, all(get(wantNumbers), get(digits), not(behind(get(digits), 1)), here)),
  set(numbers, i64.const(0n)),
  when(not32(i64.eqz(get(starts))), shortRuns),
  // runs of eight
  set(run, all(get(digits), ahead(get(digits), 1))),
  set(run, all(get(run), ahead(get(run), 2))),
  set(run, all(get(run), ahead(get(run), 4))),
  set(found, all(here, any(around('mark'), all(get(starts), get(run)), words, colons))),
  set(numbers, all(get(numbers), not(get(found)))),
  set(scratch, i64.or(get(found), get(numbers))),
  whileLoop(
    not32(i64.eqz(get(scratch))),
    set(bit, i64.ctz(get(scratch))),
    set(scratch, all(get(scratch), i64.sub(get(scratch), i64.const(1n)))),
    set(at, i32.add(get(place), i32.wrap(i64.sub(get(bit), i64.const(8n))))),
    either(i32.wrap(all(i64.shrU(get(found), get(bit)), i64.const(1n))), i32.const(1), worthwhile),
    [0x04, 0x40],
    emit,
    [0x0b],
  ),
].flat();

function not32(value: Code): Code {
  return [...value, 0x45];
}

const advance = (count: number): Code => [
  ...set(place, i32.add(get(place), i32.const(count))),
  ...set(bits, i32.add(get(bits), i32.const(count / 8))),
];
const restart: Code = [...set(place, i32.const(0)), ...set(bits, i32.const(0))];

const body: Code = [
  ...[0, 1, 2, 3, 4, 5].map((index) => set(tables + index, i8x16.load(i32.const(0), tablesAt + index * 16))),
  restart,
  whileLoop(i32.ltU(get(place), get(length)), classify, advance(16)),
  restart,
  set(out, i32.const(outputAt)),
  whileLoop(i32.ltU(get(place), get(length)), locate, advance(32)),
  i32.shrU(i32.add(get(out), i32.const(-outputAt)), i32.const(2)),
].flat();

/** A set of three-byte marks as look-up tables, and the kinds of anchors that are asked for. */
export interface AnchorTables {
  /** Six tables of sixteen bytes. */
  readonly lookUp: Uint8Array;
  readonly numbers: boolean;
  readonly words: boolean;
  readonly colons: boolean;
  readonly mails: boolean;
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

type Scan = (bytes: number, numbers: bigint, words: bigint, colons: bigint, mails: bigint) => number;

interface Engine {
  readonly scan: Scan;
  readonly memory: Uint8Array;
  readonly output: Int32Array;
}

let engine: Engine | null = null;
/** Whose tables are in the memory. */
let loaded: AnchorTables | null = null;

function openEngine(): Engine {
  const source = { parameters: ['i32', 'i64', 'i64', 'i64', 'i64'] as const, locals, body };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes(source, pages)));
  const { memory, scan } = exports;
  if (!(memory instanceof WebAssembly.Memory) || typeof scan !== 'function') throw new TypeError('no engine');
  return {
    scan: (...parameters) => Number(Reflect.apply(scan, undefined, parameters)),
    memory: new Uint8Array(memory.buffer),
    output: new Int32Array(memory.buffer, outputAt),
  };
}

/** The block that is being looked at: bytes `[from, to)` of the scanned buffer, at most a block and its margins. */
export class AnchorBlock {
  readonly #tables: AnchorTables;
  readonly #engine: Engine;
  #from = 0;
  #length = 0;

  constructor(tables: AnchorTables) {
    this.#tables = tables;
    this.#engine = engine ??= openEngine();
  }

  load(bytes: Uint8Array, from: number, to: number): void {
    this.#from = from;
    this.#length = to - from;
    const { memory } = this.#engine;
    memory.set(bytes.subarray(from, to), inputAt);
    memory.fill(0, inputAt + this.#length, inputAt + roundUp(this.#length) + 48);
  }

  /** Puts a byte of no class at this offset of the buffer, where it is in the block. */
  cut(offset: number): void {
    const index = offset - this.#from;
    if (index >= 0 && index < this.#length) this.#engine.memory[inputAt + index] = 0;
  }

  /** Finds the anchors; returns how many. */
  find(): number {
    const tables = this.#tables;
    if (loaded !== tables) {
      this.#engine.memory.set(tables.lookUp, tablesAt);
      loaded = tables;
    }
    return this.#engine.scan(
      roundUp(this.#length),
      tables.numbers ? -1n : 0n,
      tables.words ? -1n : 0n,
      tables.colons ? -1n : 0n,
      tables.mails ? -1n : 0n,
    );
  }

  /** Offset in the buffer of anchor `index`. */
  anchor(index: number): number {
    return this.#from + this.#engine.output[index]!;
  }
}

/** To the end of a step of 32, and 64 more, so that no bit of an earlier block is seen behind the last. */
const roundUp = (length: number): number => ((length + 31) & ~31) + 64;
