/**
 * How and when the person behind a login proved who they are, as their provider says (OpenID Connect Core 1.0 §2). What
 * the provider does not say stays unknown: it is never guessed from the moment of the sign-in, which may have used up an
 * authentication of days ago.
 */
export interface Authentication {
  /** `auth_time`, milliseconds since the epoch; null: unknown. A renewal does not change it, a step-up does. */
  readonly timeMs: number | null;
  /** Authentication context class; null: unknown. */
  readonly acr: string | null;
  /** Methods (RFC 8176); may be empty. */
  readonly amr: readonly string[];
}

export const unknownAuthentication: Authentication = Object.freeze({
  timeMs: null,
  acr: null,
  amr: Object.freeze([]),
});

/** Whether both tell of the same act of authentication. */
export const sameAuthentication = (a: Authentication, b: Authentication): boolean =>
  a.timeMs === b.timeMs && a.acr === b.acr && a.amr.join('\n') === b.amr.join('\n');

/** What a fresh sign-in has to bring; one of the two is not null. */
export interface StepUp {
  /** How old the authentication may be; null: any age will do. */
  readonly maxAgeSeconds: number | null;
  /** Null: any class will do. */
  readonly acr: string | null;
}
