import { PolicyError, formatProblem } from '../policy/error.ts';
import { PolicyTestError } from './policy-test-error.ts';
import { ConfigError, formatConfigProblem } from './config/error.ts';

/** Every problem of a configuration or of policies, as `file:line:column: …`; empty for other failures. */
export function problemLines(error: unknown): string[] {
  if (error instanceof PolicyError) return error.problems.map(formatProblem);
  if (error instanceof PolicyTestError) return [...error.problems];
  if (!(error instanceof ConfigError)) return [];
  const { file, problems } = error;
  return problems.map((problem) => formatConfigProblem(file ?? 'relay.yaml', problem));
}
