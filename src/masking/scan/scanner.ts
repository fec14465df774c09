/**
 * One scan: anchors, candidates, findings. Short values are read byte by byte, long ones and many at once in blocks by
 * `simd.ts`; both ask the same detectors at the same places. Customers' detectors read each value once more.
 */
import type { CustomScan } from '../custom/custom.ts';
import { Candidates } from '../detectors/candidate.ts';
import { detectorId } from '../detectors/catalog.ts';
import { FindingList, mergeFindings } from '../findings.ts';
import { nextAnchor } from './anchors.ts';
import { blockBytes, marginBytes } from './memory.ts';
import { AnchorBlock } from './simd.ts';
import { anchorTables } from './tables.ts';

const atSign = 0x40;
/** Below this a loop over the bytes is faster than copying them to the block. */
const shortBytes = 160;

export class Scanner {
  readonly #candidates: Candidates;
  readonly #block: AnchorBlock;
  readonly #custom: readonly CustomScan[];
  readonly #rules: Int32Array;
  readonly #keyRule: number;
  /** Built-in detectors asked at all? */
  readonly #builtIn: boolean;
  #findings = new FindingList();
  #merged = new FindingList();
  readonly #own = new FindingList();
  /** What the last finding covers; only an address may begin before its anchor and go on behind it. */
  #covered = 0;
  /** The `@` behind the password of a URL, which is no address's. */
  #host = -1;
  readonly #one = { starts: new Int32Array(1), ends: new Int32Array(1) };

  /** @param rules the rule of each built-in detector, by index of `detectorNames`; -1: not asked */
  constructor(rules: Int32Array, custom: readonly CustomScan[]) {
    this.#candidates = new Candidates(rules);
    this.#rules = rules;
    this.#keyRule = rules[detectorId['private-key']]!;
    this.#builtIn = rules.some((rule) => rule !== -1);
    this.#block = new AnchorBlock(anchorTables(rules));
    this.#custom = custom;
  }

  /** Findings of one value. */
  scan(bytes: Uint8Array, start: number, end: number): FindingList {
    this.#one.starts[0] = start;
    this.#one.ends[0] = end;
    return this.scanValues(bytes, this.#one.starts, this.#one.ends, 1);
  }

  /** Findings of many values; see the contract in gate/masking.ts. */
  scanValues(bytes: Uint8Array, starts: Int32Array, ends: Int32Array, count: number): FindingList {
    this.#findings.clear();
    this.#covered = 0;
    this.#host = -1;
    if (this.#builtIn && count > 0) {
      if (ends[count - 1]! - starts[0]! < shortBytes)
        for (let value = 0; value < count; value++) this.#read(bytes, starts[value]!, ends[value]!, value);
      else this.#blocks(bytes, starts, ends, count);
    }
    for (const custom of this.#custom) {
      this.#own.clear();
      for (let value = 0; value < count; value++)
        custom.find(bytes, starts[value]!, ends[value]!, value, this.#own);
      if (this.#own.length > 0) this.#merge();
    }
    return this.#findings;
  }

  /** Findings of this rule are private keys, which may be as long as the value. */
  isPrivateKey(rule: number): boolean {
    return rule !== -1 && rule === this.#keyRule;
  }

  #merge(): void {
    mergeFindings(this.#findings, this.#own, this.#merged);
    [this.#findings, this.#merged] = [this.#merged, this.#findings];
  }

  #read(bytes: Uint8Array, start: number, end: number, value: number): void {
    for (let at = nextAnchor(bytes, start, start, end); at !== -1; at = nextAnchor(bytes, at + 1, start, end))
      this.#ask(bytes, at, start, end, value);
  }

  #ask(bytes: Uint8Array, at: number, start: number, end: number, value: number): void {
    if (at < this.#covered && bytes[at] !== atSign) return;
    if (at === this.#host) return;
    if (!this.#candidates.confirm(bytes, at, start, end)) return;
    const { match } = this.#candidates;
    this.#findings.add(match.start, match.end, this.#candidates.rule, value);
    this.#covered = Math.max(this.#covered, match.end);
    if (this.#candidates.detector === 'url-password') this.#host = match.end;
  }

  /** What was confirmed at `at`. */
  #take(at: number, start: number, end: number, detector: number, value: number): void {
    if ((at < this.#covered && start === at) || at === this.#host) return;
    this.#findings.add(start, end, this.#rules[detector]!, value);
    this.#covered = Math.max(this.#covered, end);
  }

  /** Blocks of the whole range; what stands between values is cut off from them, and found places there are passed over. */
  #blocks(bytes: Uint8Array, starts: Int32Array, ends: Int32Array, count: number): void {
    const first = starts[0]!;
    const last = ends[count - 1]!;
    let value = 0;
    for (let from = first; from < last; from += blockBytes) {
      const to = Math.min(last, from + blockBytes);
      this.#block.load(bytes, Math.max(first, from - marginBytes), Math.min(last, to + marginBytes));
      while (ends[value]! <= from - marginBytes) value++;
      this.#block.cut(starts, ends, Math.max(0, value - 1), count);
      const anchors = this.#block.find();
      const { output, origin, length } = this.#block;
      for (let index = 0; index < 4 * anchors; index += 4) {
        const at = origin + output[index]!;
        if (at < from) continue;
        if (at >= to) break;
        while (ends[value]! <= at) value++;
        if (at < starts[value]!) continue;
        const start = output[index + 1]!;
        const end = output[index + 2]!;
        const detector = output[index + 3]!;
        // what reaches the ends of the block may go on behind them
        if (detector >= 0 && start > 0 && end < length)
          this.#take(at, origin + start, origin + end, detector, value);
        else this.#ask(bytes, at, starts[value]!, ends[value]!, value);
      }
    }
  }
}
