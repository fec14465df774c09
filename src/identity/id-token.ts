/**
 * ID tokens of the configured issuer (OpenID Connect Core 1.0 §3.1.3.7), in the shapes that Okta, Entra ID, Keycloak
 * and Google give them, to a verified principal.
 */
import { hash } from 'node:crypto';
import { createLocalJWKSet, errors, jwtVerify, type JWTPayload, type ProtectedHeaderParameters } from 'jose';
import { decodeProtectedHeader } from 'jose';
import { z } from 'zod';
import type { Clock } from '../system/clock.ts';
import { IdentityError } from './error.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { PublicJwk, thumbprint } from './login-key.ts';
import { mintPrincipal, type VerifiedPrincipal } from './verified-principal.ts';

/** Signatures with a public key only: never `none`, never a shared secret. */
const algorithms = [
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

const clockToleranceSeconds = 60;

const Claims = z.object({
  sub: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^\p{Cc}]*$/u),
  aud: z.union([z.string(), z.array(z.string())]),
  azp: z.string().optional(),
  iat: z.number(),
  nonce: z.string().optional(),
  email: z
    .string()
    .max(320)
    .regex(/^[^\p{Cc}]*$/u)
    .optional(),
  email_verified: z.union([z.boolean(), z.string()]).optional(),
  amr: z.array(z.string().max(64)).max(16).optional(),
  cnf: z.looseObject({ jkt: z.string().optional(), jwk: z.unknown().optional() }).optional(),
});

const Groups = z
  .array(
    z
      .string()
      .min(1)
      .max(256)
      .regex(/^[^\p{Cc}]*$/u),
  )
  .max(2000);

export interface IdTokenOptions {
  readonly issuer: string;
  /** Our client id there. */
  readonly clientId: string;
  /**
   * Claim that holds the names of the groups: its exact name, else a path with dots (`realm_access.roles`).
   */
  readonly groupsClaim: string;
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
  /** How the person proved who they are, as the issuer says (RFC 8176); may be empty. */
  readonly methods: readonly string[];
  /** Thumbprint of the key that the issuer itself bound into the token (`cnf`, RFC 7800); null when it did not. */
  readonly boundJkt: string | null;
  /** Whole seconds: the issuer's clock, up to a second early. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
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
    const { issuer, clientId, groupsClaim, keys, clock } = this.#options;
    const header = headerOf(token);
    const keyBound = header.typ !== undefined && boundType.test(header.typ);
    const seen = await keys.get(typeof header.kid === 'string' ? header.kid : null);
    const payload = await this.#verifySignature(token, createLocalJWKSet(seen.jwks));
    const parsed = Claims.safeParse(payload);
    if (!parsed.success) throw invalid('a claim is missing or malformed');
    const claims = parsed.data;
    const audiences = typeof claims.aud === 'string' ? [claims.aud] : claims.aud;
    if (audiences.length > 1 && claims.azp === undefined)
      throw invalid('it has several audiences and no azp');
    if (claims.azp !== undefined && claims.azp !== clientId) throw invalid('it was issued to another client');
    if (claims.iat * 1000 > clock.wallMs() + clockToleranceSeconds * 1000)
      throw invalid('it is from the future');
    if (nonce !== null && claims.nonce !== nonce) throw invalid('its nonce is another');
    const verifiedEmail = claims.email_verified !== false && claims.email_verified !== 'false';
    return {
      principal: mintPrincipal({
        kind: 'person',
        issuer,
        subject: claims.sub,
        email: claims.email !== undefined && claims.email !== '' && verifiedEmail ? claims.email : null,
        groups: groupsOf(payload, groupsClaim),
      }),
      audience: clientId,
      digest: hash('sha256', token, 'hex'),
      keysDigest: seen.digest,
      methods: claims.amr ?? [],
      boundJkt: await boundThumbprint(claims.cnf, keyBound),
      issuedAtMs: claims.iat * 1000,
      expiresAtMs: (payload.exp ?? 0) * 1000,
    };
  }

  async #verifySignature(token: string, keys: ReturnType<typeof createLocalJWKSet>): Promise<JWTPayload> {
    const { issuer, clientId, clock } = this.#options;
    const options = {
      algorithms,
      issuer,
      audience: clientId,
      requiredClaims: ['exp', 'iat', 'sub'],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(clock.wallMs()),
    };
    try {
      return (await jwtVerify(token, keys, options)).payload;
    } catch (cause) {
      if (cause instanceof errors.JWTExpired)
        throw new IdentityError('id-token-expired', 'The ID token has expired.', { cause });
      if (cause instanceof errors.JWTClaimValidationFailed)
        throw invalid(`its ${cause.claim} is not the expected one`);
      throw new IdentityError('id-token-invalid', 'The ID token is not signed by the issuer.', { cause });
    }
  }
}

function headerOf(token: string): ProtectedHeaderParameters {
  try {
    const header = decodeProtectedHeader(token);
    // An access token of the same issuer is no ID token (RFC 9068 §4).
    if (header.typ !== undefined && !/^(application\/)?jwt$/i.test(header.typ) && !boundType.test(header.typ))
      throw invalid('its type is not that of an ID token');
    if (!algorithms.includes(header.alg ?? '')) throw invalid('its algorithm is not allowed');
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
  if (cnf?.jwk !== undefined && !jwk.success) throw invalid('it is bound to another kind of key');
  const ofKey = jwk.success ? await thumbprint(jwk.data) : undefined;
  const bound = cnf?.jkt ?? ofKey;
  if (bound === undefined) throw invalid('it is bound in a way that cannot be proven here');
  if (ofKey !== undefined && ofKey !== bound) throw invalid('it is bound to two keys');
  return bound;
}

function groupsOf(payload: JWTPayload, claim: string): readonly string[] {
  const value = Object.hasOwn(payload, claim) ? payload[claim] : atPath(payload, claim.split('.'));
  if (value === undefined || value === null) {
    const elsewhere = payload['_claim_names'];
    if (typeof elsewhere === 'object' && elsewhere !== null && Object.hasOwn(elsewhere, claim))
      throw invalid(
        'the issuer left the groups out because there are too many',
        'let the issuer put only the groups assigned to this application into the token',
      );
    return [];
  }
  const parsed = Groups.safeParse(typeof value === 'string' ? [value] : value);
  if (!parsed.success) throw invalid('its groups are not a list of names');
  return parsed.data;
}

function atPath(value: unknown, path: readonly string[]): unknown {
  const [head, ...rest] = path;
  if (head === undefined) return value;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, head)) return undefined;
  return atPath((value as Record<string, unknown>)[head], rest);
}

function invalid(why: string, hint?: string): IdentityError {
  const options = hint === undefined ? {} : { hint };
  return new IdentityError('id-token-invalid', `The ID token is not valid: ${why}.`, options);
}
