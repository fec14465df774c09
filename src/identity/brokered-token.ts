/**
 * ID tokens of the relay's own provider when it is a broker: they say, in a claim of their own, whom an upstream issuer
 * vouched for. The principal is that issuer's. Only a token that has passed as one of our own provider comes here, so
 * nobody else's can carry the claim.
 */
import { decodeJwt } from 'jose';
import { z } from 'zod';
import { IdentityError } from './error.ts';
import type { VerifiedIdToken } from './id-token.ts';
import { mintPrincipal } from './verified-principal.ts';

/** Private to the relay; no registered claim has this meaning. */
export const brokeredClaim = 'hoop_upstream';

const Claim = z.strictObject({
  iss: z.string().min(1),
  sub: z.string().min(1),
  /** Seconds; null where the upstream does not say. */
  auth_time: z.number().nullable(),
  acr: z.string().nullable(),
  amr: z.array(z.string()),
  /** Seconds; absent where the upstream sets no end. */
  ends_at: z.number().optional(),
});
export type BrokeredClaim = z.infer<typeof Claim>;

export interface BrokeredIdToken extends VerifiedIdToken {
  /** Subject at our own provider: one sign-in, under which the upstream's answer is kept. */
  readonly signIn: string;
  /** As the upstream told it. */
  readonly authentication: {
    readonly timeMs: number | null;
    readonly acr: string | null;
    readonly amr: readonly string[];
  };
  /** When the sign-in is over by the upstream's own word; null when it sets no end. */
  readonly endsAtMs: number | null;
}

/**
 * @param verified what `IdTokens.verify` of our own provider made of `token`
 * @throws IdentityError `id-token-invalid` when it is not of a brokered sign-in, as those of before an upstream was configured
 */
export function brokeredIdToken(token: string, verified: VerifiedIdToken): BrokeredIdToken {
  const claim = Claim.safeParse(decodeJwt(token)[brokeredClaim]);
  if (!claim.success)
    throw new IdentityError('id-token-invalid', 'The ID token is not of a sign-in at the upstream issuer.', {
      hint: 'sign in again: hoop login',
    });
  const { iss, sub, auth_time: authTime, acr, amr, ends_at: endsAt } = claim.data;
  const { email, groups, subject } = verified.principal;
  return {
    ...verified,
    principal: mintPrincipal({ kind: 'person', issuer: iss, subject: sub, email, groups }),
    signIn: subject,
    authentication: { timeMs: authTime === null ? null : authTime * 1000, acr, amr },
    endsAtMs: endsAt === undefined ? null : endsAt * 1000,
  };
}
