/**
 * Identity: from what a caller presents to a `VerifiedPrincipal`, or a refusal.
 *
 * ID tokens of the configured issuer (OpenID Connect Core 1.0), proofs of possession (RFC 9449), the relay's own access
 * token, and requests signed by a login's key. Deliberately not here: sockets, files, HTTP answers, who may do what.
 * Network and storage come in as functions.
 *
 * Invariant: only this folder makes a `VerifiedPrincipal`, and only after a signature was verified. What is not one
 * never reaches policy.
 */
import type { ActedFor, Principal } from '../model/principal.ts';

/** As the verified token says it; only an agent acts for somebody. */
export type NewPrincipal = Omit<Principal, 'actsFor'> & { readonly actsFor?: ActedFor | null };

let make: (principal: NewPrincipal) => VerifiedPrincipal;

const sorted = (groups: readonly string[]): readonly string[] =>
  Object.freeze([...new Set(groups)].toSorted());

/** A principal whose issuer vouched for it; there is no other way to get one than through this folder. */
export class VerifiedPrincipal implements Principal {
  readonly kind: Principal['kind'];
  readonly issuer: string;
  readonly subject: string;
  readonly email: string | null;
  readonly groups: readonly string[];
  readonly actsFor: ActedFor | null;
  readonly #verified = true;

  private constructor(principal: NewPrincipal) {
    this.kind = principal.kind;
    this.issuer = principal.issuer;
    this.subject = principal.subject;
    this.email = principal.email;
    this.groups = sorted(principal.groups);
    const person = principal.kind === 'agent' ? (principal.actsFor ?? null) : null;
    this.actsFor = person === null ? null : Object.freeze({ ...person, groups: sorted(person.groups) });
    Object.freeze(this);
  }

  /** True only for values made here; an object of the same shape is not one. */
  static is(value: unknown): value is VerifiedPrincipal {
    return typeof value === 'object' && value !== null && #verified in value && value.#verified;
  }

  static {
    make = (principal) => new VerifiedPrincipal(principal);
  }
}

/** For this folder alone (a test enforces it): call it after the signature was verified. */
export const mintPrincipal = (principal: NewPrincipal): VerifiedPrincipal => make(principal);
