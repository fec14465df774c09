import type { StepUp } from '../model/authentication.ts';
import type { NeededGroup } from '../model/review.ts';
import { unionOfNeeds } from './review-rule.ts';

/** Only this folder can make a decision: what holds one was answered by the policies. */
const minted = Symbol('execute decision');

const none: readonly never[] = Object.freeze([]);

interface Answer {
  readonly kind: 'allow' | 'deny' | 'review';
  readonly policies: readonly string[];
  readonly needed?: readonly NeededGroup[];
  readonly errors?: readonly string[];
  readonly stepUp?: StepUp | null;
}

/**
 * What was decided about one command: it may run, may never run, or may run when people have approved. Immutable; one
 * object may answer for many equal commands of one principal at one target.
 */
export class ExecuteDecision {
  readonly #answer: Answer['kind'];
  /** Ids of the policies that determined it, sorted; empty when no policy spoke (default deny) or on failure. */
  readonly policies: readonly string[];
  /** Who has to approve, all of them; empty unless `review`. */
  readonly needed: readonly NeededGroup[];
  /** Policies that failed to evaluate, by id, or `engine`; not empty means deny. For the operator's log. */
  readonly errors: readonly string[];
  /** Of a denial that a fresh sign-in would lift: what it has to bring. */
  readonly stepUp: StepUp | null;

  private constructor(answer: Answer) {
    this.errors = Object.freeze([...(answer.errors ?? none)].toSorted());
    this.#answer = this.errors.length === 0 ? answer.kind : 'deny';
    // What permits does not determine a denial.
    const spoke = this.errors.length > 0 && answer.kind === 'allow' ? none : answer.policies;
    this.policies = Object.freeze([...spoke].toSorted());
    this.needed = this.#answer === 'review' ? (answer.needed ?? none) : none;
    this.stepUp = this.#answer === 'deny' && this.errors.length === 0 ? (answer.stepUp ?? null) : null;
    Object.freeze(this);
  }

  /** For `policy/` alone; `key` cannot be had outside. */
  static mint(key: symbol, answer: Answer): ExecuteDecision {
    if (key !== minted) throw new TypeError('only policy/ decides');
    return new ExecuteDecision(answer);
  }

  get kind(): 'allow' | 'deny' | 'review' {
    return this.#answer;
  }
}

/** Makes a decision; for `policies.ts` alone. */
export const decideExecute = (answer: Answer): ExecuteDecision => ExecuteDecision.mint(minted, answer);

/** Of a command that is two things: allowed only as both, and held for everybody who is asked about either. */
export function bothOf(one: ExecuteDecision, other: ExecuteDecision): ExecuteDecision {
  const denials = [one, other].filter(({ kind }) => kind === 'deny');
  // Of two denials that which no fresh sign-in lifts, so that nobody signs in for nothing.
  const denial = denials.find(({ stepUp }) => stepUp === null) ?? denials[0];
  if (denial !== undefined) return denial;
  const held = [one, other].filter(({ kind }) => kind === 'review');
  const speaking = held.length > 0 ? held : [one, other];
  return decideExecute({
    kind: held.length > 0 ? 'review' : 'allow',
    policies: [...new Set(speaking.flatMap(({ policies }) => policies))],
    needed: unionOfNeeds(held.map(({ needed }) => needed)),
  });
}
