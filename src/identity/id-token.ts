/**
 * ID tokens of the configured issuer (OpenID Connect Core 1.0 §3.1.3.7), in the shapes that Okta, Entra ID, Keycloak,
 * Google and GitLab give them, to a verified principal.
 */
import { hash } from 'node:crypto';
import { createLocalJWKSet, errors, jwtVerify, type JWTPayload, type ProtectedHeaderParameters } from 'jose';
import { decodeProtectedHeader } from 'jose';
import { z } from 'zod';
import type { Authentication } from '../model/authentication.ts';
import type { Clock } from '../system/clock.ts';
import { IdentityError } from './error.ts';
import { groupsOf, type GroupRules } from './groups.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { PublicJwk, thumbprint } from './login-key.ts';
import { mintPrincipal, type VerifiedPrincipal } from './verified-principal.ts';

/** Signatures with a public key only: never `none`, never a shared secret. */
export const signatureAlgorithms = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
];

const text = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\p{Cc}]*$/u);

const Claims = z.object({
  sub: text(255).min(1),
  aud: z.union([z.string(), z.array(z.string())]),
  azp: z.string().optional(),
  iat: z.number(),
  nonce: z.string().optional(),
  auth_time: z.number().nonnegative().optional(),
  acr: text(256).optional(),
  email: text(320).optional(),
  email_verified: z.union([z.boolean(), z.string()]).optional(),
  amr: z.array(text(64)).max(16).optional(),
  cnf: z.looseObject({ jkt: z.string().optional(), jwk: z.unknown().optional() }).optional(),
});
type Claims = z.infer<typeof Claims>;

export interface IdTokenOptions extends GroupRules {
  readonly issuer: string;
  /** Our client id there. */
  readonly clientId: string;
  /** How far the issuer's clock may be from ours. */
  readonly clockSkewSeconds: number;
  readonly keys: IssuerKeys;
  readonly clock: Clock;
}

export interface VerifiedIdToken {
  readonly principal: VerifiedPrincipal;
  /** Our client id, which it was issued to. */
  readonly audience: string;
  /** SHA-256 of the token, hex: for the record. */
  readonly digest: string;
  /** Digest of the key set that verified it. */
  readonly keysDigest: string;
  readonly authentication: Authentication;
  /** Thumbprint of the key that the issuer itself bound into the token (`cnf`, RFC 7800); null when it did not. */
  readonly boundJkt: string | null;
  /** Whole seconds: the issuer's clock, up to a second early. */
  readonly issuedAtMs: number;
  /** From then on it is refused: `exp`, and the difference of clocks that is allowed. */
  readonly refusedFromMs: number;
}

export class IdTokens {
  readonly #options: IdTokenOptions;

  constructor(options: IdTokenOptions) {
    this.#options = options;
  }

  /**
   * @param token as it came; untrusted
   * @param nonce what the authorization request carried; null when it carried none (the device grant has none)
   * @throws IdentityError `id-token-invalid`, `id-token-expired`, `issuer-unreachable`, `issuer-invalid`
   */
  async verify(token: string, nonce: string | null = null): Promise<VerifiedIdToken> {
    const { issuer, keys, clockSkewSeconds } = this.#options;
    const header = headerOf(token);
    const keyBound = header.typ !== undefined && boundType.test(header.typ);
    const seen = await keys.get(typeof header.kid === 'string' ? header.kid : null);
    const payload = await this.#verifySignature(token, createLocalJWKSet(seen.jwks));
    const parsed = Claims.safeParse(payload);
    if (!parsed.success) {
      const claim = String(parsed.error.issues[0]?.path[0] ?? 'claims');
      throw invalid(`its ${claim} is missing or malformed`, 'the operator of the provider finds out why');
    }
    const claims = parsed.data;
    this.#checkAudience(claims);
    this.#checkTimes(claims);
    if (nonce !== null && claims.nonce !== nonce)
      throw invalid('its nonce is another', 'sign in again: hoop login');
    const { email } = claims;
    const refused = claims.email_verified === false || claims.email_verified === 'false';
    return {
      principal: mintPrincipal({
        kind: 'person',
        issuer,
        subject: claims.sub,
        email: email !== undefined && email !== '' && !refused ? email : null,
        groups: groupsOf(payload, this.#options),
      }),
      audience: this.#options.clientId,
      digest: hash('sha256', token, 'hex'),
      keysDigest: seen.digest,
      authentication: {
        timeMs: claims.auth_time === undefined ? null : Math.floor(claims.auth_time) * 1000,
        acr: claims.acr ?? null,
        amr: claims.amr ?? [],
      },
      boundJkt: await boundThumbprint(claims.cnf, keyBound),
      issuedAtMs: claims.iat * 1000,
      refusedFromMs: ((payload.exp ?? 0) + clockSkewSeconds) * 1000,
    };
  }

  #checkAudience({ aud, azp }: Claims): void {
    const { clientId } = this.#options;
    if (Array.isArray(aud) && aud.length > 1 && azp === undefined)
      throw invalid('it has several audiences and no azp', otherClient);
    if (azp !== undefined && azp !== clientId) throw invalid('it was issued to another client', otherClient);
  }

  #checkTimes({ iat, auth_time: authTime = 0 }: Claims): void {
    const { clock, clockSkewSeconds } = this.#options;
    const latest = clock.wallMs() / 1000 + clockSkewSeconds;
    if (iat > latest) throw invalid('it is from the future', clocksDiffer);
    if (authTime > latest) throw invalid('its auth_time is in the future', clocksDiffer);
  }

  async #verifySignature(token: string, keys: ReturnType<typeof createLocalJWKSet>): Promise<JWTPayload> {
    const { issuer, clientId, clock, clockSkewSeconds } = this.#options;
    const options = {
      algorithms: signatureAlgorithms,
      issuer,
      audience: clientId,
      requiredClaims: ['exp', 'iat', 'sub'],
      clockTolerance: clockSkewSeconds,
      currentDate: new Date(clock.wallMs()),
    };
    try {
      return (await jwtVerify(token, keys, options)).payload;
    } catch (cause) {
      throw unverified(cause);
    }
  }
}

const clocksDiffer =
  'compare the clocks of provider and relay; the operator may allow more with identity.clockSkew';
const otherClient = 'the operator compares identity.clientId with the client at the provider';

/** What jose says, in words of ours: which claim, and who has to do what. */
function unverified(cause: unknown): IdentityError {
  if (cause instanceof errors.JWTExpired)
    return new IdentityError('id-token-expired', 'The ID token has expired.', {
      hint: `sign in again: hoop login; if that does not help, ${clocksDiffer}`,
      cause,
    });
  if (!(cause instanceof errors.JWTClaimValidationFailed))
    return new IdentityError(
      'id-token-invalid',
      'The ID token is not signed by a key that the issuer publishes.',
      {
        hint: 'sign in again in a minute; if it stays so, the operator compares jwks_uri of identity.issuer with the keys that the provider signs with',
        cause,
      },
    );
  if (cause.reason === 'missing')
    return invalid(`its ${cause.claim} is missing`, 'the operator of the provider finds out why');
  switch (cause.claim) {
    case 'iss':
      return invalid(
        'it is from another issuer than the configured one',
        'the operator sets identity.issuer to what the provider writes into iss, letter by letter (Entra ID: with the id of the tenant; Okta: with the authorization server)',
      );
    case 'aud':
      return invalid('it is for another client', otherClient);
    default:
      return invalid(`its ${cause.claim} is not the expected one`, clocksDiffer);
  }
}

function headerOf(token: string): ProtectedHeaderParameters {
  try {
    const header = decodeProtectedHeader(token);
    // An access token of the same issuer is no ID token (RFC 9068 §4).
    if (header.typ !== undefined && !/^(application\/)?jwt$/i.test(header.typ) && !boundType.test(header.typ))
      throw invalid(
        'its type is not that of an ID token',
        'an ID token is expected, no other token of the provider',
      );
    if (!signatureAlgorithms.includes(header.alg ?? ''))
      throw invalid(
        'its algorithm is not allowed',
        'the operator lets the provider sign the ID tokens of this client with RS256, PS256, ES256 or EdDSA',
      );
    return header;
  } catch (cause) {
    if (cause instanceof IdentityError) throw cause;
    throw new IdentityError('id-token-invalid', 'The ID token is not a JWT.', { cause });
  }
}

/** `kid`, `alg` and the like may stand beside the key; the thumbprint is over these. */
const BoundJwk = z.object(PublicJwk.shape);

/** Type of a token that is bound by OpenID Connect Key Binding 1.0. */
const boundType = /^(application\/)?dpop\+id_token$/i;

const boundHint = 'the provider binds ID tokens to the DPoP key of the sign-in, or to none';

/**
 * `jkt` as RFC 9449 has it, or the key itself (OpenID Connect Key Binding 1.0 §4). A token that is bound in any other way is
 * refused: it is not for whoever holds a login's key.
 * @param promised its type says that it is bound
 */
async function boundThumbprint(
  cnf: z.infer<typeof Claims>['cnf'],
  promised: boolean,
): Promise<string | null> {
  if (cnf === undefined && !promised) return null;
  const jwk = BoundJwk.safeParse(cnf?.jwk);
  if (cnf?.jwk !== undefined && !jwk.success) throw invalid('it is bound to another kind of key', boundHint);
  const ofKey = jwk.success ? await thumbprint(jwk.data) : undefined;
  const bound = cnf?.jkt ?? ofKey;
  if (bound === undefined) throw invalid('it is bound in a way that cannot be proven here', boundHint);
  if (ofKey !== undefined && ofKey !== bound) throw invalid('it is bound to two keys', boundHint);
  return bound;
}

const invalid = (why: string, hint: string): IdentityError =>
  new IdentityError('id-token-invalid', `The ID token is not valid: ${why}.`, { hint });
