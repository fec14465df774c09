/**
 * Service accounts of the relay itself: who they are, and the two ways to prove it. An account with a key signs an assertion
 * for each sign-in (`private_key_jwt`, RFC 7523 §3 with the account's name as `iss` and `sub`), good once and for minutes. An
 * account with a secret sends the secret; only its digest is stored, which needs no slow hash, since it is 256 random bits.
 *
 * Whatever is wrong with account or credential, the caller is told the same.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { decodeProtectedHeader, errors, jwtVerify, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import { z } from 'zod';
import type { ActedFor } from '../model/principal.ts';
import type { Clock } from '../system/clock.ts';
import { clockSkewMs } from './dpop.ts';
import { IdentityError } from './error.ts';
import { importPublicJwk, type PublicJwk } from './login-key.ts';
import { issuerOf } from './machine-token.ts';
import type { ReplayCache } from './replay.ts';
import { mintPrincipal, type VerifiedPrincipal } from './verified-principal.ts';

export type ServiceCredential = (
  | { readonly kind: 'key'; readonly publicJwk: PublicJwk }
  /** SHA-256, hex. */
  | { readonly kind: 'secret'; readonly digest: string }
) & {
  readonly createdAtMs: number;
  /** Null: until it is rotated. */
  readonly validUntilMs: number | null;
};

export interface ServiceAccount {
  /** Subject of its principal; never used again for another account. */
  readonly id: string;
  readonly name: string;
  readonly kind: 'service' | 'agent';
  readonly groups: readonly string[];
  readonly disabled: boolean;
  readonly expiresAtMs: number | null;
  readonly createdAtMs: number;
  /** Newest first. */
  readonly credentials: readonly ServiceCredential[];
}

export interface ServiceAccountVerification {
  /** Base URL of this relay: issuer of the principal, audience of assertions. */
  readonly relay: string;
  readonly accounts: {
    byName(name: string): Promise<ServiceAccount | null>;
    byId(id: string): Promise<ServiceAccount | null>;
  };
  readonly clock: Clock;
  readonly replay: ReplayCache;
}

/** Longest life of an assertion. */
const assertionMs = 300_000;
/** Life of those that are made here. */
const madeSeconds = 60;
const accountName = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** Beginning of every secret, for scanners that look for leaked ones. */
export const clientSecretPrefix = 'hoop_sa_';
export const generateClientSecret = (): string =>
  `${clientSecretPrefix}${randomBytes(32).toString('base64url')}`;
export const digestOfSecret = (secret: string): string => hash('sha256', secret, 'hex');

export const isAccountName = (text: string): boolean => accountName.test(text);

/** Who signed in, and by which of the account's credentials. */
export interface VerifiedAccount {
  readonly account: ServiceAccount;
  readonly credential: ServiceCredential;
  readonly principal: VerifiedPrincipal;
}

export const isUsable = ({ disabled, expiresAtMs }: ServiceAccount, nowMs: number): boolean =>
  !disabled && (expiresAtMs === null || expiresAtMs > nowMs);

/** Whether the account may sign in, and by this credential still. */
export const isUsableBy = (account: ServiceAccount, by: ServiceCredential, clock: Clock): boolean =>
  isUsable(account, clock.wallMs()) &&
  validCredentials(account, clock).some((each) => sameCredential(each, by));

const sameCredential = (a: ServiceCredential, b: ServiceCredential): boolean =>
  a.kind === 'key'
    ? b.kind === 'key' && a.publicJwk.x === b.publicJwk.x && a.publicJwk.y === b.publicJwk.y
    : b.kind === 'secret' && a.digest === b.digest;

/** An assertion for one sign-in at `relay`. */
export function makeClientAssertion(
  privateKey: CryptoKey,
  account: string,
  relay: string,
  clock: Clock,
): Promise<string> {
  const now = Math.floor(clock.wallMs() / 1000);
  return new SignJWT({ jti: randomBytes(16).toString('base64url') })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT' })
    .setIssuer(account)
    .setSubject(account)
    .setAudience(relay)
    .setIssuedAt(now)
    .setExpirationTime(now + madeSeconds)
    .sign(privateKey);
}

const Claims = z.object({
  iss: z.string(),
  sub: z.string(),
  aud: z.union([z.string(), z.array(z.string()).length(1)]),
  iat: z.number(),
  exp: z.number(),
  jti: z.string().min(8).max(128),
});

/**
 * @param assertion as it came; untrusted
 * @throws IdentityError `assertion-invalid`, `assertion-expired`, `assertion-replayed`, `service-account-refused`
 */
export async function verifyClientAssertion(
  assertion: string,
  options: ServiceAccountVerification,
): Promise<VerifiedAccount & { readonly digest: string }> {
  const { relay, accounts, clock, replay } = options;
  const name = issuerOf(assertion);
  if (name === null || !accountName.test(name))
    throw invalid('it is no JWT of a trusted issuer, nor of a service account');
  const account = await accounts.byName(name);
  const keys = validCredentials(account, clock).filter(isKey);
  const now = clock.wallMs();
  const { payload, credential } = await verifyBySome(assertion, keys, now);
  const claims = Claims.safeParse(payload);
  if (!claims.success) throw invalid('a claim is missing or malformed');
  const { iss, sub, aud, iat, exp, jti } = claims.data;
  if (sub !== iss) throw invalid('its sub is not its iss');
  if ([aud].flat()[0] !== relay) throw invalid(`its aud is not ${relay}`);
  if (iat * 1000 > now + clockSkewMs) throw invalid('it is from the future', 'set the clock of this machine');
  if (exp * 1000 > now + assertionMs + clockSkewMs) throw invalid('it lives longer than five minutes');
  const usable = requireUsable(account, now);
  const id = `client-assertion:${hash('sha256', `${usable.id} ${jti}`, 'base64url')}`;
  if (!(await replay.firstUse(id, exp * 1000 + 2 * clockSkewMs)))
    throw new IdentityError('assertion-replayed', 'The assertion was used before.', {
      hint: 'make a new one for each sign-in',
    });
  return {
    account: usable,
    credential,
    principal: servicePrincipal(usable, relay, null),
    digest: hash('sha256', assertion, 'hex'),
  };
}

/** @throws IdentityError `service-account-refused` */
export async function verifyClientSecret(
  { account: name, clientSecret }: { readonly account: string; readonly clientSecret: string },
  { relay, accounts, clock }: ServiceAccountVerification,
): Promise<VerifiedAccount> {
  const account = await accounts.byName(name);
  const digest = Buffer.from(digestOfSecret(clientSecret), 'hex');
  let credential: ServiceCredential | null = null;
  // All of them, and one that nothing matches: as long as there is an account or not.
  for (const each of [...validCredentials(account, clock).filter(isSecret), null])
    if (timingSafeEqual(Buffer.from(each?.digest ?? '0'.repeat(64), 'hex'), digest)) credential = each;
  if (credential === null) throw refused();
  const usable = requireUsable(account, clock.wallMs());
  return { account: usable, credential, principal: servicePrincipal(usable, relay, null) };
}

/**
 * An agent's principal under a delegation whose token was found by its digest.
 * @throws IdentityError `service-account-refused`
 */
export function delegatedPrincipal(
  account: ServiceAccount | null,
  person: ActedFor,
  { relay, clock }: Pick<ServiceAccountVerification, 'relay' | 'clock'>,
): VerifiedPrincipal {
  const usable = requireUsable(account, clock.wallMs());
  if (usable.kind !== 'agent') throw refused();
  return servicePrincipal(usable, relay, person);
}

const servicePrincipal = (
  { kind, id, groups }: ServiceAccount,
  relay: string,
  actsFor: ActedFor | null,
): VerifiedPrincipal => mintPrincipal({ kind, issuer: relay, subject: id, email: null, groups, actsFor });

function validCredentials(account: ServiceAccount | null, clock: Clock): readonly ServiceCredential[] {
  const now = clock.wallMs();
  return (account?.credentials ?? []).filter(
    ({ validUntilMs }) => validUntilMs === null || validUntilMs > now,
  );
}

function requireUsable(account: ServiceAccount | null, nowMs: number): ServiceAccount {
  if (account !== null && isUsable(account, nowMs)) return account;
  throw refused();
}

type KeyCredential = Extract<ServiceCredential, { kind: 'key' }>;
type SecretCredential = Extract<ServiceCredential, { kind: 'secret' }>;
const isKey = (each: ServiceCredential): each is KeyCredential => each.kind === 'key';
const isSecret = (each: ServiceCredential): each is SecretCredential => each.kind === 'secret';

async function verifyBySome(
  assertion: string,
  keys: readonly KeyCredential[],
  nowMs: number,
): Promise<{ payload: JWTPayload; credential: KeyCredential }> {
  if (headerOf(assertion).alg !== 'ES256') throw invalid('its algorithm is not ES256');
  for (const credential of keys) {
    try {
      const options = {
        algorithms: ['ES256'],
        requiredClaims: ['exp', 'iat', 'sub', 'aud', 'jti'],
        clockTolerance: clockSkewMs / 1000,
        currentDate: new Date(nowMs),
      };
      const key = await importPublicJwk(credential.publicJwk);
      return { payload: (await jwtVerify(assertion, key, options)).payload, credential };
    } catch (cause) {
      if (cause instanceof errors.JWTExpired)
        throw new IdentityError('assertion-expired', 'The assertion has expired.', {
          hint: 'set the clock of this machine',
          cause,
        });
      if (cause instanceof errors.JWTClaimValidationFailed)
        throw invalid(`its ${cause.claim} is missing or not the expected one`);
    }
  }
  throw refused();
}

function headerOf(assertion: string): { alg?: string | undefined } {
  try {
    return decodeProtectedHeader(assertion);
  } catch {
    throw invalid('it is no JWT');
  }
}

const refused = (): IdentityError =>
  new IdentityError(
    'service-account-refused',
    'These are not the credentials of a service account that may sign in.',
    {
      hint: 'an operator sees it with: hoop admin service-accounts list',
    },
  );

function invalid(why: string, hint?: string): IdentityError {
  const options = hint === undefined ? {} : { hint };
  return new IdentityError('assertion-invalid', `The assertion is not valid: ${why}.`, options);
}
