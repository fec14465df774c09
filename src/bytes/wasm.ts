/**
 * Just enough of WebAssembly's binary format (https://webassembly.github.io/spec/core/binary/) to write one function by
 * hand, so that inner loops over bytes are source that can be read here, and building needs no other compiler. Each
 * function returns the bytes of an expression or statement; operands come first, as on the stack.
 */

export type Code = readonly number[];
export type ValueType = 'i32' | 'i64' | 'v128';

const typeCode: Readonly<Record<ValueType, number>> = { i32: 0x7f, i64: 0x7e, v128: 0x7b };

/** Unsigned LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

/** Signed LEB128. */
export function signed(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const done = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

const binary =
  (opcode: number) =>
  (a: Code, b: Code): Code => [...a, ...b, opcode];
const unary =
  (opcode: number) =>
  (a: Code): Code => [...a, opcode];
const vector =
  (opcode: number) =>
  (...operands: readonly Code[]): Code => [...operands.flat(), 0xfd, ...unsigned(opcode)];

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(BigInt(value))],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0x36,
    2,
    ...unsigned(offset),
  ],
  store16: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0x3b,
    0,
    ...unsigned(offset),
  ],
  load: (address: Code, offset = 0): Code => [...address, 0x28, 0, ...unsigned(offset)],
  /** One byte. */
  load8: (address: Code, offset = 0): Code => [...address, 0x2d, 0, ...unsigned(offset)],
  add: binary(0x6a),
  sub: binary(0x6b),
  remU: binary(0x70),
  and: binary(0x71),
  or: binary(0x72),
  shrU: binary(0x76),
  eq: binary(0x46),
  ne: binary(0x47),
  ltU: binary(0x49),
  gtU: binary(0x4b),
  geU: binary(0x4f),
  eqz: unary(0x45),
  wrap: unary(0xa7),
};

export const i64 = {
  const: (value: bigint): Code => [0x42, ...signed(BigInt.asIntN(64, value))],
  load: (address: Code, offset = 0): Code => [...address, 0x29, 0, ...unsigned(offset)],
  eqz: unary(0x50),
  ctz: unary(0x7a),
  popcnt: unary(0x7b),
  add: binary(0x7c),
  sub: binary(0x7d),
  mul: binary(0x7e),
  and: binary(0x83),
  or: binary(0x84),
  xor: binary(0x85),
  shl: binary(0x86),
  shrU: binary(0x88),
  extend: unary(0xad),
};

export const i8x16 = {
  load: (address: Code, offset = 0): Code => [...address, 0xfd, 0, 0, ...unsigned(offset)],
  splat: (value: number): Code => [...i32.const(value), 0xfd, 15],
  splatOf: (value: Code): Code => [...value, 0xfd, 15],
  /** Of sixteen bits, the lower byte first. */
  splat16: (value: number): Code => [...i32.const(value), 0xfd, 16],
  /** Relaxed: indices have to be below 16. */
  swizzle: vector(0x100),
  eq: vector(35),
  leU: vector(42),
  bitmask: vector(100),
  /** Of sixteen bits: the upper bits of a byte are those of its neighbour. */
  shrU16: vector(141),
  add: vector(110),
  sub: vector(113),
  gtU: vector(40),
  /** One half, as an i64. */
  half: (value: Code, index: 0 | 1): Code => [...value, 0xfd, ...unsigned(29), index],
  not: vector(77),
  and: vector(78),
  andNot: vector(79),
  or: vector(80),
};

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
/** The value itself, kept. */
export const tee = (local: number, value: Code): Code => [...value, 0x22, ...unsigned(local)];
/** `while (condition) body`. */
export const whileLoop = (condition: Code, ...body: readonly Code[]): Code => [
  0x02,
  0x40,
  0x03,
  0x40,
  ...condition,
  0x45,
  0x0d,
  1,
  ...body.flat(),
  0x0c,
  0,
  0x0b,
  0x0b,
];
/** Statements that `leaveIf` ends early. */
export const block = (...body: readonly Code[]): Code => [0x02, 0x40, ...body.flat(), 0x0b];
/** @param loops that stand around it within the block */
export const leaveIf = (condition: Code, loops = 0): Code => [...condition, 0x0d, 2 * loops];
export const when = (condition: Code, ...body: readonly Code[]): Code => [
  ...condition,
  0x04,
  0x40,
  ...body.flat(),
  0x0b,
];
/** A choice between two i32 values. */
export const either = (condition: Code, yes: Code, no: Code): Code => [
  ...condition,
  0x04,
  0x7f,
  ...yes,
  0x05,
  ...no,
  0x0b,
];

export interface FunctionSource {
  readonly parameters: readonly ValueType[];
  readonly locals: readonly ValueType[];
  /** Leaves an i32, the result. */
  readonly body: Code;
}

const section = (id: number, content: readonly number[]): number[] => [
  id,
  ...unsigned(content.length),
  ...content,
];
const name = (text: string): number[] => [...unsigned(text.length), ...Buffer.from(text, 'latin1')];

/** A module with one memory, exported as `memory`, and one function, exported as `scan`. */
export function moduleBytes(source: FunctionSource, pages: number): Uint8Array<ArrayBuffer> {
  const locals = source.locals.flatMap((type) => [1, typeCode[type]]);
  const code = [...unsigned(source.locals.length), ...locals, ...source.body, 0x0b];
  const parameters = source.parameters.map((type) => typeCode[type]);
  return Uint8Array.from([
    0x00,
    0x61,
    0x73,
    0x6d,
    0x01,
    0x00,
    0x00,
    0x00,
    ...section(1, [1, 0x60, ...unsigned(parameters.length), ...parameters, 1, typeCode.i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 1, ...unsigned(pages), ...unsigned(pages)]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('scan'), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}
