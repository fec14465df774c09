/** Findings of a scan, in order and without overlap; grows by doubling and is used again for the next scan. */
import type { Findings } from '../gate/masking.ts';

export class FindingList implements Findings {
  length = 0;
  starts = new Int32Array(64);
  ends = new Int32Array(64);
  rules = new Int32Array(64);
  values = new Int32Array(64);

  clear(): void {
    this.length = 0;
  }

  /**
   * Adds a finding that begins, or whose anchor stands, behind those that are there. Where it overlaps the last ones, what
   * either covers stays covered: a longer one replaces those within it, else each keeps its first bytes.
   */
  add(start: number, end: number, rule: number, value: number): void {
    let last = this.length - 1;
    while (last >= 0 && this.values[last] === value && start <= this.starts[last]! && end >= this.ends[last]!)
      last--;
    this.length = last + 1;
    let from = start;
    if (last >= 0 && this.values[last] === value && from < this.ends[last]!) {
      if (from < this.starts[last]!) this.starts[last] = this.#free(last, from, value);
      from = this.ends[last]!;
      if (end <= from) return;
    }
    this.#push(from, end, rule, value);
  }

  /** The first offset from `start` on that finding `index` may take without touching the one before it. */
  #free(index: number, start: number, value: number): number {
    if (index === 0 || this.values[index - 1] !== value) return start;
    return Math.max(start, this.ends[index - 1]!);
  }

  #push(start: number, end: number, rule: number, value: number): void {
    if (this.length === this.starts.length) this.#grow();
    const index = this.length++;
    this.starts[index] = start;
    this.ends[index] = end;
    this.rules[index] = rule;
    this.values[index] = value;
  }

  #grow(): void {
    this.starts = larger(this.starts);
    this.ends = larger(this.ends);
    this.rules = larger(this.rules);
    this.values = larger(this.values);
  }
}

function larger(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(array.length * 2);
  copy.set(array);
  return copy;
}

/** Joins two lists, each in order, into a third (which is cleared first). */
export function mergeFindings(a: FindingList, b: FindingList, into: FindingList): void {
  into.clear();
  let left = 0;
  let right = 0;
  while (left < a.length || right < b.length) {
    const fromLeft = right >= b.length || (left < a.length && before(a, left, b, right));
    const list = fromLeft ? a : b;
    const index = fromLeft ? left++ : right++;
    into.add(list.starts[index]!, list.ends[index]!, list.rules[index]!, list.values[index]!);
  }
}

const before = (a: FindingList, left: number, b: FindingList, right: number): boolean =>
  a.starts[left]! <= b.starts[right]!;
