/**
 * Who acts: a person, a service account or an AI agent. The identity is issuer + subject; an e-mail address is
 * for people to read and decides nothing.
 */
export interface Identity {
  /** `iss` of the verified token, exactly as signed. */
  readonly issuer: string;
  /** `sub` of the verified token. */
  readonly subject: string;
}

export interface Principal extends Identity {
  readonly kind: 'person' | 'service' | 'agent';
  /** For display and search only; null when the issuer gave none. */
  readonly email: string | null;
  /** Names of groups, sorted, no duplicates; its own alone, never those of whom it acts for. */
  readonly groups: readonly string[];
  /** The person on whose behalf an agent acts; null for everybody else, and for agents that act by themselves. */
  readonly actsFor: ActedFor | null;
}

/** A person for whom an agent acts, as known when the agent signed in. */
export interface ActedFor extends Identity {
  readonly email: string | null;
  readonly groups: readonly string[];
}

/** Whether the same is known of a principal: e-mail and groups, and those of whom it acts for. */
export const sameStanding = (a: Principal, b: Principal): boolean =>
  JSON.stringify(standingOf(a)) === JSON.stringify(standingOf(b));

const standingOf = ({ email, groups, actsFor }: Principal) => [
  email,
  groups,
  actsFor?.email,
  actsFor?.groups,
];

/** Equality of identities: issuer + subject, never e-mail, never groups. */
export const samePrincipal = (a: Identity, b: Identity): boolean =>
  a.issuer === b.issuer && a.subject === b.subject;

/** Somebody who may act for somebody else. */
export type Party = Identity & { readonly actsFor?: Identity | null | undefined };

/** The person who answers for what is done: whom an agent acts for, else the principal itself. */
export const answerable = (party: Party): Identity => party.actsFor ?? party;

/**
 * Whether two have anybody in common: themselves, or a person for whom one of them acts. One party has one say, and none on
 * what it asked for itself.
 */
export function isOneParty(a: Party, b: Party): boolean {
  const [left, right] = [a, b].map((each) => [each, answerable(each)] as const);
  return left!.some((one) => right!.some((other) => samePrincipal(one, other)));
}

/** The same principal, acting for the same person or for nobody. */
export const sameParty = (a: Party, b: Party): boolean =>
  samePrincipal(a, b) && samePrincipal(answerable(a), answerable(b));

/**
 * Whether what `owner` did is the principal's own: the same party's, or that of an agent that acted for this person. Not that of
 * the same agent on behalf of another person.
 */
export const owns = (principal: Party, owner: Party): boolean =>
  sameParty(principal, owner) || (!principal.actsFor && samePrincipal(principal, answerable(owner)));
