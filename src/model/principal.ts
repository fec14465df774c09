/**
 * Who acts: a person, a service account or an AI agent. The identity is issuer + subject; an e-mail address is
 * for people to read and decides nothing.
 */
export interface Principal {
  readonly kind: 'person' | 'service' | 'agent';
  /** `iss` of the verified ID token, exactly as signed. */
  readonly issuer: string;
  /** `sub` of the verified ID token. */
  readonly subject: string;
  /** For display and search only; null when the issuer gave none. */
  readonly email: string | null;
  /** Names of groups from the token, sorted, no duplicates. */
  readonly groups: readonly string[];
}

/** Equality of principals: issuer + subject, never e-mail, never groups. */
export const samePrincipal = (a: Principal, b: Principal): boolean =>
  a.issuer === b.issuer && a.subject === b.subject;
