/**
 * Speed of the masking engine by itself: DataRow messages of a table of customers through `scanValues` and `mask`, as the
 * data path does. `node test/bench/masking.ts`; figures are of one core. The floor of the whole path (120 MB per CPU-second
 * of relay, bulk with e-mail, card and social security numbers masked) leaves masking alone at least 500.
 */
import { compileConfig, compileMasking } from '../../src/masking/masking.ts';
import type { Masking, MaskingRule } from '../../src/masking/masking.ts';

interface Run {
  /** Messages, one after another. */
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly count: number;
}

const random = (() => {
  let state = 42;
  return (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
})();
const digits = (count: number): string => Array.from({ length: count }, () => random(10)).join('');
const words =
  'order shipped to customer without delay and invoice sent later today by the warehouse team in time'.split(
    ' ',
  );
const text = (count: number): string =>
  Array.from({ length: count }, () => words[random(words.length)]).join(' ');

function withLuhn(start: string): string {
  for (let last = 0; last < 10; last++) {
    const number = `${start}${last}`;
    const sum = Array.from(number)
      .toReversed()
      .reduce((total, digit, index) => {
        const value = Number(digit) * (index % 2 === 1 ? 2 : 1);
        return total + (value > 9 ? value - 9 : value);
      }, 0);
    if (sum % 10 === 0) return number;
  }
  throw new Error('no check digit');
}

/** One DataRow after another, about 220 bytes each. */
function rows(count: number, sensitive: boolean): Run {
  const parts: Buffer[] = [];
  const starts = new Int32Array(count * 7);
  const ends = new Int32Array(count * 7);
  let offset = 0;
  let values = 0;
  for (let row = 0; row < count; row++) {
    const fields = [
      String(100_000 + row),
      `${text(1)} ${text(1)}`,
      sensitive ? `user${row}@example.com` : text(2),
      sensitive ? withLuhn(`4${digits(14)}`) : digits(6),
      sensitive ? `${1 + random(8)}${digits(2).replace('66', '12')}-4${digits(1)}-1${digits(3)}` : text(1),
      `2026-11-${10 + random(19)} 1${random(10)}:23:45.${digits(6)}+00`,
      text(18),
    ].map((value) => Buffer.from(value));
    const length = 6 + fields.reduce((sum, field) => sum + 4 + field.length, 0);
    const message = Buffer.alloc(length + 1);
    message.write('D');
    message.writeInt32BE(length, 1);
    message.writeInt16BE(fields.length, 5);
    let place = 7;
    for (const field of fields) {
      message.writeInt32BE(field.length, place);
      field.copy(message, place + 4);
      starts[values] = offset + place + 4;
      place += 4 + field.length;
      ends[values++] = offset + place;
    }
    parts.push(message);
    offset += message.length;
  }
  return { bytes: Buffer.concat(parts), starts, ends, count: values };
}

function masking(detect: readonly string[]): Masking {
  const rule: MaskingRule = {
    name: 'bench',
    targets: [],
    targetGroups: [],
    detect,
    columns: [],
    outputs: [],
    mode: 'redact',
    value: null,
    exemptGroups: [],
  };
  const config = compileConfig({ detectors: [], rules: [rule], exemptColumns: [] });
  if (!('custom' in config)) throw new Error(JSON.stringify(config));
  const scope = { target: { name: 'db', groups: [] }, groups: [], hashKey: new Uint8Array(32) };
  const made = compileMasking(config, scope).masking;
  if (made === null) throw new Error('no rule applies');
  return made;
}

/** MB per second of CPU, the best of several rounds, and findings of a round. */
function measure(work: Masking, run: Run, mask: boolean): { rate: number; found: number } {
  const copy = Buffer.from(run.bytes);
  let best = Infinity;
  let found = 0;
  for (let round = 0; round < 40; round++) {
    run.bytes.copy(copy);
    const before = process.cpuUsage();
    const findings = work.scanValues(copy, run.starts, run.ends, run.count);
    if (mask)
      for (let index = 0; index < findings.length; index++)
        work.mask(findings.rules[index]!, copy, findings.starts[index]!, findings.ends[index]!, 'text');
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, user + system);
    found = findings.length;
  }
  return { rate: run.bytes.length / best, found };
}

const runs: readonly (readonly [string, Run])[] = [
  ['rows with e-mail, card, SSN', rows(20_000, true)],
  ['rows without', rows(20_000, false)],
];
const sets: readonly (readonly [string, readonly string[]])[] = [
  ['email card us-ssn', ['email', 'card', 'us-ssn']],
  ['personal', ['personal']],
  ['personal secrets ip-address', ['personal', 'secrets', 'ip-address']],
];
for (const [data, run] of runs)
  for (const [name, detect] of sets) {
    const work = masking(detect);
    const scanned = measure(work, run, false);
    const masked = measure(work, run, true);
    const line = [
      data,
      name,
      `scan ${scanned.rate.toFixed(0)} MB/s`,
      `with masking ${masked.rate.toFixed(0)} MB/s`,
    ];
    process.stdout.write(`${line.join(' · ')} · ${masked.found} findings\n`);
  }
