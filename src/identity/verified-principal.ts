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
import type { Principal } from '../model/principal.ts';

let make: (principal: Principal) => VerifiedPrincipal;

/** A principal whose issuer vouched for it; there is no other way to get one than through this folder. */
export class VerifiedPrincipal implements Principal {
  readonly kind: Principal['kind'];
  readonly issuer: string;
  readonly subject: string;
  readonly email: string | null;
  readonly groups: readonly string[];
  readonly #verified = true;

  private constructor(principal: Principal) {
    this.kind = principal.kind;
    this.issuer = principal.issuer;
    this.subject = principal.subject;
    this.email = principal.email;
    this.groups = Object.freeze([...new Set(principal.groups)].toSorted());
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
export const mintPrincipal = (principal: Principal): VerifiedPrincipal => make(principal);
