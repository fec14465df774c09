/**
 * Proof that policy allowed a verified principal to connect to a target. The relay's dialler takes nothing else, so there
 * is no way to a target around identity and policy. It names one target and goes with one session.
 */
import type { VerifiedPrincipal } from '../identity/verified-principal.ts';
import type { StepUp } from '../model/authentication.ts';
import type { TargetName } from '../model/ids.ts';
import type { TargetResource } from '../policy/entities.ts';
import type { Policies } from '../policy/policies.ts';
import type { ConnectCircumstances } from '../policy/request.ts';

/** Ids of the policies that said no; empty when none said yes (default deny). */
export interface Denial {
  readonly denied: true;
  readonly policies: readonly string[];
  /** What a fresh sign-in has to bring to lift it; null when none would. */
  readonly stepUp: StepUp | null;
}

export class Authorization {
  readonly denied = false;
  readonly principal: VerifiedPrincipal;
  readonly target: TargetName;
  /** Ids of the policies that said yes. */
  readonly policies: readonly string[];

  private constructor(principal: VerifiedPrincipal, target: TargetName, policies: readonly string[]) {
    this.principal = principal;
    this.target = target;
    this.policies = policies;
    Object.freeze(this);
  }

  /** Asks the policies; the only way to an Authorization. */
  static connect(
    policies: Policies,
    principal: VerifiedPrincipal,
    target: TargetResource,
    circumstances: ConnectCircumstances,
  ): Authorization | Denial {
    const decision = policies.connect(principal, target, circumstances);
    return decision.allows('connect', principal, target.name)
      ? new Authorization(principal, target.name, decision.policies)
      : { denied: true, policies: decision.policies, stepUp: decision.stepUp };
  }
}
