/**
 * Sign-in at the API: `POST /v1/login` (an ID token of the configured issuer against the relay's own token, bound to the
 * key of the proof), `POST /v1/logout`, `GET /v1/me`; and who makes a request, for every other route and for the tunnel.
 */
import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { NewEntry } from '../../evidence/entry.ts';
import type { Authenticated, PresentedRequest } from '../../identity/authenticator.ts';
import { brokeredIdToken } from '../../identity/brokered-token.ts';
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
  /** Whether an ID token of that time still speaks for its person; absent where the issuer is not ours to ask. */
  readonly vouchesFor?: ((subject: string, issuedAtMs: number) => Promise<boolean>) | undefined;
  /** When our own provider lets people sign in elsewhere: what it keeps of each sign-in; null or absent otherwise. */
  readonly broker?: LoginBroker | null;
}

/** Sign-ins by the subject that our own provider's ID tokens have. */
export interface LoginBroker {
  readonly issuer: string;
  /** What the person's own issuer signed; null when the sign-in has ended. */
  proofOf(signIn: string): Promise<LoginProof | null>;
  vouchesFor(signIn: string): Promise<boolean>;
  /** From now on the login ends with the sign-in. */
  opened(signIn: string, login: LoginId): Promise<void>;
  /** The person signed out. */
  forget(login: LoginId): Promise<void>;
}

/** What an issuer signed about the person, exactly as it came. */
export interface LoginProof {
  readonly kind: 'id-token' | 'saml-response';
  readonly text: string;
}

/** A verified ID token together with what goes into the record about it. */
interface LoginToken extends VerifiedIdToken {
  /** By the issuer of the principal. */
  readonly proof: LoginProof;
  /** Null when the client has the ID token from the principal's issuer itself. */
  readonly brokered: { readonly signIn: string; readonly broker: LoginBroker } | null;
  /** When the sign-in is over by its issuer's own word; null when it sets no end. */
  readonly endsAtMs: number | null;
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
    await options.broker?.forget(login);
    if (await state.logins.end(login, 'logout'))
      await append({ kind: 'login.ended', actor: actorOf(principal), login, reason: 'logout' });
    return reply.code(204).send();
  });

  app.get('/v1/me', async (request): Promise<MeAnswer> => {
    const { login, principal } = await authenticate(identity, request);
    return { login, principal: viewOf(principal) };
  });
}

async function signIn(
  options: LoginRoutesOptions,
  body: LoginRequest,
  proof: VerifiedProof,
): Promise<LoginAnswer> {
  const { identity, state, clock } = options;
  const token = await verifyToken(options, body.idToken);
  if (token.boundJkt !== null && token.boundJkt !== proof.jkt)
    throw new IdentityError('id-token-invalid', 'The ID token is bound to another key.');
  // Once: who steals an ID token later cannot bind it to a key of their own.
  if (!(await state.replay.firstUse(`id-token:${token.digest}`, token.expiresAtMs + 120_000)))
    throw new IdentityError('id-token-invalid', 'The ID token was used before.');
  await refuseUnlessVouchedFor(options, token);
  const { lifetimeSeconds } = identity.tokens;
  const now = clock.wallMs();
  const validUntilMs = Math.min(now + lifetimeSeconds * 1000, token.endsAtMs ?? Infinity);
  if (validUntilMs <= now) throw notVouchedFor();
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
    expiresInSeconds: Math.floor((validUntilMs - now) / 1000),
    principal: viewOf(token.principal),
  };
}

/** @throws IdentityError */
async function verifyToken({ identity, broker }: LoginRoutesOptions, text: string): Promise<LoginToken> {
  const verified = await identity.idTokens.verify(text);
  if (broker === undefined || broker === null)
    return { ...verified, proof: { kind: 'id-token', text }, brokered: null, endsAtMs: null };
  const token = brokeredIdToken(text, verified);
  const proof = await broker.proofOf(token.signIn);
  if (proof === null) throw notVouchedFor();
  return { ...token, proof, brokered: { signIn: token.signIn, broker } };
}

/** @throws IdentityError `id-token-invalid` */
async function refuseUnlessVouchedFor(
  { vouchesFor }: LoginRoutesOptions,
  { principal, issuedAtMs, brokered }: LoginToken,
): Promise<void> {
  const stands =
    brokered === null
      ? (await vouchesFor?.(principal.subject, issuedAtMs)) !== false
      : await brokered.broker.vouchesFor(brokered.signIn);
  if (!stands) throw notVouchedFor();
}

const notVouchedFor = (): IdentityError =>
  new IdentityError('id-token-invalid', 'The provider no longer stands by this ID token.', {
    hint: 'sign in again: hoop login',
  });

/** The entry is durable before the login counts: nobody acts whose sign-in is not on record. */
async function open(
  { state, clock, append }: LoginRoutesOptions,
  token: LoginToken,
  proof: VerifiedProof,
  validUntilMs: number,
): Promise<LoginId> {
  const login = ulid(clock.wallMs()) as LoginId;
  const entry = loginEntry(login, null, token, proof);
  await append(entry);
  await state.logins.open({ id: login, principal: token.principal, ...proof, validUntilMs, entry });
  await token.brokered?.broker.opened(token.brokered.signIn, login);
  return login;
}

interface Renewal {
  readonly token: LoginToken;
  readonly proof: VerifiedProof;
  readonly validUntilMs: number;
}

/**
 * Same person, same key, and nobody ended it; a change of groups is on record before it counts. One that merely was not
 * renewed in time (a machine that slept) stays over, with its sessions: the same person goes on under a new login.
 */
async function renew(options: LoginRoutesOptions, renews: string, renewal: Renewal): Promise<LoginId> {
  const { state, append } = options;
  const { token, proof, validUntilMs } = renewal;
  const { principal } = token;
  const found = isLoginId(renews) ? await state.logins.find(renews) : null;
  if (!isLoginId(renews) || found === null || found.standing === 'ended') throw ended();
  if (found.login.jkt !== proof.jkt || !samePrincipal(found.login.principal, principal)) throw ended();
  if (found.standing === 'lapsed') return open(options, token, proof, validUntilMs);
  if (found.login.principal.groups.join('\n') !== principal.groups.join('\n')) {
    const entry = loginEntry(renews, renews, token, proof);
    await append(entry);
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
  token: LoginToken,
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
    // A key that our own provider bound was bound by us: the person's issuer knows nothing of it.
    binding: token.boundJkt === null || token.brokered !== null ? 'bound-by-relay' : 'cnf-by-issuer',
    idTokenDigest: token.proof.kind === 'id-token' ? hash('sha256', token.proof.text, 'hex') : token.digest,
    ...(token.brokered === null ? {} : { broker: { issuer: token.brokered.broker.issuer } }),
  };
}

const actorOf = ({ kind, issuer, subject, email }: VerifiedPrincipal) => ({ kind, issuer, subject, email });

const viewOf = (principal: VerifiedPrincipal): LoginAnswer['principal'] => ({
  ...actorOf(principal),
  groups: [...principal.groups],
});
