import { HoopError } from '../errors.ts';

/**
 * - `policy-test-unreadable`: the file of expectations cannot be read.
 * - `policy-test-invalid`: it is not one; `problems` says where and why.
 */
export class PolicyTestError extends HoopError<'policy-test-unreadable' | 'policy-test-invalid'> {
  /** `file:line:column: …`, each. */
  readonly problems: readonly string[];

  constructor(
    code: 'policy-test-unreadable' | 'policy-test-invalid',
    message: string,
    options: { problems?: readonly string[]; hint?: string; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.problems = options.problems ?? [];
  }
}
