import { HoopError } from '../errors.ts';

/**
 * - `policy-invalid`: a policy file does not parse, does not fit the schema, or repeats an id. The relay does not start.
 * - `policy-unreadable`: a policy file cannot be read.
 */
export type PolicyErrorCode = 'policy-invalid' | 'policy-unreadable';

/** One thing wrong in a policy file; line and column count from 1, columns in characters. */
export interface PolicyProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Policies that cannot be used. Holds texts of the operator's own policy files, no data of users. */
export class PolicyError extends HoopError<PolicyErrorCode> {
  /** In order of file and place; empty for `policy-unreadable`. */
  readonly problems: readonly PolicyProblem[];

  constructor(
    code: PolicyErrorCode,
    message: string,
    options: { problems?: readonly PolicyProblem[]; hint?: string; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.problems = options.problems ?? [];
  }
}

/** `file:line:column: message`, the form that editors and terminals make clickable. */
export const formatProblem = (problem: PolicyProblem): string =>
  `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;
