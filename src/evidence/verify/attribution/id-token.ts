/**
 * A kept ID token (OpenID Connect Core 1.0; compact JWS, RFC 7515) and an issuer's key set (RFC 7517), with what Node.js has
 * and nothing else. Public keys alone: there is no `none` and no shared secret here.
 */
import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { LoginKey } from '../../entry.ts';
import { thumbprintOf } from '../signed-request.ts';

interface Algorithm {
  /** Null: the algorithm has its own. */
  readonly hash: string | null;
  /** Elliptic curve by Node's name; `rsa`, `rsa-pss` by padding; `ed25519`. */
  readonly key: 'rsa' | 'rsa-pss' | 'ed25519' | 'prime256v1' | 'secp384r1' | 'secp521r1';
}

/** RFC 7518 §3.1, RFC 8037, RFC 9864. The same that the relay accepts. */
const algorithms: ReadonlyMap<string, Algorithm> = new Map([
  ['RS256', { hash: 'sha256', key: 'rsa' }],
  ['RS384', { hash: 'sha384', key: 'rsa' }],
  ['RS512', { hash: 'sha512', key: 'rsa' }],
  ['PS256', { hash: 'sha256', key: 'rsa-pss' }],
  ['PS384', { hash: 'sha384', key: 'rsa-pss' }],
  ['PS512', { hash: 'sha512', key: 'rsa-pss' }],
  ['ES256', { hash: 'sha256', key: 'prime256v1' }],
  ['ES384', { hash: 'sha384', key: 'secp384r1' }],
  ['ES512', { hash: 'sha512', key: 'secp521r1' }],
  ['EdDSA', { hash: null, key: 'ed25519' }],
  ['Ed25519', { hash: null, key: 'ed25519' }],
]);

const smallestModulusBits = 2048;

const Header = z.object({
  alg: z.string(),
  kid: z.string().optional(),
  typ: z.string().optional(),
  crit: z.never().optional(),
});

const Claims = z.object({
  iss: z.string(),
  sub: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  azp: z.string().optional(),
  /** Seconds since the epoch, as the others. */
  exp: z.number(),
  iat: z.number(),
  auth_time: z.number().optional(),
  email: z.string().optional(),
  cnf: z.object({ jkt: z.string().optional(), jwk: z.unknown().optional() }).optional(),
});
export type IdTokenClaims = z.infer<typeof Claims>;

export interface KeptIdToken {
  readonly algorithm: string;
  /** Key id that it names; null when it names none. */
  readonly kid: string | null;
  readonly claims: IdTokenClaims;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/** Null for anything that is not an ID token signed by an algorithm that the relay accepts. Proves nothing yet. */
export function parseIdToken(text: string): KeptIdToken | null {
  const parts = text.split('.');
  if (parts.length !== 3 || parts.some((part) => !/^[\w-]+$/.test(part))) return null;
  const [header, payload, signature] = parts as [string, string, string];
  const head = Header.safeParse(parseJson(header));
  const claims = Claims.safeParse(parseJson(payload));
  if (!head.success || !claims.success || !algorithms.has(head.data.alg)) return null;
  return {
    algorithm: head.data.alg,
    kid: head.data.kid ?? null,
    claims: claims.data,
    signed: Buffer.from(`${header}.${payload}`),
    signature: Buffer.from(signature, 'base64url'),
  };
}

function parseJson(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return null;
  }
}

/** Thumbprints (RFC 7638) of the keys that the issuer bound into the token (RFC 7800); null stands for one of another kind. */
export function boundThumbprints({ claims: { cnf } }: KeptIdToken): readonly (string | null)[] {
  const bound: (string | null)[] = [];
  if (cnf?.jkt !== undefined) bound.push(cnf.jkt);
  if (cnf?.jwk !== undefined) {
    const jwk = LoginKey.safeParse(cnf.jwk);
    bound.push(jwk.success ? thumbprintOf(jwk.data) : null);
  }
  return bound;
}

const Jwk = z.looseObject({
  kty: z.string(),
  kid: z.string().optional(),
  alg: z.string().optional(),
  use: z.string().optional(),
  key_ops: z.array(z.string()).optional(),
});
/** RFC 7517 §5: keys that are not understood are left alone. */
export const KeySet = z.object({ keys: z.array(z.unknown()) });

/**
 * By which key of the set is it signed?
 * @returns `unknown` when the set has no key that it could be; `invalid` when it has and the signature is not by it
 */
export function verifyIdToken(
  token: KeptIdToken,
  keys: readonly unknown[],
): { readonly kid: string | null } | 'unknown' | 'invalid' {
  let tried = false;
  for (const candidate of keys) {
    const jwk = Jwk.safeParse(candidate);
    const key = jwk.success && mayBeKeyOf(token, jwk.data) ? publicKeyOf(jwk.data, token.algorithm) : null;
    if (!jwk.success || key === null) continue;
    tried = true;
    if (isSignedBy(token, key)) return { kid: jwk.data.kid ?? null };
  }
  return tried ? 'invalid' : 'unknown';
}

const mayBeKeyOf = (
  { kid, algorithm }: KeptIdToken,
  { kid: id, alg, use, key_ops: operations }: z.infer<typeof Jwk>,
): boolean =>
  (kid === null || kid === id) &&
  (alg === undefined || alg === algorithm) &&
  (use === undefined || use === 'sig') &&
  (operations === undefined || operations.includes('verify'));

/** Null when it is no key of the algorithm: a key is never used for another algorithm than its own kind's. */
function publicKeyOf({ kty, ...rest }: z.infer<typeof Jwk>, algorithm: string): KeyObject | null {
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return null;
  let key: KeyObject;
  try {
    key = createPublicKey({ key: { kty, ...rest }, format: 'jwk' });
  } catch {
    return null; // not a key, or not a point on the curve
  }
  const { key: kind } = algorithms.get(algorithm)!;
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (kind === 'rsa' || kind === 'rsa-pss')
    return type === 'rsa' && (details?.modulusLength ?? 0) >= smallestModulusBits ? key : null;
  return type === kind || (type === 'ec' && details?.namedCurve === kind) ? key : null;
}

function isSignedBy({ algorithm, signed, signature }: KeptIdToken, key: KeyObject): boolean {
  const { hash, key: kind } = algorithms.get(algorithm)!;
  const padding =
    kind === 'rsa-pss'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : kind === 'rsa'
        ? { padding: constants.RSA_PKCS1_PADDING }
        : { dsaEncoding: 'ieee-p1363' as const };
  try {
    return verify(hash, signed, { key, ...padding }, signature);
  } catch {
    return false;
  }
}
