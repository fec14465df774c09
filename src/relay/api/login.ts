/**
 * Sign-in at the API: `POST /v1/login` (an ID token of the configured issuer, or what a machine has, against the relay's own
 * token, bound to the key of the proof), `POST /v1/logout`, `GET /v1/me`; and who makes a request, for every other route and for the tunnel.
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { actorOf, relayActor, type KeptProofKind, type NewEntry } from '../../evidence/entry.ts';
import type { Authenticated, PresentedRequest, StoredLogin } from '../../identity/authenticator.ts';
import type { VerifiedProof } from '../../identity/dpop.ts';
import { IdentityError } from '../../identity/error.ts';
import { sameAuthentication, type Authentication } from '../../model/authentication.ts';
import { isLoginId, type LoginId } from '../../model/ids.ts';
import { sameParty } from '../../model/principal.ts';
import type { Clock } from '../../system/clock.ts';
import { ulid } from '../../system/ulid.ts';
import { LoginRequest, type LoginAnswer, type MeAnswer } from '../../wire/api.ts';
import { RelayError } from '../error.ts';
import { Flood } from '../idp/flood.ts';
import type { MachineSignIns } from '../machines/sign-in.ts';
import { presentIdToken, type LoginBroker, type Presented } from '../presented.ts';
import { principalView } from '../principal-view.ts';
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
  /** Of the log that `append` writes to. */
  readonly origin: string;
  /** Keeps what an entry will name by its digest; durable when it resolves (`evidence/logins/archive.ts`). */
  readonly keepProof: (digest: string, kind: KeptProofKind, text: string) => Promise<void>;
  readonly machines: MachineSignIns;
  /** Whether an ID token of that time, and of a sign-in of then, still speaks for its person; absent where the issuer is not ours to ask. */
  readonly vouchesFor?: ((subject: string, sinceMs: number) => Promise<boolean>) | undefined;
  /** A login was renewed, perhaps by a fresh authentication, which its sessions have to hear of. Does not throw. */
  readonly onRenewed?: () => Promise<void>;
  /** When our own provider lets people sign in elsewhere: what it keeps of each sign-in; null or absent otherwise. */
  readonly broker?: LoginBroker | null;
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
    return signIn(options, body.data, proof, request.ip);
  });

  app.post('/v1/logout', async (request, reply) => {
    const { login, principal } = await authenticate(identity, request);
    await options.broker?.forget(login);
    if (await state.logins.end(login, 'logout'))
      await append({ kind: 'login.ended', actor: actorOf(principal), login, reason: 'logout' });
    return reply.code(204).send();
  });

  app.get('/v1/me', async (request): Promise<MeAnswer> => {
    const { login, principal, authentication } = await authenticate(identity, request);
    const entry = await state.logins.entryOf(login);
    return {
      login,
      principal: principalView(principal),
      key: entry && { thumbprint: entry.thumbprint, binding: entry.binding },
      authentication: {
        time: authentication.timeMs === null ? null : new Date(authentication.timeMs).toISOString(),
        acr: authentication.acr,
        amr: [...authentication.amr],
      },
    };
  });
}

async function signIn(
  options: LoginRoutesOptions,
  body: LoginRequest,
  proof: VerifiedProof,
  address: string,
): Promise<LoginAnswer> {
  const { identity, state, clock, machines } = options;
  const presented =
    'idToken' in body
      ? await presentIdToken({ ...options, idTokens: identity.idTokens }, body.idToken, proof.jkt)
      : await machines.present(body, address);
  if (presented.boundJkt !== null && presented.boundJkt !== proof.jkt)
    throw new IdentityError('assertion-invalid', 'The assertion is bound to another key.');
  await presented.refuseUnlessVouchedFor();
  const now = clock.wallMs();
  const latest = now + identity.tokens.lifetimeSeconds * 1000;
  const validUntilMs = Math.min(latest, presented.endsAtMs ?? latest);
  if (validUntilMs <= now) throw ended();
  const lifetimeSeconds = Math.max(1, Math.floor((validUntilMs - now) / 1000));
  const login =
    body.renews === undefined
      ? await open(options, presented, proof, validUntilMs)
      : await renew(options, body.renews, { presented, proof, validUntilMs });
  try {
    // Again: whoever revoked it meanwhile ended the logins there were, and this one may have come after.
    await presented.refuseUnlessVouchedFor();
  } catch (error) {
    // A login that was there before goes on when nobody answers; it is asked about again at its next renewal.
    if (body.renews === login && !isRefusal(error)) throw error;
    if (await state.logins.end(login, 'revoked'))
      await options.append({ kind: 'login.ended', actor: relayActor, login, reason: 'revoked' });
    throw error;
  }
  return {
    login,
    accessToken: await identity.tokens.issue(presented.principal, login, proof.jkt, lifetimeSeconds),
    expiresInSeconds: lifetimeSeconds,
    principal: principalView(presented.principal),
  };
}

/** Somebody said no, rather than that nobody could be asked. */
const isRefusal = (error: unknown): boolean =>
  error instanceof IdentityError && error.code !== 'issuer-unreachable' && error.code !== 'issuer-invalid';

/**
 * What proves it is kept before the entry that names it, and both before the login counts: nobody acts whose sign-in is not on record.
 * @returns the entry as other logs are told
 */
async function tell(
  { append, keepProof, origin }: LoginRoutesOptions,
  entry: LoginEntry,
  { kept }: Presented,
): Promise<LoginEntry> {
  for (const { digest, kind, text } of kept) await keepProof(digest, kind, text);
  await append(entry);
  return kept.length === 0 ? entry : { ...entry, keptBy: origin };
}

async function open(
  options: LoginRoutesOptions,
  presented: Presented,
  proof: VerifiedProof,
  validUntilMs: number,
): Promise<LoginId> {
  const { state, clock } = options;
  // Each sign-in of a person makes a key of its own; one whose login an operator ended is in the wrong hands.
  if (presented.principal.kind === 'person' && (await state.logins.isRevokedKey(proof.jkt))) throw ended();
  const id = ulid(clock.wallMs()) as LoginId;
  const entry = await tell(options, loginEntry(id, null, presented, proof), presented);
  const { principal, authentication, scope, parent } = presented;
  await state.logins.open({ id, principal, authentication, scope, parent, ...proof, validUntilMs, entry });
  await presented.opened?.(id);
  return id;
}

interface Renewal {
  readonly presented: Presented;
  readonly proof: VerifiedProof;
  readonly validUntilMs: number;
}

/**
 * Same person, same key, and nobody ended it; a change of groups is on record before it counts. One that merely was not
 * renewed in time (a machine that slept) stays over, with its sessions: the same person goes on under a new login.
 */
async function renew(options: LoginRoutesOptions, renews: string, renewal: Renewal): Promise<LoginId> {
  const { state } = options;
  const { presented, proof, validUntilMs } = renewal;
  const { principal } = presented;
  const found = isLoginId(renews) ? await state.logins.find(renews) : null;
  if (!isLoginId(renews) || found === null || found.standing === 'ended') throw ended();
  if (found.login.jkt !== proof.jkt || !isRenewedBy(found, presented)) throw ended();
  if (found.standing === 'lapsed') return open(options, presented, proof, validUntilMs);
  const before = found.login;
  const authentication = authenticationAfter(before.authentication, presented.authentication);
  const sameGroups = before.principal.groups.join('\n') === principal.groups.join('\n');
  if (!sameGroups || !sameAuthentication(before.authentication, authentication)) {
    const entry = loginEntry(renews, renews, { ...presented, authentication }, proof);
    await state.logins.told(renews, await tell(options, entry, presented));
  }
  const renewed = { principal, jkt: proof.jkt, authentication };
  if (!(await state.logins.renew(renews, renewed, validUntilMs))) throw ended();
  // It may stand by another sign-in now, and has to end with that one.
  await presented.opened?.(renews);
  await options.onRenewed?.();
  return renews;
}

/** An agent's login stays one for the same person, by the same sign-in of theirs, under the same limits. */
const isRenewedBy = (
  { login, parent: by }: { readonly login: StoredLogin; readonly parent: LoginId | null },
  { principal, scope, parent }: Presented,
): boolean =>
  sameParty(login.principal, principal) &&
  by === parent &&
  JSON.stringify(login.scope) === JSON.stringify(scope);

/**
 * A refreshed ID token repeats the original `auth_time` or leaves it out (OpenID Connect Core 1.0 §12.2): what it leaves
 * out has not changed. A later `auth_time` tells of another authentication, and all of it counts; an earlier one is that
 * of a grant from before a step-up.
 */
function authenticationAfter(before: Authentication, told: Authentication): Authentication {
  if (told.timeMs !== null && told.timeMs > (before.timeMs ?? -Infinity)) return told;
  if (told.timeMs !== null && told.timeMs !== before.timeMs) return before;
  return {
    timeMs: before.timeMs,
    acr: told.acr ?? before.acr,
    amr: told.amr.length > 0 ? told.amr : before.amr,
  };
}

const ended = (): IdentityError =>
  new IdentityError('login-ended', 'This sign-in has ended, or is not yours to renew.', {
    hint: 'sign in again: hoop login',
  });

function loginEntry(
  login: LoginId,
  renews: LoginId | null,
  { principal, authentication, boundJkt, told }: Presented,
  proof: VerifiedProof,
): LoginEntry {
  return {
    kind: 'login',
    actor: actorOf(principal),
    login,
    renews,
    groups: [...principal.groups],
    ...toldAuthentication(authentication),
    key: proof.publicJwk,
    thumbprint: proof.jkt,
    // A key that our own provider bound was bound by us: the person's issuer knows nothing of it.
    binding: boundJkt === null || told.broker !== undefined ? 'bound-by-relay' : 'cnf-by-issuer',
    ...told,
  };
}

const toldAuthentication = ({ timeMs, acr, amr }: Authentication) => ({
  authTime: timeMs === null ? null : new Date(timeMs).toISOString(),
  acr,
  amr: [...amr],
});
