/** Logout tokens of an issuer (OpenID Connect Back-Channel Logout 1.0 §2.4, §2.6): a session, or all of a person's, ended there. */
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JWTPayload } from 'jose';
import { z } from 'zod';
import type { Clock } from '../system/clock.ts';
import { IdentityError } from './error.ts';
import { signatureAlgorithms } from './id-token.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import type { ReplayCache } from './replay.ts';

const event = 'http://schemas.openid.net/event/backchannel-logout';
const toleranceSeconds = 60;
/** One that is older is refused also when its `exp` would let it pass, so that `jti` need not be remembered for long. */
const maxAgeSeconds = 300;

const Claims = z.object({
  iat: z.number(),
  jti: z.string().min(1).max(256),
  sub: z.string().min(1).max(255).optional(),
  sid: z.string().min(1).max(255).optional(),
  events: z.looseObject({ [event]: z.looseObject({}) }),
  nonce: z.never().optional(),
});

export interface LogoutTokenOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly keys: IssuerKeys;
  readonly clock: Clock;
  readonly replay: ReplayCache;
}

/** At least one is not null. */
export interface EndedSession {
  readonly subject: string | null;
  readonly session: string | null;
}

/** @throws IdentityError `logout-token-invalid`, `issuer-unreachable`, `issuer-invalid` */
export async function verifyLogoutToken(token: string, options: LogoutTokenOptions): Promise<EndedSession> {
  const { issuer, clientId, keys, clock, replay } = options;
  const { jwks } = await keys.get(keyOf(token));
  let payload: JWTPayload;
  try {
    const expected = {
      algorithms: [...signatureAlgorithms],
      issuer,
      audience: clientId,
      requiredClaims: ['iat', 'jti'],
      maxTokenAge: maxAgeSeconds,
      clockTolerance: toleranceSeconds,
      currentDate: new Date(clock.wallMs()),
    };
    ({ payload } = await jwtVerify(token, createLocalJWKSet(jwks), expected));
  } catch (cause) {
    throw invalid('it is not one of the issuer for this client, or too old', cause);
  }
  const claims = Claims.safeParse(payload);
  if (!claims.success) throw invalid('a claim is missing or malformed');
  const { jti, iat, sub, sid } = claims.data;
  if (sub === undefined && sid === undefined) throw invalid('it names neither a subject nor a session');
  const forgottenMs = (iat + maxAgeSeconds + 2 * toleranceSeconds) * 1000;
  if (!(await replay.firstUse(`logout-token:${issuer} ${jti}`, forgottenMs))) throw invalid('it came before');
  return { subject: sub ?? null, session: sid ?? null };
}

function keyOf(token: string): string | null {
  try {
    const { kid, typ } = decodeProtectedHeader(token);
    // Many issuers still send none, or JWT; an ID token is told apart by its claims.
    if (typ !== undefined && !/^(application\/)?(jwt|logout\+jwt)$/i.test(typ))
      throw invalid('it is of another type');
    return kid ?? null;
  } catch (cause) {
    if (cause instanceof IdentityError) throw cause;
    throw invalid('it is not a JWT', cause);
  }
}

const invalid = (why: string, cause?: unknown): IdentityError =>
  new IdentityError('logout-token-invalid', `The logout token is not valid: ${why}.`, { cause });
