/**
 * Masking: what is sensitive, and what stands in its place. Implements gate/masking.ts for every protocol; described for
 * operators in docs/masking.md.
 *
 * Deliberately not here: where values stand in a protocol's messages and what keeps them valid (protocols/), who may see
 * an original (evidence/, policy/). It reads no clock, file or socket; the key of the hashes is given.
 *
 * Invariants: a finding never leaves its value, findings never overlap, and what any asked detector found is covered by one.
 * The first rule that names a detector or a column decides; an exempt rule counts as absent. A scan takes time linear in
 * its bytes, whatever they are.
 */
import type { ColumnSource, Findings, LiveText, Masking, ValueKind, ValueStream } from '../gate/masking.ts';
import { CustomScan } from './custom/custom.ts';
import { detectorNames } from './detectors/catalog.ts';
import { LiveScan } from './live.ts';
import type { TextTail } from './live.ts';
import { hash, redact, redactPartly } from './modes.ts';
import type { MaskMode } from './modes.ts';
import type { CompiledConfig, CompiledRule } from './rules.ts';
import { Scanner } from './scan/scanner.ts';
import { ScannedStream } from './stream.ts';
import { tailOf } from './tail/tail.ts';

export { compileConfig } from './rules.ts';
export type { CompiledConfig, MaskingConfig, MaskingRule } from './rules.ts';
export type { Masking } from '../gate/masking.ts';

/** For whom a session's masking is made. */
export interface MaskingScope {
  readonly target: { readonly name: string; readonly groups: readonly string[] };
  /** Groups of the principal, from the verified token. */
  readonly groups: readonly string[];
  /** Key of the hashes, 32 bytes; the same for all relays of an installation. */
  readonly hashKey: Uint8Array;
}

/** A rule from which a principal is exempt, and the groups that make it so, for the record. */
export interface Exemption {
  readonly rule: string;
  readonly groups: readonly string[];
}

export interface SessionRules {
  /** Null: nothing is masked. */
  readonly masking: Masking | null;
  readonly exemptions: readonly Exemption[];
}

/** What fixed text stands for a value when a rule names none. */
const defaultFixed = 'masked';
/** More than any detector looks back from what it finds: to the `://` before a long name and its password. */
const lookBackBytes = 640;

/** The rules that apply to one session. */
export function compileMasking(config: CompiledConfig, scope: MaskingScope): SessionRules {
  const exemptions = exemptionsOf(config, scope);
  const exempt = new Set(exemptions.map(({ rule }) => rule));
  const rules = config.rules.filter((each) => concerns(each, scope) && !exempt.has(each.rule.name));
  const masking = rules.length === 0 ? null : new SessionMasking(config, rules, scope.hashKey);
  return { masking, exemptions };
}

/** Rules that would apply at the target, and do not to somebody in these groups. */
export function exemptionsOf(
  { rules }: CompiledConfig,
  scope: Pick<MaskingScope, 'target' | 'groups'>,
): readonly Exemption[] {
  return rules.flatMap((compiled) => {
    const { name, exemptGroups } = compiled.rule;
    const groups = exemptGroups.filter((group) => scope.groups.includes(group));
    return groups.length > 0 && concerns(compiled, scope) ? [{ rule: name, groups }] : [];
  });
}

function concerns({ rule }: CompiledRule, { target }: Pick<MaskingScope, 'target'>): boolean {
  if (rule.targets.length === 0 && rule.targetGroups.length === 0) return true;
  return (
    rule.targets.includes(target.name) || rule.targetGroups.some((group) => target.groups.includes(group))
  );
}

/** One way for a rule to apply: by one of its detectors, by column, by output name. */
interface Entry {
  readonly mode: MaskMode;
  readonly name: string;
  readonly fixed: Buffer;
}

class SessionMasking implements Masking {
  readonly needsOrigins: boolean;
  readonly detects: boolean;
  readonly unknownColumnRule: number;
  readonly #config: CompiledConfig;
  readonly #key: Uint8Array;
  readonly #entries: Entry[] = [];
  readonly #columns: {
    readonly compiled: CompiledRule;
    readonly byColumn: number;
    readonly byOutput: number;
  }[];
  readonly #scanner: Scanner;
  readonly #tail: TextTail;

  constructor(config: CompiledConfig, rules: readonly CompiledRule[], key: Uint8Array) {
    this.#config = config;
    this.#key = key;
    const builtIn = new Int32Array(detectorNames.length).fill(-1);
    const custom = new Map<string, number>();
    for (const compiled of rules)
      for (const name of compiled.detectors) {
        const id = detectorNames.findIndex((each) => each === name);
        if (id === -1) {
          if (!custom.has(name)) custom.set(name, this.#entry(compiled, name));
        } else if (builtIn[id] === -1) builtIn[id] = this.#entry(compiled, name);
      }
    this.#columns = rules
      .filter(({ columns, outputs }) => columns.length + outputs.length > 0)
      .map((compiled) => ({
        compiled,
        byColumn: this.#entry(compiled, 'column'),
        byOutput: this.#entry(compiled, 'output'),
      }));
    this.unknownColumnRule =
      this.#columns.find(({ compiled }) => compiled.columns.length > 0)?.byColumn ?? -1;
    const scans = [...custom].map(([name, entry]) => new CustomScan(config.custom.get(name)!, entry));
    this.#scanner = new Scanner(builtIn, scans);
    this.#tail = tailOf(builtIn, scans);
    this.detects = scans.length > 0 || builtIn.some((rule) => rule !== -1);
    this.needsOrigins =
      rules.some(({ columns }) => columns.length > 0) || (this.detects && config.exemptColumns.length > 0);
  }

  columnRule(source: ColumnSource): number {
    for (const { compiled, byColumn, byOutput } of this.#columns) {
      if (compiled.columns.some((pattern) => pattern.matches(source))) return byColumn;
      if (compiled.outputs.some((pattern) => pattern.matches(source.name))) return byOutput;
    }
    return -1;
  }

  isExempt(source: ColumnSource): boolean {
    return this.#config.exemptColumns.some((pattern) => pattern.matches(source));
  }

  scan(bytes: Uint8Array, start: number, end: number): Findings {
    return this.#scanner.scan(bytes, start, end);
  }

  scanValues(bytes: Uint8Array, starts: Int32Array, ends: Int32Array, count: number): Findings {
    return this.#scanner.scanValues(bytes, starts, ends, count);
  }

  stream(): ValueStream {
    return new ScannedStream(this.#scanner);
  }

  live(): LiveText {
    return new LiveScan(this.#scanner, this.#tail, lookBackBytes);
  }

  keepsLength(rule: number): boolean {
    const { mode } = this.#entries[rule]!;
    return mode === 'redact' || mode === 'partial';
  }

  mask(rule: number, bytes: Buffer, start: number, end: number, kind: ValueKind): Buffer | 'null' | null {
    const { mode, fixed } = this.#entries[rule]!;
    switch (mode) {
      case 'redact':
        redact(bytes, start, end, kind);
        return null;
      case 'partial':
        redactPartly(bytes, start, end, kind);
        return null;
      case 'hash':
        return hash(this.#key, bytes, start, end, kind);
      case 'fixed':
        if (kind === 'text') return fixed;
        redact(bytes, start, end, kind);
        return null;
      case 'null':
        return 'null';
    }
  }

  redact(bytes: Uint8Array, start: number, end: number, kind: ValueKind): void {
    redact(bytes, start, end, kind);
  }

  ruleName(rule: number): string {
    return this.#entries[rule]!.name;
  }

  #entry(compiled: CompiledRule, by: string): number {
    const fixed = Buffer.from(compiled.rule.value ?? defaultFixed);
    return this.#entries.push({ mode: compiled.rule.mode, name: `${compiled.rule.name}/${by}`, fixed }) - 1;
  }
}
