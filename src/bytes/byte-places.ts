/**
 * Where one byte stands in a buffer, sixteen bytes at a time: for rows that are split at every delimiter, where a loop over the
 * bytes costs more than what is done with the fields.
 */
import { get, i32, i64, i8x16, moduleBytes, set, whileLoop } from './wasm.ts';
import type { Code } from './wasm.ts';

/** Bytes that the program looks at in one step: the bits of an i64. */
const stepBytes = 64;
const blockBytes = 65_536;
const outputAt = blockBytes;
const pages = 1 + Math.ceil((4 * blockBytes) / 65_536);

// The parameters: bytes of the block, the byte that is looked for, and what is added to each place. Then the locals.
const length = 0;
const wanted = 1;
const base = 2;
const place = 3;
const out = 4;
const found = 5;
const sought = 6;

/** Sixteen of a step's bits. */
const quarter = (index: number): Code => {
  const equal = i8x16.eq(i8x16.load(get(place), 16 * index), get(sought));
  return i64.shl(i64.extend(i8x16.bitmask(equal)), i64.const(BigInt(16 * index)));
};

const body: Code = [
  set(sought, i8x16.splatOf(get(wanted))),
  set(out, i32.const(outputAt)),
  whileLoop(
    i32.ltU(get(place), get(length)),
    set(
      found,
      [0, 1, 2, 3].map(quarter).reduce((a, b) => i64.or(a, b)),
    ),
    whileLoop(
      i32.eqz(i64.eqz(get(found))),
      i32.store(get(out), i32.add(i32.add(get(place), get(base)), i32.wrap(i64.ctz(get(found))))),
      set(out, i32.add(get(out), i32.const(4))),
      set(found, i64.and(get(found), i64.sub(get(found), i64.const(1n)))),
    ),
    set(place, i32.add(get(place), i32.const(stepBytes))),
  ),
  i32.shrU(i32.sub(get(out), i32.const(outputAt)), i32.const(2)),
].flat();

type Scan = (length: number, wanted: number, base: number) => number;
const isScan = (value: unknown): value is Scan => typeof value === 'function';

/** The program with its memory, for all of the process: nobody else runs between its call and the copy of its answer. */
function instantiate(): { readonly scan: Scan; readonly input: Uint8Array; readonly output: Int32Array } {
  const source = {
    parameters: ['i32', 'i32', 'i32'] as const,
    locals: ['i32', 'i32', 'i64', 'v128'] as const,
    body,
  };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes(source, pages)));
  const { memory, scan } = exports;
  if (!(memory instanceof WebAssembly.Memory) || !isScan(scan)) throw new TypeError('not the module');
  return { scan, input: new Uint8Array(memory.buffer), output: new Int32Array(memory.buffer, outputAt) };
}

let program: ReturnType<typeof instantiate> | null = null;

export class BytePlaces {
  /** Ascending; `count` of them. Read the array from here after each `find`: it grows by being replaced. */
  places = new Int32Array(256);
  count = 0;

  /** Finds `byte` in `bytes[start, end)`. */
  find(bytes: Uint8Array, start: number, end: number, byte: number): void {
    program ??= instantiate();
    const { scan, input, output } = program;
    this.count = 0;
    for (let from = start; from < end; from += blockBytes) {
      const to = Math.min(end, from + blockBytes);
      input.set(bytes.subarray(from, to));
      let more = scan(to - from, byte, from);
      // the last step looks beyond the block, at what an earlier one left there
      while (more > 0 && output[more - 1]! >= to) more--;
      this.#reserve(more);
      this.places.set(output.subarray(0, more), this.count);
      this.count += more;
    }
  }

  #reserve(more: number): void {
    const needed = this.count + more;
    if (needed <= this.places.length) return;
    const larger = new Int32Array(Math.max(needed, 2 * this.places.length));
    larger.set(this.places.subarray(0, this.count));
    this.places = larger;
  }
}
