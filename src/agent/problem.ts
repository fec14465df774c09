/** A refusal by the relay, as it told it (RFC 9457). */
import { HoopError } from '../errors.ts';
import type { StepUp } from '../model/authentication.ts';
import type { Problem } from '../wire/api.ts';

/** `code` is the relay's own, one of docs/errors.md: text from outside, for people and `switch`es, never for paths. */
export class RelayProblem extends HoopError<string> {
  /** HTTP status. */
  readonly status: number;
  /** Of `step-up-required`: what a fresh sign-in has to bring. */
  readonly stepUp: StepUp | null;

  constructor(problem: Problem) {
    super(problem.code, problem.title, problem.hint === undefined ? {} : { hint: problem.hint });
    this.status = problem.status;
    this.stepUp = problem.stepUp ?? null;
  }
}
