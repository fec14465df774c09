/** A principal's name for people to read; it decides nothing. */
import type { Identity } from '../model/principal.ts';
import { visible } from './colour.ts';

type ActedFor = Identity & Named;

interface Named {
  readonly email: string | null;
  readonly subject: string;
}

/** An agent is named with the person for whom it acts. */
export function nameOf(principal: Named & { readonly actsFor?: Named | null }): string {
  const { actsFor } = principal;
  const own = visible(principal.email ?? principal.subject);
  return actsFor == null ? own : `${own} for ${visible(actsFor.email ?? actsFor.subject)}`;
}

/** Facts about the person for whom an agent acts, as a line of their own; none for others. */
export const actsForFact = ({ actsFor }: { readonly actsFor: ActedFor | null }): [string, string][] =>
  actsFor === null ? [] : [['acts for', `${actsFor.email ?? actsFor.subject} (${actsFor.issuer})`]];
