/** What the relay refuses to callers of its API, beyond identity, policy and configuration. */
import { HoopError } from '../errors.ts';
import type { StepUp } from '../model/authentication.ts';
import { stepUpHint } from '../policy/step-up.ts';

export type RelayErrorCode =
  | 'request-invalid' // the request is not what the schema says
  | 'target-unknown' // no such target, or none that the caller may see
  | 'connect-denied' // policy does not allow this principal to connect to this target
  | 'target-unreachable' // the target did not answer, or refused the relay's credential
  | 'session-unknown' // no live session of this id that the caller may act on
  | 'delegation-denied' // policy does not allow this person to let this agent act, or there is none
  | 'kill-denied' // policy does not allow this principal to end this session
  | 'step-up-required' // policy would allow it after a fresh sign-in
  | 'evidence-denied' // policy does not allow this principal to read evidence
  | 'evidence-unavailable' // the relay cannot record, so it opens no session; or the archive does not give what it alone has
  | 'reseal-refused' // these originals cannot be replaced, or not by this file
  | 'relay-draining' // the relay is stopping and opens no session
  | 'relay-overloaded' // a bound of the relay is reached
  | 'relay-bind-failed'; // the address cannot be listened on

export class RelayError extends HoopError<RelayErrorCode> {}

/** RFC 9470: allowed to somebody who has just signed in, as `stepUp` says. */
export class StepUpRequired extends RelayError {
  readonly stepUp: StepUp;

  /** @param what the beginning of a sentence: `To connect to db-prod` */
  constructor(what: string, stepUp: StepUp) {
    super('step-up-required', `${what} you have to sign in again.`, { hint: stepUpHint(stepUp) });
    this.stepUp = stepUp;
  }
}
