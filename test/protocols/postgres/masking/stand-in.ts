/**
 * A masking engine in a few lines, for tests of the protocol side: e-mail addresses, card numbers (16 digits that begin
 * with 4) and US SSNs. What it finds is as exact as the tests' own values.
 */
import type {
  ColumnSource,
  Findings,
  LiveText,
  Masking,
  ValueKind,
  ValueStream,
} from '../../../../src/gate/masking.ts';
import { ColumnPattern, NamePattern } from '../../../../src/masking/columns.ts';
import { hash, redact, redactPartly } from '../../../../src/masking/modes.ts';
import type { MaskMode } from '../../../../src/masking/modes.ts';

const detectors: Readonly<Record<string, RegExp>> = {
  email: /[\w.+-]+@[\w-]+(\.[\w-]+)+/g,
  card: /(?<![\w])4\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}(?![\w])/g,
  ssn: /(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])/g,
};

export interface StandInRule {
  readonly detect?: readonly string[];
  readonly columns?: readonly string[];
  readonly outputs?: readonly string[];
  readonly mode?: MaskMode;
  readonly value?: string;
}

class List implements Findings {
  starts = new Int32Array(16);
  ends = new Int32Array(16);
  rules = new Int32Array(16);
  values = new Int32Array(16);
  length = 0;

  set(found: readonly (readonly [start: number, end: number, rule: number, value: number])[]): this {
    this.length = found.length;
    this.starts = Int32Array.from(found, ([start]) => start);
    this.ends = Int32Array.from(found, ([, end]) => end);
    this.rules = Int32Array.from(found, ([, , rule]) => rule);
    this.values = Int32Array.from(found, ([, , , value]) => value);
    return this;
  }
}

export class StandIn implements Masking {
  readonly needsOrigins: boolean;
  readonly detects: boolean;
  readonly unknownColumnRule: number;
  readonly #rules: readonly StandInRule[];
  readonly #list = new List();
  scans = 0;

  constructor(...rules: StandInRule[]) {
    this.#rules = rules;
    this.detects = rules.some(({ detect }) => detect !== undefined);
    this.unknownColumnRule = rules.findIndex(({ columns }) => columns !== undefined);
    this.needsOrigins = this.unknownColumnRule !== -1;
  }

  columnRule(source: ColumnSource): number {
    return this.#rules.findIndex(
      ({ columns, outputs }) =>
        columns?.some((text) => ColumnPattern.parse(text).matches(source)) === true ||
        outputs?.some((text) => new NamePattern(text).matches(source.name)) === true,
    );
  }

  isExempt(): boolean {
    return false;
  }

  scan(bytes: Uint8Array, start: number, end: number): Findings {
    return this.#list.set(this.#find(bytes, start, end, 0));
  }

  scanValues(bytes: Uint8Array, starts: Int32Array, ends: Int32Array, count: number): Findings {
    const found: [number, number, number, number][] = [];
    for (let i = 0; i < count; i++) found.push(...this.#find(bytes, starts[i]!, ends[i]!, i));
    return this.#list.set(found);
  }

  #find(bytes: Uint8Array, start: number, end: number, value: number): [number, number, number, number][] {
    this.scans++;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
    const found: [number, number, number, number][] = [];
    for (const [rule, { detect }] of this.#rules.entries())
      for (const name of detect ?? [])
        for (const match of text.matchAll(detectors[name]!))
          found.push([start + match.index, start + match.index + match[0].length, rule, value]);
    return found.toSorted((a, b) => a[0] - b[0]);
  }

  /** Holds back what is not followed by a blank. */
  stream(): ValueStream {
    const list = new List();
    const stream = {
      decided: 0,
      push: (bytes: Uint8Array, start: number, end: number, last: boolean): Findings => {
        let decided = end;
        if (!last) while (decided > start && end - decided < 200 && bytes[decided - 1] !== 0x20) decided--;
        if (!last && bytes[decided - 1] !== 0x20) decided = Math.max(start, end - 200);
        stream.decided = decided;
        return list.set(this.#find(bytes, start, decided, 0));
      },
    };
    return stream;
  }

  live(): LiveText {
    throw new Error('PostgreSQL has whole messages.');
  }

  keepsLength(rule: number): boolean {
    return ['redact', 'partial'].includes(this.#rules[rule]!.mode ?? 'redact');
  }

  mask(rule: number, bytes: Buffer, start: number, end: number, kind: ValueKind): Buffer | 'null' | null {
    const { mode = 'redact', value = 'masked' } = this.#rules[rule]!;
    if (mode === 'null') return 'null';
    if (mode === 'hash') return hash(Buffer.alloc(32), bytes, start, end, kind);
    if (mode === 'fixed' && kind === 'text') return Buffer.from(value);
    if (mode === 'partial') redactPartly(bytes, start, end, kind);
    else redact(bytes, start, end, kind);
    return null;
  }

  redact(bytes: Uint8Array, start: number, end: number, kind: ValueKind): void {
    redact(bytes, start, end, kind);
  }

  ruleName(rule: number): string {
    return `rule-${rule}`;
  }
}
