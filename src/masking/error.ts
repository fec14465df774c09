import { HoopError } from '../errors.ts';

/**
 * - `masking-rule-invalid`: rules contradict one another or name what does not exist. The relay does not start.
 * - `masking-pattern-invalid`: a customer's pattern is outside the language of `docs/masking.md`, or too large.
 */
export type MaskingErrorCode = 'masking-rule-invalid' | 'masking-pattern-invalid';

/** Rules that cannot be used. Texts are the operator's own; never data of users. */
export class MaskingError extends HoopError<MaskingErrorCode> {}
