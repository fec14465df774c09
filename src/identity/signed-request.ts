/**
 * Requests that a person's key signs: opening and killing a session (`wire/api.ts`). A compact JWS (RFC 7515, ES256)
 * over canonical JSON (RFC 8785); it goes into the log as it came, so anybody can check later who asked for what.
 */
import { hash, randomUUID } from 'node:crypto';
import canonicalize from 'canonicalize';
import { CompactSign, compactVerify } from 'jose';
import { z } from 'zod';
import type { Clock } from '../system/clock.ts';
import { clockSkewMs } from './dpop.ts';
import { IdentityError } from './error.ts';
import { importPublicJwk, type LoginKey, type PublicJwk } from './login-key.ts';
import type { ReplayCache } from './replay.ts';

const type = 'hoop-request+jwt';

/** What every signed request has; the schemas are in `wire/api.ts`. */
export interface SignedClaims {
  readonly v: 1;
  readonly action: string;
  /** Base URL of the relay it is meant for. */
  readonly relay: string;
  /** Seconds since the epoch. */
  readonly iat: number;
  readonly jti: string;
}

const Header = z.strictObject({ alg: z.literal('ES256'), typ: z.literal(type), kid: z.string() });

/** Adds `iat` and `jti` and signs. Members that are undefined are left out. */
export async function makeSignedRequest<Claims extends SignedClaims>(
  key: LoginKey,
  claims: Omit<Claims, 'iat' | 'jti'>,
  clock: Clock,
): Promise<string> {
  const whole = { ...claims, iat: Math.floor(clock.wallMs() / 1000), jti: randomUUID() };
  const text = canonicalize(whole);
  if (text === undefined) throw new IdentityError('signed-request-invalid', 'There is nothing to sign.');
  return new CompactSign(Buffer.from(text))
    .setProtectedHeader({ alg: 'ES256', typ: type, kid: key.jkt })
    .sign(key.privateKey);
}

export interface SignedRequestVerification<Claims extends SignedClaims> {
  readonly schema: z.ZodType<Claims>;
  /** The key of the caller's login, from `authenticate`. */
  readonly publicJwk: PublicJwk;
  readonly jkt: string;
  /** This relay's base URL without trailing slash. */
  readonly relay: string;
  readonly clock: Clock;
  readonly replay: ReplayCache;
}

/**
 * @param jws as it came; untrusted
 * @throws IdentityError `signed-request-invalid`, `signed-request-replayed`
 */
export async function verifySignedRequest<Claims extends SignedClaims>(
  jws: string,
  { schema, publicJwk, jkt, relay, clock, replay }: SignedRequestVerification<Claims>,
): Promise<Claims> {
  const { header, payload } = await verifySignature(jws, publicJwk);
  if (!Header.safeParse(header).success || header?.kid !== jkt)
    throw invalid('its header does not name the key of this login');
  const claims = parseCanonical(payload, schema);
  if (claims.relay !== relay) throw invalid('it is meant for another relay');
  if (Math.abs(clock.wallMs() - claims.iat * 1000) > clockSkewMs + 1000)
    throw invalid('its time is more than a minute off', 'set the clock of this machine');
  const id = `request:${hash('sha256', `${jkt} ${claims.jti}`, 'base64url')}`;
  if (!(await replay.firstUse(id, claims.iat * 1000 + 2 * clockSkewMs)))
    throw new IdentityError('signed-request-replayed', 'The signed request was used before.');
  return claims;
}

async function verifySignature(jws: string, publicJwk: PublicJwk) {
  try {
    const { payload, protectedHeader } = await compactVerify(jws, await importPublicJwk(publicJwk), {
      algorithms: ['ES256'],
    });
    return { header: protectedHeader, payload };
  } catch (cause) {
    throw new IdentityError('signed-request-invalid', 'The request is not signed by the key of this login.', {
      cause,
    });
  }
}

/** One text has one meaning: what parses but is not the canonical form is refused. */
function parseCanonical<Claims>(payload: Uint8Array, schema: z.ZodType<Claims>): Claims {
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload);
    value = JSON.parse(text);
    if (canonicalize(value) !== text) throw invalid('it is not canonical JSON');
  } catch (cause) {
    if (cause instanceof IdentityError) throw cause;
    throw new IdentityError('signed-request-invalid', 'The signed request is not JSON.', { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid('its claims are not the ones of this action');
  return parsed.data;
}

function invalid(why: string, hint?: string): IdentityError {
  const options = hint === undefined ? {} : { hint };
  return new IdentityError('signed-request-invalid', `The signed request is not valid: ${why}.`, options);
}
