/** Rules as an operator writes them, validated once at start; `masking.ts` makes of them what one session needs. */
import { ColumnPattern, NamePattern } from './columns.ts';
import { compilePattern } from './custom/pattern.ts';
import { compileWords } from './custom/words.ts';
import type { CustomAutomaton } from './custom/custom.ts';
import { detectorNames, detectorsOf } from './detectors/catalog.ts';
import { MaskingError } from './error.ts';
import type { MaskMode } from './modes.ts';

/** A detector of the operator's own: exactly one of `pattern` and `words`. */
export interface CustomDetector {
  readonly name: string;
  readonly pattern: string | null;
  readonly words: readonly string[] | null;
}

export interface MaskingRule {
  readonly name: string;
  /** Names of targets, and of groups of targets; both empty: every target. */
  readonly targets: readonly string[];
  readonly targetGroups: readonly string[];
  /** Names of detectors, classes of them, or custom ones. */
  readonly detect: readonly string[];
  /** `schema.table.column`. */
  readonly columns: readonly string[];
  /** Names of output columns. */
  readonly outputs: readonly string[];
  readonly mode: MaskMode;
  /** What `fixed` puts in place; null for its default. */
  readonly value: string | null;
  /** Groups of people to whom the rule does not apply. */
  readonly exemptGroups: readonly string[];
}

export interface MaskingConfig {
  readonly detectors: readonly CustomDetector[];
  readonly rules: readonly MaskingRule[];
  /** Columns whose values detectors leave alone, `schema.table.column`. */
  readonly exemptColumns: readonly string[];
}

/** What is wrong with a configuration, and where in it. */
export interface MaskingProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A rule with its names understood. */
export interface CompiledRule {
  readonly rule: MaskingRule;
  readonly columns: readonly ColumnPattern[];
  readonly outputs: readonly NamePattern[];
  /** Built-in and custom detectors by name. */
  readonly detectors: readonly string[];
}

/** A whole configuration with everything compiled that sessions share. */
export interface CompiledConfig {
  readonly rules: readonly CompiledRule[];
  readonly exemptColumns: readonly ColumnPattern[];
  readonly custom: ReadonlyMap<string, CustomAutomaton>;
}

/**
 * Compiles a configuration.
 * @returns with problems, what they are; nothing of a configuration with problems may be used
 */
export function compileConfig(config: MaskingConfig): CompiledConfig | readonly MaskingProblem[] {
  const problems: MaskingProblem[] = [];
  const attempt = <Value>(path: MaskingProblem['path'], make: () => Value): Value | null => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof MaskingError)) throw error;
      problems.push({ path, message: error.message });
      return null;
    }
  };
  const custom = new Map<string, CustomAutomaton>();
  for (const [index, detector] of config.detectors.entries()) {
    const path = ['detectors', index];
    if (detectorsOf(detector.name) !== null || custom.has(detector.name))
      problems.push({ path: [...path, 'name'], message: `there is a detector ${detector.name} already` });
    const source = detector.pattern === null ? 'words' : 'pattern';
    const automaton = attempt([...path, source], () =>
      detector.pattern === null ? compileWords(detector.words ?? []) : compilePattern(detector.pattern),
    );
    if (automaton !== null) custom.set(detector.name, automaton);
  }
  const columns = (path: MaskingProblem['path'], list: readonly string[]): ColumnPattern[] =>
    list.flatMap((text, index) => attempt([...path, index], () => ColumnPattern.parse(text)) ?? []);
  const rules = config.rules.map((rule, index): CompiledRule => {
    problems.push(...ruleProblems(config, rule, index));
    return {
      rule,
      columns: columns(['rules', index, 'columns'], rule.columns),
      outputs: rule.outputs.map((name) => new NamePattern(name)),
      detectors: rule.detect.flatMap((name): readonly string[] => detectorsOf(name) ?? [name]),
    };
  });
  const exemptColumns = columns(['exemptColumns'], config.exemptColumns);
  return problems.length > 0 ? problems : { rules, exemptColumns, custom };
}

function ruleProblems(config: MaskingConfig, rule: MaskingRule, index: number): MaskingProblem[] {
  const problems: MaskingProblem[] = [];
  const say = (message: string, ...path: (string | number)[]): void =>
    void problems.push({ path: ['rules', index, ...path], message });
  if (config.rules.findIndex(({ name }) => name === rule.name) !== index)
    say(`there is a rule ${rule.name} already`, 'name');
  if (rule.detect.length + rule.columns.length + rule.outputs.length === 0)
    say('masks nothing: expected detect, columns or outputs');
  const own = config.detectors.map(({ name }) => name);
  for (const [place, name] of rule.detect.entries())
    if (detectorsOf(name) === null && !own.includes(name))
      say(`no such detector; known are ${[...detectorNames, ...own].join(', ')}`, 'detect', place);
  if (rule.value !== null && rule.mode !== 'fixed') say('has a meaning with mode: fixed alone', 'value');
  return problems;
}
