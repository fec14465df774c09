/** Whether a person may let an agent act for them. */
import type { Principal } from '../../model/principal.ts';
import type { DelegateCircumstances } from '../../policy/request.ts';
import type { Policies } from '../../policy/policies.ts';
import type { Clock } from '../../system/clock.ts';

interface Asked {
  readonly person: Principal;
  readonly agent: Principal;
  readonly circumstances: Omit<DelegateCircumstances, 'timeMs'>;
}

/**
 * What policy says of `delegate`, asked about the agent as it is without a person. A person may, and nobody else: an agent's
 * agent would be nobody's.
 * @returns ids of the policies that let them; null when they may not
 */
export function policiesThatDelegate(
  { policies, clock }: { readonly policies: () => Policies; readonly clock: Clock },
  { person, agent, circumstances }: Asked,
): readonly string[] | null {
  if (person.kind !== 'person' || agent.kind !== 'agent') return null;
  const alone = { ...agent, actsFor: null };
  const decision = policies().delegate(person, alone, { timeMs: clock.wallMs(), ...circumstances });
  return decision.allows('delegate', person, `${agent.issuer}#${agent.subject}`) ? decision.policies : null;
}
