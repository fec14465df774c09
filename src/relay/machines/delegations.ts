/** Whether a person may let an agent act for them. */
import type { StepUp } from '../../model/authentication.ts';
import type { Principal } from '../../model/principal.ts';
import type { DelegateCircumstances } from '../../policy/request.ts';
import type { Policies } from '../../policy/policies.ts';
import type { Clock } from '../../system/clock.ts';

export interface DelegateAnswer {
  /** Ids of the policies that let them; null when they may not. */
  readonly policies: readonly string[] | null;
  /** Of a no that a fresh sign-in would make a yes. */
  readonly stepUp: StepUp | null;
}

interface Asked {
  readonly person: Principal;
  readonly agent: Principal;
  readonly circumstances: Omit<DelegateCircumstances, 'timeMs'>;
}

/**
 * What policy says of `delegate`, asked about the agent as it is without a person. A person may, and nobody else: an agent's
 * agent would be nobody's.
 */
export function decideDelegate(
  { policies, clock }: { readonly policies: () => Policies; readonly clock: Clock },
  { person, agent, circumstances }: Asked,
): DelegateAnswer {
  if (person.kind !== 'person' || agent.kind !== 'agent') return { policies: null, stepUp: null };
  const alone = { ...agent, actsFor: null };
  const decision = policies().delegate(person, alone, { timeMs: clock.wallMs(), ...circumstances });
  const allowed = decision.allows('delegate', person, `${agent.issuer}#${agent.subject}`);
  return { policies: allowed ? decision.policies : null, stepUp: decision.stepUp };
}
