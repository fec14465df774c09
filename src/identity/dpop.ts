/**
 * DPoP proofs, RFC 9449: a JWS by the login's key over method, URL, time, nonce and token of one request.
 *
 * Stricter than the specification where that costs nothing: ES256 only, the relay's nonce is always required, the
 * embedded key may hold nothing but a public P-256 point, a proof is at most 4 KiB.
 */
import { hash, randomUUID } from 'node:crypto';
import { compactVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { Clock } from '../system/clock.ts';
import { IdentityError } from './error.ts';
import { importPublicJwk, PublicJwk, thumbprint, type LoginKey } from './login-key.ts';
import type { Nonces } from './nonce.ts';
import type { ReplayCache } from './replay.ts';

/** How far a client's clock may be off, either way. */
export const clockSkewMs = 60_000;

export interface ProofRequest {
  readonly method: string;
  /** Absolute; `ws:` and `wss:` count as `http:` and `https:`; query and fragment do not count. */
  readonly url: string;
  /** The access token that the request carries; null when it carries none. */
  readonly accessToken: string | null;
}

/** @param nonce the last `DPoP-Nonce` seen from this server; null when none was. */
export async function makeProof(
  key: LoginKey,
  request: ProofRequest,
  nonce: string | null,
  clock: Clock,
): Promise<string> {
  const htu = normalizeHtu(request.url);
  if (htu === null) throw new IdentityError('dpop-proof-invalid', 'The URL to prove is not absolute.');
  const claims: Record<string, string | number> = {
    jti: randomUUID(),
    htm: request.method,
    htu,
    iat: Math.floor(clock.wallMs() / 1000),
  };
  if (nonce !== null) claims['nonce'] = nonce;
  if (request.accessToken !== null) claims['ath'] = hash('sha256', request.accessToken, 'base64url');
  return new SignJWT(claims)
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicJwk })
    .sign(key.privateKey);
}

export interface ProofVerification {
  readonly nonces: Nonces;
  readonly replay: ReplayCache;
  readonly clock: Clock;
}

export interface VerifiedProof {
  readonly publicJwk: PublicJwk;
  readonly jkt: string;
}

const ProofClaims = z.object({
  jti: z.string().min(8).max(128),
  htm: z.string(),
  htu: z.string().max(2048),
  iat: z.int(),
  nonce: z.string().max(256).optional(),
  ath: z.string().max(64).optional(),
});

/**
 * @param proof the `DPoP` header as it came; untrusted
 * @throws IdentityError `dpop-proof-missing`, `dpop-proof-invalid`, `dpop-nonce-required`, `dpop-proof-replayed`
 */
export async function verifyProof(
  proof: string | undefined,
  request: ProofRequest,
  { nonces, replay, clock }: ProofVerification,
): Promise<VerifiedProof> {
  if (proof === undefined || proof === '')
    throw new IdentityError('dpop-proof-missing', 'The request carries no DPoP proof.');
  const { claims, publicJwk } = await verifySignature(proof);
  if (claims.htm !== request.method) throw invalid('it was made for another method');
  const htu = normalizeHtu(request.url);
  if (htu === null || normalizeHtu(claims.htu) !== htu) throw invalid('it was made for another URL');
  const age = clock.wallMs() - claims.iat * 1000;
  if (Math.abs(age) > clockSkewMs + 1000)
    throw invalid('its time is more than a minute off', 'set the clock of this machine');
  const ath = request.accessToken === null ? undefined : hash('sha256', request.accessToken, 'base64url');
  if (claims.ath !== ath) throw invalid('it was made for another access token');
  if (claims.nonce === undefined || !nonces.accepts(claims.nonce))
    throw new IdentityError('dpop-nonce-required', 'The DPoP proof needs the nonce of this answer.');
  const jkt = await thumbprint(publicJwk);
  const id = `dpop:${hash('sha256', `${jkt} ${claims.jti}`, 'base64url')}`;
  if (!(await replay.firstUse(id, claims.iat * 1000 + 2 * clockSkewMs)))
    throw new IdentityError('dpop-proof-replayed', 'The DPoP proof was used before.');
  return { publicJwk, jkt };
}

async function verifySignature(proof: string) {
  if (proof.length > 4096) throw invalid('it is too long');
  let publicJwk: PublicJwk | null = null;
  try {
    const { payload } = await compactVerify(
      proof,
      (header) => {
        publicJwk = PublicJwk.parse(header?.jwk);
        if (header?.typ !== 'dpop+jwt') throw invalid('its type is not dpop+jwt');
        return importPublicJwk(publicJwk);
      },
      { algorithms: ['ES256'] },
    );
    const claims = ProofClaims.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)));
    if (publicJwk === null) throw invalid('it has no key');
    return { claims, publicJwk };
  } catch (cause) {
    if (cause instanceof IdentityError && cause.code === 'dpop-proof-invalid') throw cause;
    throw new IdentityError('dpop-proof-invalid', 'The DPoP proof is not valid.', { cause });
  }
}

function invalid(why: string, hint?: string): IdentityError {
  const options = hint === undefined ? {} : { hint };
  return new IdentityError('dpop-proof-invalid', `The DPoP proof is not valid: ${why}.`, options);
}

/** RFC 9449 §4.3 (9): without query and fragment, after syntax- and scheme-based normalisation; null if no such URL. */
export function normalizeHtu(text: string): string | null {
  const url = URL.parse(text.replace(/^ws(s?):/i, 'http$1:'));
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    return null;
  return `${url.protocol}//${url.host}${url.pathname}`;
}
