/**
 * Between the embedded provider and its upstream: hands a person's interaction over, takes the answer back, and keeps the
 * sign-in alive for as long as the upstream does.
 *
 * 1. `/interaction/UID`, in the browser that confirmed the code: `Upstream.begin`; what it keeps is stored under the digest
 *    of `state`, and the browser leaves. A page does that, not a redirect: after a form, browsers hold every redirect that
 *    follows against `form-action`, and a provider may send people on to hosts that nobody knows here.
 * 2. `/callback`, by GET or by another site's POST (which brings no cookie): uses the state up, stores the answer under a
 *    ticket, and sends the browser to `/interaction/UID?answer=TICKET`, where its cookie comes along.
 * 3. There: the cookie says that it is the browser that left, the ticket that it is the one that came back. Whoever has only
 *    one of the two (somebody lured to a link, or who made the link) gets nothing, and the answer is used up.
 * 4. Renewal: before the provider answers a refresh token, the upstream says whether the person still is one there.
 */
import { hash, randomBytes, randomUUID } from 'node:crypto';
import {
  errors,
  type Account,
  type Context,
  type DeviceCode,
  type Interaction,
  type Provider,
  type TokenOfAccount,
} from 'oidc-provider';
import { z } from 'zod';
import { brokeredClaim, type BrokeredClaim } from '../../../identity/brokered-token.ts';
import { HoopError } from '../../../errors.ts';
import type { LoginId } from '../../../model/ids.ts';
import type { Clock } from '../../../system/clock.ts';
import { ulid } from '../../../system/ulid.ts';
import type { State } from '../../state/state.ts';
import type { UpstreamSignIn } from '../../state/upstream-sign-ins.ts';
import { ProviderError } from '../error.ts';
import { ownInteraction, readForm } from '../interaction.ts';
import type { ProviderKeys } from '../keys.ts';
import { leavePage, problemPage, type Place } from '../pages.ts';
import { AtRest } from './at-rest.ts';
import type { Json, Upstream, UpstreamIdentity, UpstreamProof, UpstreamRequest } from './upstream.ts';

export interface BrokerOptions {
  /** The embedded provider's. */
  readonly issuer: string;
  readonly place: Place;
  readonly upstream: Upstream;
  readonly state: State;
  readonly keys: ProviderKeys;
  readonly clock: Clock;
  readonly signInLifetimeSeconds: number;
  /** For the operator's log: failures that people only hear of in general. */
  readonly onError: (error: Error) => void;
  /** A login has ended because its upstream no longer vouches for it. */
  readonly onEnded: (login: LoginId) => Promise<void>;
}

const requestMs = 600_000;
/** A SAML response fits; a code is far smaller. */
const maxAnswerBytes = 262_144;
/** Longer than a login outlives the last ID token: its access token lives an hour at most. */
const keptAfterMs = 7_200_000;
const leaseMs = 30_000;
const leaseWaitMs = 15_000;
const leasePollMs = 100;

const Request = z.object({ uid: z.string(), keep: z.string() });
const Answer = z.object({ uid: z.string(), answer: z.string() });
const KeptAnswer = z.object({
  method: z.enum(['GET', 'POST']),
  query: z.string(),
  form: z.string().nullable(),
  keep: z.json(),
});
const KeptIdentity: z.ZodType<UpstreamIdentity> = z.object({
  issuer: z.string(),
  subject: z.string(),
  email: z.string().nullable(),
  groups: z.array(z.string()),
  authTimeMs: z.number().nullable(),
  acr: z.string().nullable(),
  amr: z.array(z.string()),
  session: z.string().nullable(),
  endsAtMs: z.number().nullable().default(null),
  proof: z.object({ kind: z.enum(['id-token', 'saml-response']), text: z.string() }),
  kept: z.json(),
});

const digestOf = (secret: string): string => hash('sha256', secret, 'base64url');
const secretOf = (): string => randomBytes(32).toString('base64url');

export class Broker {
  /** The embedded provider's. */
  readonly issuer: string;
  readonly #options: BrokerOptions;
  readonly #atRest: AtRest;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.issuer = options.issuer;
    this.#atRest = new AtRest(options.keys);
  }

  /** `/interaction/UID`: the way out, and with `?answer=` the way in. */
  async interaction(context: Context, provider: Provider): Promise<void> {
    const { place } = this.#options;
    const interaction = await ownInteraction(context, provider, place);
    // Used up before anything else is looked at: one that came to another browser is worth nothing afterwards.
    const ticket = context.query['answer'];
    const answer = typeof ticket === 'string' ? await this.#take('UpstreamAnswer', ticket, Answer) : null;
    if (interaction === null) return;
    try {
      if (ticket === undefined)
        await this.#leave(context, interaction.uid, stepOf(await deviceCodeOf(provider, interaction)));
      else if (answer?.uid !== interaction.uid) this.#problem(context, 400, expiredText);
      else await this.#arrive(context, provider, answer.answer);
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
      this.#options.onError(error);
      const denied = error.code === 'upstream-denied';
      if (denied) await denyDevice(provider, interaction);
      const status = denied ? 403 : error.code === 'upstream-unreachable' ? 503 : 400;
      this.#problem(context, status, error instanceof ProviderError ? error.message : failedText);
    }
  }

  /** `/callback`, `/backchannel-logout`, and of SAML `/saml/acs`, where its answers come, and `/saml/metadata`. */
  async fromUpstream(context: Context): Promise<void> {
    const { kind } = this.#options.upstream;
    if (context.path === '/backchannel-logout') return this.#endedSession(context);
    if (context.path === (kind === 'saml' ? '/saml/acs' : '/callback')) return this.#callback(context);
    if (context.path === '/saml/metadata' && kind === 'saml') return this.#describe(context);
    this.#problem(context, 404, 'There is no such page.');
  }

  /** An answer of the upstream, or of whoever says so. */
  async #callback(context: Context): Promise<void> {
    const { place } = this.#options;
    const form = context.method === 'POST' ? await readForm(context.req, maxAnswerBytes) : null;
    if (context.method === 'POST' && form === null) return this.#problem(context, 413, 'It was too long.');
    const query = new URL(context.url, 'http://callback').search.slice(1);
    const parameters = form ?? new URLSearchParams(query);
    const state = parameters.get('state') ?? parameters.get('RelayState') ?? '';
    const request = await this.#take('UpstreamRequest', state, Request);
    if (request === null) return this.#problem(context, 400, expiredText);
    const ticket = secretOf();
    const method = form === null ? 'GET' : 'POST';
    const keep = this.#atRest.decrypt(request.keep, `request ${digestOf(state)}`);
    const answer = { method, query, form: form?.toString() ?? null, keep };
    const sealed = this.#atRest.encrypt(answer, `answer ${digestOf(ticket)}`);
    await this.#put('UpstreamAnswer', ticket, { uid: request.uid, answer: sealed });
    context.status = 303;
    context.redirect(`${place.base}/interaction/${request.uid}?answer=${ticket}`);
  }

  /**
   * Who a token of ours is about; for a refresh token, after the upstream has said so again.
   * @throws errors.CustomOIDCProviderError `temporarily_unavailable`: nothing was used up
   */
  async account(context: Context, id: string, token?: TokenOfAccount): Promise<Account | undefined> {
    const { state, upstream } = this.#options;
    const signIn = await state.upstreamSignIns.find(id);
    if (signIn === null || signIn.upstream !== upstream.id) return undefined;
    const renews = token?.kind === 'RefreshToken' && token.consumed === undefined;
    const identity = renews ? await this.#renew(id) : this.#identityOf(signIn);
    if (identity === null) return undefined;
    return { accountId: id, claims: () => claimsOf(context, id, identity) };
  }

  async #describe(context: Context): Promise<void> {
    const { upstream, onError } = this.#options;
    try {
      context.body = await upstream.describe?.();
      context.type = 'application/samlmetadata+xml';
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      onError(error);
      this.#problem(context, 503, error.message);
    }
  }

  /** Whether an ID token of ours about this sign-in still speaks for its person. */
  async vouchesFor(signIn: string): Promise<boolean> {
    const found = await this.#options.state.upstreamSignIns.find(signIn);
    return found?.upstream === this.#options.upstream.id;
  }

  /** What the upstream signed; null when the sign-in has ended. */
  async proofOf(signIn: string): Promise<UpstreamProof | null> {
    const found = await this.#options.state.upstreamSignIns.find(signIn);
    return found === null ? null : this.#identityOf(found).proof;
  }

  /**
   * A login was opened by it, and ends with it. One that it had before ends now: nothing would end that with the sign-in. When
   * the sign-in is over already, whoever opened the login finds out by `vouchesFor`, asked after this.
   */
  async opened(signIn: string, login: LoginId): Promise<void> {
    const { state } = this.#options;
    const before = await state.upstreamSignIns.hasLogin(signIn, login);
    if (before === null || before === login) return;
    if ((await state.logins.findLive(before)) !== null) await this.#endLogin(before);
  }

  /** The person signed out: what the upstream gave for them is forgotten. */
  async forget(login: LoginId): Promise<void> {
    await this.#options.state.upstreamSignIns.removeOfLogin(login);
  }

  /** The upstream says that a session, or all of a person's, ended there. */
  async #endedSession(context: Context): Promise<void> {
    const { upstream, state, onError } = this.#options;
    context.set('cache-control', 'no-store');
    context.type = 'json';
    context.status = 400;
    context.body = { error: 'invalid_request' };
    const form = context.method === 'POST' ? await readForm(context.req) : null;
    if (form === null || upstream.endedSession === null) return;
    try {
      const { issuer, session, subject } = await upstream.endedSession(form);
      const by = session === null ? 'subject' : 'session';
      for (const signIn of await state.upstreamSignIns.of(upstream.id, by, session ?? subject ?? ''))
        if (signIn.issuer === issuer && (subject === null || signIn.subject === subject))
          await this.#end(signIn);
      context.status = 200;
      context.body = '';
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
      onError(error);
    }
  }

  async #leave(context: Context, uid: string, step: UpstreamRequest['step']): Promise<void> {
    const { issuer, upstream, place } = this.#options;
    const state = secretOf();
    const { redirect, keep } = await upstream.begin({ state, callbackUrl: `${issuer}/callback`, step });
    const sealed = this.#atRest.encrypt(keep, `request ${digestOf(state)}`);
    await this.#put('UpstreamRequest', state, { uid, keep: sealed });
    context.set('refresh', `0; url=${redirect}`);
    context.body = leavePage(place, redirect);
  }

  async #arrive(context: Context, provider: Provider, sealed: string): Promise<void> {
    const { upstream, issuer, state, clock, signInLifetimeSeconds } = this.#options;
    const ticket = String(context.query['answer']);
    const { method, query, form, keep } = KeptAnswer.parse(
      this.#atRest.decrypt(sealed, `answer ${digestOf(ticket)}`),
    );
    const url = new URL(`${issuer}/callback${query === '' ? '' : `?${query}`}`);
    const answer = { method, url, form: form === null ? null : new URLSearchParams(form), keep };
    const identity = await upstream.finish(answer);
    const id = ulid(clock.wallMs());
    await state.upstreamSignIns.open({
      id,
      upstream: upstream.id,
      issuer: identity.issuer,
      subject: identity.subject,
      session: identity.session,
      identity: this.#sealedIdentity(id, identity),
      // At the upstream's own end nothing renews it any more.
      expiresAtMs: Math.min(
        clock.wallMs() + signInLifetimeSeconds * 1000 + keptAfterMs,
        identity.endsAtMs ?? Infinity,
      ),
    });
    const result = { login: { accountId: id, amr: [...identity.amr], remember: false } };
    context.status = 303;
    context.redirect(await provider.interactionResult(context.req, context.res, result));
  }

  /** Null: the upstream no longer vouches for the person, and the sign-in has ended. */
  async #renew(id: string): Promise<UpstreamIdentity | null> {
    const { state, onError } = this.#options;
    const holder = randomUUID();
    if (!(await this.#lease(id, holder))) throw later();
    try {
      // Anew: another process may have renewed, or ended it, while this one waited.
      const signIn = await state.upstreamSignIns.find(id);
      if (signIn === null) return null;
      return await this.#renewLeased(signIn, holder);
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
      onError(error);
      throw later();
    } finally {
      await state.upstreamSignIns.giveBack(id, holder);
    }
  }

  async #renewLeased(signIn: UpstreamSignIn, holder: string): Promise<UpstreamIdentity | null> {
    const { upstream, state } = this.#options;
    const before = this.#identityOf(signIn);
    const { id } = signIn;
    const keep = async (identity: UpstreamIdentity): Promise<void> => {
      const sealed = this.#sealedIdentity(id, identity);
      if (!(await state.upstreamSignIns.keep(id, holder, identity.session, sealed)))
        throw new ProviderError(
          'upstream-unreachable',
          'The renewal at the identity provider took too long.',
        );
    };
    try {
      const renewed = await upstream.renew(before, (kept) => keep({ ...before, kept }));
      if (renewed.issuer !== before.issuer || renewed.subject !== before.subject)
        throw new ProviderError('upstream-denied', 'The identity provider renewed somebody else’s sign-in.');
      await keep(renewed);
      return renewed;
    } catch (error) {
      if (!(error instanceof ProviderError) || error.code !== 'upstream-denied') throw error;
      this.#options.onError(error);
      await this.#end(signIn);
      return null;
    }
  }

  async #lease(id: string, holder: string): Promise<boolean> {
    const { state, clock } = this.#options;
    const untilMs = clock.monotonicMs() + leaseWaitMs;
    while (!(await state.upstreamSignIns.lease(id, holder, leaseMs))) {
      if (clock.monotonicMs() > untilMs || (await state.upstreamSignIns.find(id)) === null) return false;
      await new Promise((resolve) => setTimeout(resolve, leasePollMs));
    }
    return true;
  }

  /** Refresh tokens of ours first, so that nothing comes after; the login's sessions see it within seconds. */
  async #end({ id }: UpstreamSignIn): Promise<void> {
    const { state } = this.#options;
    await state.artefacts.removeAccount(id);
    const login = await state.upstreamSignIns.remove(id);
    if (login !== null) await this.#endLogin(login);
  }

  async #endLogin(login: LoginId): Promise<void> {
    const { state, onEnded } = this.#options;
    if (await state.logins.end(login, 'revoked')) await onEnded(login);
  }

  #problem(context: Context, status: number, text: string): void {
    context.type = 'html';
    context.status = status;
    context.body = problemPage(this.#options.place, text);
  }

  #sealedIdentity(id: string, identity: UpstreamIdentity): string {
    return this.#atRest.encrypt(JSON.parse(JSON.stringify(identity)) as Json, `identity ${id}`);
  }

  #identityOf({ id, identity }: UpstreamSignIn): UpstreamIdentity {
    return KeptIdentity.parse(this.#atRest.decrypt(identity, `identity ${id}`));
  }

  #put(model: string, secret: string, payload: Record<string, unknown>): Promise<void> {
    const { state, clock } = this.#options;
    const none = { grantId: null, accountId: null, userCode: null, uid: null };
    const expiresAtMs = clock.wallMs() + requestMs;
    return state.artefacts.put({ model, id: digestOf(secret), payload, ...none, expiresAtMs });
  }

  /** Once; null when there is none, it has expired, or was taken before. */
  async #take<Payload>(model: string, secret: string, shape: z.ZodType<Payload>): Promise<Payload | null> {
    const { artefacts } = this.#options.state;
    const id = digestOf(secret);
    const found = await artefacts.find(model, 'id', id);
    if (found === null || !(await artefacts.consume(model, id))) return null;
    await artefacts.remove(model, id);
    return shape.parse(found.payload);
  }
}

const expiredText = 'This sign-in has expired, was answered already, or was started in another browser.';
const failedText = 'The identity provider’s answer could not be verified.';

/** RFC 6749 has no code for it at the token endpoint; this is the one of its authorization endpoint. */
const later = (): Error =>
  new errors.CustomOIDCProviderError('temporarily_unavailable', 'the upstream issuer did not answer');

const deviceCodeOf = async (provider: Provider, { deviceCode }: Interaction): Promise<DeviceCode | null> =>
  (deviceCode === undefined ? null : await provider.DeviceCode.find(deviceCode)) ?? null;

/** So that the terminal hears of it at once, and does not wait until the code expires. */
async function denyDevice(provider: Provider, interaction: Interaction): Promise<void> {
  const code = await deviceCodeOf(provider, interaction);
  if (code === null) return;
  Object.assign(code, { error: 'access_denied', errorDescription: 'the upstream issuer refused' });
  await code.save();
}

/** What `hoop login` asked for. The provider has made `prompt=login` of `max_age=0`, and keeps it with the code alone. */
function stepOf(code: DeviceCode | null): UpstreamRequest['step'] {
  const { max_age: maxAge, prompt, acr_values: acr } = code?.params ?? {};
  const anew = typeof prompt === 'string' && prompt.split(' ').includes('login');
  const seconds = anew ? 0 : Number(maxAge ?? NaN);
  return {
    maxAgeSeconds: Number.isSafeInteger(seconds) && seconds >= 0 ? seconds : null,
    acr: typeof acr === 'string' && acr !== '' ? acr : null,
  };
}

function claimsOf({ oidc }: Context, id: string, identity: UpstreamIdentity): Record<string, unknown> {
  const jkt = oidc.entities.AccessToken?.jkt;
  const { authTimeMs, acr, amr, email, groups, endsAtMs = null } = identity;
  const claim: BrokeredClaim = {
    iss: identity.issuer,
    sub: identity.subject,
    auth_time: authTimeMs === null ? null : Math.floor(authTimeMs / 1000),
    acr,
    amr: [...amr],
    ...(endsAtMs === null ? {} : { ends_at: Math.floor(endsAtMs / 1000) }),
  };
  return {
    sub: id,
    ...(email === null ? {} : { email, email_verified: true }),
    groups,
    [brokeredClaim]: claim,
    ...(jkt === undefined ? {} : { cnf: { jkt } }),
  };
}
