/**
 * Workload identity: JWTs that the platform gives to what runs on it (GitHub Actions, GitLab CI, Kubernetes service accounts,
 * token exchange by RFC 8693), accepted as assertions (RFC 7523) where exactly one configured rule is about them. They may be
 * presented many times in their life, which is an hour from `iat` at most, whatever the issuer says: what leaks must not stay
 * good for a year. Whoever presents one gets a login that is bound to a key of its own.
 */
import { hash } from 'node:crypto';
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWTPayload,
} from 'jose';
import { z } from 'zod';
import type { ActedFor } from '../model/principal.ts';
import type { Clock } from '../system/clock.ts';
import { IdentityError } from './error.ts';
import { clockSkewMs } from './dpop.ts';
import { signatureAlgorithms } from './id-token.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import type { Pattern } from './pattern.ts';
import { mintPrincipal, type VerifiedPrincipal } from './verified-principal.ts';

/** Which tokens of which issuer are whom; all that it says must hold. */
export interface MachineRule {
  readonly name: string;
  /** `iss`, letter by letter. */
  readonly issuer: string;
  /** The one and only `aud`. */
  readonly audience: string;
  readonly kind: 'service' | 'agent';
  /** Of `sub`; null: any, and then there are conditions. */
  readonly subject: Pattern | null;
  /** Of `act.sub` (RFC 8693 §4.1): the token is an agent's that acts for the person of `sub`. Null: a token that has `act` is not meant. */
  readonly actor: Pattern | null;
  readonly conditions: readonly ClaimCondition[];
  readonly groups: readonly string[];
  /** From `iat`; at most an hour. */
  readonly lifetimeMs: number;
}

export interface ClaimCondition {
  /** A claim's exact name, or a JSON Pointer (RFC 6901) to one that lies deeper. */
  readonly claim: string;
  /** One of them must match. */
  readonly anyOf: readonly Pattern[];
}

export interface VerifiedMachine {
  readonly principal: VerifiedPrincipal;
  readonly rule: string;
  /** SHA-256 of the token, hex. */
  readonly digest: string;
  /** Thumbprint of the key that the issuer bound it to; null when it did not. */
  readonly boundJkt: string | null;
  /** Wall clock; no login by it goes on after this. */
  readonly endsAtMs: number;
}

export interface MachineTokensOptions {
  readonly rules: readonly MachineRule[];
  readonly keysOf: (issuer: string) => IssuerKeys;
  readonly clock: Clock;
  /** The person of this subject where people sign in at this relay; null: there is none who may. */
  readonly person: (subject: string, claims: JWTPayload) => Promise<ActedFor | null>;
}

const name = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\p{Cc}]*$/u);
const Claims = z.object({
  iss: z.string(),
  sub: name,
  aud: z.union([z.string(), z.array(z.string())]),
  iat: z.number(),
  exp: z.number(),
  cnf: z.object({ jkt: z.string().optional() }).optional(),
  // A chain of actors is refused: the record names two, and would lose those in between.
  act: z.strictObject({ sub: name, iss: z.string().optional() }).optional(),
});
type Claims = z.infer<typeof Claims>;

export class MachineTokens {
  readonly #options: MachineTokensOptions;
  readonly #keys = new Map<string, IssuerKeys>();

  constructor(options: MachineTokensOptions) {
    this.#options = options;
    for (const { issuer } of options.rules)
      if (!this.#keys.has(issuer)) this.#keys.set(issuer, options.keysOf(issuer));
  }

  /** Whether the token says that it is of an issuer of some rule; nothing of it is proven by that. */
  claims(token: string): boolean {
    return this.#keys.has(issuerOf(token) ?? '');
  }

  /**
   * @param token as it came; untrusted
   * @throws IdentityError `assertion-invalid`, `assertion-expired`, `assertion-unmatched`, `issuer-unreachable`, `issuer-invalid`
   */
  async verify(token: string): Promise<VerifiedMachine> {
    const issuer = issuerOf(token) ?? '';
    const keys = this.#keys.get(issuer);
    if (keys === undefined)
      throw invalid('its issuer is not trusted here', 'an operator trusts one with identity.machines');
    const payload = await this.#verifySignature(token, keys, issuer);
    const parsed = Claims.safeParse(payload);
    if (!parsed.success) throw invalid('a claim is missing or malformed');
    const claims = parsed.data;
    const rule = this.#ruleFor(claims, payload);
    const { kind, groups, lifetimeMs } = rule;
    const endsAtMs = Math.min(claims.exp * 1000, claims.iat * 1000 + lifetimeMs);
    if (endsAtMs <= this.#options.clock.wallMs()) throw expired();
    const actsFor = claims.act === undefined ? null : await this.#personOf(claims.sub, payload);
    const subject = claims.act?.sub ?? claims.sub;
    return {
      principal: mintPrincipal({ kind, issuer, subject, email: null, groups, actsFor }),
      rule: rule.name,
      digest: hash('sha256', token, 'hex'),
      boundJkt: claims.cnf?.jkt ?? null,
      endsAtMs,
    };
  }

  async #verifySignature(token: string, keys: IssuerKeys, issuer: string): Promise<JWTPayload> {
    const { kid } = headerOf(token);
    const { jwks } = await keys.get(kid ?? null);
    const now = this.#options.clock.wallMs();
    try {
      const { payload } = await jwtVerify(token, createLocalJWKSet(jwks), {
        algorithms: [...signatureAlgorithms],
        issuer,
        requiredClaims: ['exp', 'iat', 'sub', 'aud'],
        clockTolerance: clockSkewMs / 1000,
        currentDate: new Date(now),
      });
      if ((payload.iat ?? 0) * 1000 > now + clockSkewMs) throw invalid('it is from the future');
      return payload;
    } catch (cause) {
      if (cause instanceof IdentityError) throw cause;
      if (cause instanceof errors.JWTExpired) throw expired(cause);
      if (cause instanceof errors.JWTClaimValidationFailed)
        throw invalid(`its ${cause.claim} is not the expected one`);
      throw new IdentityError('assertion-invalid', 'The assertion is not signed by its issuer.', { cause });
    }
  }

  /** Exactly one: were it the first, the order of rules would decide about groups. */
  #ruleFor(claims: Claims, payload: JWTPayload): MachineRule {
    const audiences = [claims.aud].flat();
    const audience = audiences.length === 1 ? audiences[0] : undefined;
    const meant = this.#options.rules.filter(
      (rule) => rule.issuer === claims.iss && rule.audience === audience,
    );
    // Who else a token is for could present it here.
    if (meant.length === 0) throw invalid('it is not for this relay, or not for it alone', 'see its "aud"');
    const [rule, other] = meant.filter((each) => fits(each, claims, payload));
    if (rule !== undefined && other === undefined) return rule;
    const why =
      rule === undefined
        ? 'No rule of identity.machines is about this assertion.'
        : `More than one rule of identity.machines is about this assertion: ${rule.name}, ${other?.name ?? ''}.`;
    throw new IdentityError('assertion-unmatched', why, {
      hint: 'an operator compares the claims of the token with subject and conditions of the rules',
    });
  }

  async #personOf(subject: string, payload: JWTPayload): Promise<ActedFor> {
    const person = await this.#options.person(subject, payload);
    if (person !== null) return person;
    throw new IdentityError('assertion-unmatched', 'The agent acts for nobody who may sign in here.');
  }
}

function fits(rule: MachineRule, claims: Claims, payload: JWTPayload): boolean {
  const { act } = claims;
  if ((act === undefined) !== (rule.actor === null)) return false;
  if (act?.iss !== undefined && act.iss !== claims.iss) return false;
  return (
    (rule.subject?.matches(claims.sub) ?? true) &&
    (rule.actor?.matches(act?.sub ?? '') ?? true) &&
    rule.conditions.every(({ claim, anyOf }) => {
      const value = textOf(claimOf(payload, claim));
      return value !== null && anyOf.some((pattern) => pattern.matches(value));
    })
  );
}

/** Null where it is not there: an exact name first, then a JSON Pointer. */
function claimOf(payload: JWTPayload, claim: string): unknown {
  if (!claim.startsWith('/')) return Object.hasOwn(payload, claim) ? payload[claim] : undefined;
  let value: unknown = payload;
  for (const step of claim.slice(1).split('/')) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

/** GitLab writes truth as a text, others do not; numbers are those of ids. A list or an object is none of them. */
function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'boolean' || Number.isSafeInteger(value) ? String(value) : null;
}

/** Of a token whose signature nobody has looked at; null for what is no JWT. */
export function issuerOf(token: string): string | null {
  try {
    return decodeJwt(token).iss ?? null;
  } catch {
    return null;
  }
}

function headerOf(token: string): { kid: string | undefined } {
  const { typ, alg, kid } = decodeProtectedHeader(token);
  // RFC 9068 §2.1: what a token exchange gives out is often an access token.
  if (typ !== undefined && !/^(application\/)?(at\+)?jwt$/i.test(typ)) throw invalid('its type is not JWT');
  if (!signatureAlgorithms.includes(alg ?? '')) throw invalid('its algorithm is not allowed');
  return { kid: typeof kid === 'string' ? kid : undefined };
}

function invalid(why: string, hint?: string): IdentityError {
  const options = hint === undefined ? {} : { hint };
  return new IdentityError('assertion-invalid', `The assertion is not valid: ${why}.`, options);
}

function expired(cause?: unknown): IdentityError {
  return new IdentityError('assertion-expired', 'The assertion has expired, or is older than an hour.', {
    hint: 'ask the platform for a new one; in Kubernetes expirationSeconds must not be above 3600',
    cause,
  });
}
