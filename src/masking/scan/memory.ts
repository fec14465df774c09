/** Where the program of `simd.ts` keeps what: addresses in its memory, and its locals. */
import type { ValueType } from '../../bytes/wasm.ts';

/** Positions of a block. */
export const blockBytes = 65_536;
/** Bytes around a block that its anchors depend on. */
export const marginBytes = 64;

/** A block, its margins, and zeros to the end of the last step. */
const capacityBytes = blockBytes + 4 * marginBytes;
const fieldBytes = capacityBytes / 8;

/** Six look-up tables: for each of three bytes, by low and by high nibble. */
export const tablesAt = 64;
/** Of each byte, what `confirm.ts` asks about it. */
export const kindsAt = 256;
/** Bit fields, one after another; the first has eight bytes before it that stay zero. */
const fieldsAt = 1024;
/** There are zeros before it, as before and behind every value. */
export const inputAt = 131_072;
/** What was found, four numbers each. */
export const outputAt = 262_144;
export const foundBytes = 16;
export const pages = Math.ceil((outputAt + capacityBytes * foundBytes) / 65_536);

const fields = ['digit', 'letter', 'word', 'separator', 'stop', 'colon', 'hex', 'xyz', 'mark'] as const;
export type Field = (typeof fields)[number];
export const fieldAt = (field: Field): number => fieldsAt + fields.indexOf(field) * (fieldBytes + 16);

// The parameter: bytes of the input. Then the locals.
export const length = 0;
export const place = 1;
export const bits = 2;
export const out = 3;
export const at = 4;
/** Of what is being confirmed: where it begins, and what was walked of it. */
export const first = 5;
export const next = 6;
export const label = 7;
export const walked = 8;
export const result = 9;
export const digits = 10;
export const letters = 11;
export const starts = 12;
export const found = 13;
export const numbers = 14;
export const run = 15;
export const scratch = 16;
export const window = 17;
export const span = 18;
export const bit = 19;
export const input = 20;
export const lower = 21;
export const marks = 22;
/** Six look-up tables, then constants. */
export const tables = 23;
export const firstConstant = 29;
export const mostConstants = 24;
export const locals: readonly ValueType[] = [
  ...Array.from({ length: 9 }, (): ValueType => 'i32'),
  ...Array.from({ length: 10 }, (): ValueType => 'i64'),
  ...Array.from({ length: 9 + mostConstants }, (): ValueType => 'v128'),
];
