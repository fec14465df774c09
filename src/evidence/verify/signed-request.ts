/**
 * A person's signed request, as an entry keeps it: compact JWS (RFC 7515), ES256, by the key that the person's login
 * bound (RFC 7638 thumbprint). Checked here with the entries alone; the relay's own check is not trusted.
 */
import { createPublicKey, hash, verify } from 'node:crypto';
import type { z } from 'zod';
import { AgentDelegateClaims, SessionKillClaims, SessionOpenClaims } from '../../wire/api.ts';
import { EvidenceReadClaims } from '../../wire/audit.ts';
import { ResealClaims } from '../../wire/reseal.ts';
import { ReviewDecisionClaims } from '../../wire/reviews.ts';
import type { EntryOf } from '../entry.ts';

type LoginKey = EntryOf<'login'>['key'];

export function thumbprintOf({ crv, kty, x, y }: LoginKey): string {
  return hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url');
}

const protectedHeader = (thumbprint: string) => ({ alg: 'ES256', typ: 'hoop-request+jwt', kid: thumbprint });

function parseJson(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return null;
  }
}

/** The claims, once the signature is proven; null when anything about it is not as it must be. */
function open<Claims>(
  jws: string,
  key: LoginKey,
  thumbprint: string,
  schema: z.ZodType<Claims>,
): Claims | null {
  const [header = '', payload = '', signature = ''] = jws.split('.');
  const expected = protectedHeader(thumbprint);
  const found = parseJson(header);
  if (found === null || typeof found !== 'object') return null;
  const members = new Map<string, unknown>(Object.entries(found));
  if (members.size !== 3 || Object.entries(expected).some(([name, value]) => members.get(name) !== value))
    return null;
  let valid: boolean;
  try {
    const publicKey = createPublicKey({ key: { ...key }, format: 'jwk' });
    const signed = Buffer.from(`${header}.${payload}`);
    const raw = Buffer.from(signature, 'base64url');
    valid = verify('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw);
  } catch {
    return null; // not a point on the curve
  }
  const claims = valid ? schema.safeParse(parseJson(payload)) : null;
  return claims?.success === true ? claims.data : null;
}

export const openSessionRequest = (
  jws: string,
  key: LoginKey,
  thumbprint: string,
): SessionOpenClaims | null => open(jws, key, thumbprint, SessionOpenClaims);

export const openKillRequest = (
  jws: string,
  key: LoginKey,
  thumbprint: string,
): z.infer<typeof SessionKillClaims> | null => open(jws, key, thumbprint, SessionKillClaims);

export const openDecisionRequest = (
  jws: string,
  key: LoginKey,
  thumbprint: string,
): ReviewDecisionClaims | null => open(jws, key, thumbprint, ReviewDecisionClaims);

export const openReadRequest = (jws: string, key: LoginKey, thumbprint: string): EvidenceReadClaims | null =>
  open(jws, key, thumbprint, EvidenceReadClaims);
export const openDelegateRequest = (
  jws: string,
  key: LoginKey,
  thumbprint: string,
): AgentDelegateClaims | null => open(jws, key, thumbprint, AgentDelegateClaims);

export const openResealRequest = (jws: string, key: LoginKey, thumbprint: string): ResealClaims | null =>
  open(jws, key, thumbprint, ResealClaims);
