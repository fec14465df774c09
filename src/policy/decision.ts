import type { StepUp } from '../model/authentication.ts';
import type { Identity, Principal } from '../model/principal.ts';
import type { Action } from './schema.ts';

/** Only this folder can make a decision: what holds one was answered by the policies. */
const minted = Symbol('decision');

/** What was decided about one request. Immutable; may be shared by many equal requests. */
export class Decision {
  readonly #principal: string;
  readonly #actsFor: string | null;
  readonly action: Action;
  /** Name of the target, id of the session, or `this` for the relay. */
  readonly resource: string;
  readonly decision: 'allow' | 'deny';
  /** Ids of the policies that determined it, sorted; empty when no policy spoke (default deny) or on failure. */
  readonly policies: readonly string[];
  /** Policies that failed to evaluate, by id, or `engine`; not empty means deny. For the operator's log. */
  readonly errors: readonly string[];
  /** Of a denial that a fresh sign-in would lift: what it has to bring. */
  readonly stepUp: StepUp | null;

  private constructor(request: DecidedRequest, answer: Answer) {
    this.#principal = nameOf(request.principal);
    this.#actsFor = request.principal.actsFor === null ? null : nameOf(request.principal.actsFor);
    this.action = request.action;
    this.resource = request.resource;
    this.decision = answer.errors.length === 0 ? answer.decision : 'deny';
    // What permits does not determine a denial.
    this.policies =
      answer.errors.length > 0 && answer.decision === 'allow' ? [] : [...answer.policies].toSorted();
    this.errors = [...answer.errors].toSorted();
    this.stepUp = this.decision === 'deny' && this.errors.length === 0 ? answer.stepUp : null;
    Object.freeze(this.policies);
    Object.freeze(this.errors);
    Object.freeze(this);
  }

  /** For `policy/` alone; `key` cannot be had outside. */
  static mint(key: symbol, request: DecidedRequest, answer: Answer): Decision {
    if (key !== minted) throw new TypeError('only policy/ decides');
    return new Decision(request, answer);
  }

  /** True only for an allow of exactly this action by this principal on this resource. */
  allows(action: Action, principal: Who, resource: string): boolean {
    return (
      this.decision === 'allow' &&
      this.action === action &&
      this.resource === resource &&
      this.#principal === nameOf(principal) &&
      this.#actsFor === (principal.actsFor === null ? null : nameOf(principal.actsFor))
    );
  }
}

/** A principal, and for whom it acts. */
type Who = Pick<Principal, 'issuer' | 'subject' | 'actsFor'>;

const nameOf = ({ issuer, subject }: Identity): string => `${issuer}#${subject}`;

interface DecidedRequest {
  readonly principal: Who;
  readonly action: Action;
  readonly resource: string;
}

interface Answer {
  readonly decision: 'allow' | 'deny';
  readonly policies: readonly string[];
  readonly errors: readonly string[];
  readonly stepUp: StepUp | null;
}

/** Makes a decision; imported by `policies.ts` alone. */
export const decide = (request: DecidedRequest, answer: Answer): Decision =>
  Decision.mint(minted, request, answer);
