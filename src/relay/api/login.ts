/**
 * Sign-in at the API: `POST /v1/login` (an ID token of the configured issuer against the relay's own token, bound to the
 * key of the proof), `POST /v1/logout`, `GET /v1/me`; and who makes a request, for every other route and for the tunnel.
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { NewEntry, ProofKind } from '../../evidence/entry.ts';
import type { Authenticated, PresentedRequest } from '../../identity/authenticator.ts';
import type { VerifiedProof } from '../../identity/dpop.ts';
import { IdentityError } from '../../identity/error.ts';
import type { VerifiedIdToken } from '../../identity/id-token.ts';
import type { VerifiedPrincipal } from '../../identity/verified-principal.ts';
import { isLoginId, type LoginId } from '../../model/ids.ts';
import { samePrincipal } from '../../model/principal.ts';
import type { Clock } from '../../system/clock.ts';
import { ulid } from '../../system/ulid.ts';
import { LoginRequest, type LoginAnswer, type MeAnswer } from '../../wire/api.ts';
import { RelayError } from '../error.ts';
import { Flood } from '../idp/flood.ts';
import type { LoginEntry } from '../state/logins.ts';
import type { State } from '../state/state.ts';
import type { RelayIdentity } from './identity.ts';

/** Resolves when the entry is durable. */
export type AppendEntry = (entry: NewEntry) => Promise<unknown>;

export interface LoginRoutesOptions {
  readonly identity: RelayIdentity;
  readonly state: State;
  readonly clock: Clock;
  readonly append: AppendEntry;
  /** Keeps what an entry will name by its digest; durable when it resolves (`evidence/logins/archive.ts`). */
  readonly keepProof: (digest: string, kind: ProofKind, text: string) => Promise<void>;
  /** Whether an ID token of that time still speaks for its person; absent where the issuer is not ours to ask. */
  readonly vouchesFor?: ((subject: string, issuedAtMs: number) => Promise<boolean>) | undefined;
}

/** Puts the present nonce on every answer of `app`. */
export function offerNonces(app: FastifyInstance, { nonces }: RelayIdentity): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('dpop-nonce', nonces.current());
  });
}

/** What a request presents; also for the upgrade to a tunnel, which no route sees. */
export const presentedBy = ({ method, url, headers }: IncomingMessage): PresentedRequest => ({
  method: method ?? '',
  target: url ?? '/',
  authorization: headers.authorization,
  // Two such headers arrive joined by a comma, which no proof contains.
  dpop: typeof headers['dpop'] === 'string' ? headers['dpop'] : undefined,
});

/** @throws IdentityError, which `sendProblem` answers, with the challenge of RFC 9449 */
export const authenticate = (identity: RelayIdentity, request: FastifyRequest): Promise<Authenticated> =>
  identity.authenticator.authenticate(presentedBy(request.raw));

export function loginRoutes(app: FastifyInstance, options: LoginRoutesOptions): void {
  const { identity, state, clock, append } = options;
  const flood = new Flood(clock);

  app.post('/v1/login', { bodyLimit: 131_072 }, async (request, reply) => {
    // Anybody can make a key and a proof by it, and each proof is stored.
    if (!flood.admits(request.ip))
      throw new RelayError('relay-overloaded', 'Too many sign-ins from this network.', {
        hint: 'try again in a minute',
      });
    const proof = await identity.authenticator.prove(presentedBy(request.raw), null);
    const body = LoginRequest.safeParse(request.body);
    if (!body.success) throw new RelayError('request-invalid', 'The request is not one to sign in.');
    reply.header('cache-control', 'no-store');
    return signIn(options, body.data, proof);
  });

  app.post('/v1/logout', async (request, reply) => {
    const { login, principal } = await authenticate(identity, request);
    if (await state.logins.end(login, 'logout'))
      await append({ kind: 'login.ended', actor: actorOf(principal), login, reason: 'logout' });
    return reply.code(204).send();
  });

  app.get('/v1/me', async (request): Promise<MeAnswer> => {
    const { login, principal } = await authenticate(identity, request);
    const entry = await state.logins.entryOf(login);
    const key = entry && { thumbprint: entry.thumbprint, binding: entry.binding };
    return { login, principal: viewOf(principal), key };
  });
}

async function signIn(
  options: LoginRoutesOptions,
  body: LoginRequest,
  proof: VerifiedProof,
): Promise<LoginAnswer> {
  const { identity, state, clock } = options;
  const token = { ...(await identity.idTokens.verify(body.idToken)), text: body.idToken };
  if (token.boundJkt !== null && token.boundJkt !== proof.jkt)
    throw new IdentityError('id-token-invalid', 'The ID token is bound to another key.');
  // Once: who steals an ID token later cannot bind it to a key of their own.
  if (!(await state.replay.firstUse(`id-token:${token.digest}`, token.expiresAtMs + 120_000)))
    throw new IdentityError('id-token-invalid', 'The ID token was used before.');
  await refuseUnlessVouchedFor(options, token);
  const { lifetimeSeconds } = identity.tokens;
  const validUntilMs = clock.wallMs() + lifetimeSeconds * 1000;
  const login =
    body.renews === undefined
      ? await open(options, token, proof, validUntilMs)
      : await renew(options, body.renews, { token, proof, validUntilMs });
  try {
    // Again: whoever revoked it meanwhile ended the logins there were, and this one may have come after.
    await refuseUnlessVouchedFor(options, token);
  } catch (error) {
    await state.logins.end(login, 'revoked');
    throw error;
  }
  return {
    login,
    accessToken: await identity.tokens.issue(token.principal, login, proof.jkt),
    expiresInSeconds: lifetimeSeconds,
    principal: viewOf(token.principal),
  };
}

/** @throws IdentityError `id-token-invalid` */
async function refuseUnlessVouchedFor(
  { vouchesFor }: LoginRoutesOptions,
  { principal, issuedAtMs }: VerifiedIdToken,
): Promise<void> {
  if (vouchesFor === undefined || (await vouchesFor(principal.subject, issuedAtMs))) return;
  throw new IdentityError('id-token-invalid', 'The provider no longer stands by this ID token.', {
    hint: 'sign in again: hoop login',
  });
}

/** A verified ID token and how it came. */
interface PresentedToken extends VerifiedIdToken {
  readonly text: string;
}

/** The token is kept before the entry that names it, and both before the login counts: nobody acts whose sign-in is not on record. */
async function tell(
  { append, keepProof }: LoginRoutesOptions,
  entry: LoginEntry,
  token: PresentedToken,
): Promise<void> {
  await keepProof(token.digest, 'id-token', token.text);
  await append(entry);
}

async function open(
  options: LoginRoutesOptions,
  token: PresentedToken,
  proof: VerifiedProof,
  validUntilMs: number,
): Promise<LoginId> {
  const { state, clock } = options;
  // Each sign-in makes a key of its own; one whose login an operator ended is in the wrong hands.
  if (await state.logins.isRevokedKey(proof.jkt)) throw ended();
  const login = ulid(clock.wallMs()) as LoginId;
  const entry = loginEntry(login, null, token, proof);
  await tell(options, entry, token);
  await state.logins.open({ id: login, principal: token.principal, ...proof, validUntilMs, entry });
  return login;
}

interface Renewal {
  readonly token: PresentedToken;
  readonly proof: VerifiedProof;
  readonly validUntilMs: number;
}

/**
 * Same person, same key, and nobody ended it; a change of groups is on record before it counts. One that merely was not
 * renewed in time (a machine that slept) stays over, with its sessions: the same person goes on under a new login.
 */
async function renew(options: LoginRoutesOptions, renews: string, renewal: Renewal): Promise<LoginId> {
  const { state } = options;
  const { token, proof, validUntilMs } = renewal;
  const { principal } = token;
  const found = isLoginId(renews) ? await state.logins.find(renews) : null;
  if (!isLoginId(renews) || found === null || found.standing === 'ended') throw ended();
  if (found.login.jkt !== proof.jkt || !samePrincipal(found.login.principal, principal)) throw ended();
  if (found.standing === 'lapsed') return open(options, token, proof, validUntilMs);
  if (found.login.principal.groups.join('\n') !== principal.groups.join('\n')) {
    const entry = loginEntry(renews, renews, token, proof);
    await tell(options, entry, token);
    await state.logins.told(renews, entry);
  }
  if (!(await state.logins.renew(renews, principal, proof.jkt, validUntilMs))) throw ended();
  return renews;
}

const ended = (): IdentityError =>
  new IdentityError('login-ended', 'This sign-in has ended, or is not yours to renew.', {
    hint: 'sign in again: hoop login',
  });

function loginEntry(
  login: LoginId,
  renews: LoginId | null,
  token: VerifiedIdToken,
  proof: VerifiedProof,
): LoginEntry {
  return {
    kind: 'login',
    actor: actorOf(token.principal),
    login,
    renews,
    groups: [...token.principal.groups],
    method: 'device-code',
    key: proof.publicJwk,
    thumbprint: proof.jkt,
    binding: token.boundJkt === null ? 'bound-by-relay' : 'cnf-by-issuer',
    idTokenDigest: token.digest,
    audience: token.audience,
  };
}

const actorOf = ({ kind, issuer, subject, email }: VerifiedPrincipal) => ({ kind, issuer, subject, email });

const viewOf = (principal: VerifiedPrincipal): LoginAnswer['principal'] => ({
  ...actorOf(principal),
  groups: [...principal.groups],
});
