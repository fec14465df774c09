/** The `masking:` section: names that rules use exist, patterns compile; what is masked and how is `masking/`'s own. */
import { compileConfig } from '../../masking/masking.ts';
import type { CompiledConfig, MaskingConfig } from '../../masking/masking.ts';
import type { RuleProblem } from './rules.ts';
import type { RelayFile } from './schema.ts';

/** All broken rules of the section. A rule for a target or group that is not there would protect nobody: it is one. */
export function* maskingProblems(file: RelayFile): Generator<RuleProblem> {
  const { detectors, rules } = file.masking;
  for (const [at, { pattern, words }] of detectors.entries())
    if ((pattern === undefined) === (words === undefined))
      yield { path: ['masking', 'detectors', `${at}`], message: 'expected either pattern or words' };
  const groups = new Set(Object.values(file.targets).flatMap((target) => target.groups));
  for (const [at, rule] of rules.entries()) {
    for (const [index, name] of rule.targets.entries())
      if (!Object.hasOwn(file.targets, name))
        yield { path: ['masking', 'rules', `${at}`, 'targets', `${index}`], message: 'no such target' };
    for (const [index, group] of rule.targetGroups.entries())
      if (!groups.has(group))
        yield {
          path: ['masking', 'rules', `${at}`, 'targetGroups', `${index}`],
          message: 'no target is in this group',
        };
  }
  const compiled = compileConfig(maskingConfigOf(file));
  if ('custom' in compiled) return;
  for (const { path, message } of compiled) yield { path: ['masking', ...path.map(String)], message };
}

/** The section compiled; the file has passed `maskingProblems`. */
export function compiledMasking(file: RelayFile): CompiledConfig {
  const compiled = compileConfig(maskingConfigOf(file));
  if ('custom' in compiled) return compiled;
  throw new TypeError('masking that the rules let through');
}

function maskingConfigOf({ masking }: RelayFile): MaskingConfig {
  return {
    detectors: masking.detectors.map(({ name, pattern, words }) => ({
      name,
      pattern: pattern ?? null,
      words: words ?? null,
    })),
    rules: masking.rules.map(({ value, exempt, ...rule }) => ({
      ...rule,
      value: value ?? null,
      exemptGroups: exempt?.groups ?? [],
    })),
    exemptColumns: masking.exemptColumns,
  };
}
