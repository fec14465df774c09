/**
 * The embedded OpenID provider: who people are when there is no other issuer. oidc-provider does the protocol; this
 * folder adds people with passwords, pages, limits and storage.
 *
 * One client (`hoop-cli`, public), two grants: device code (RFC 8628) and refresh token with rotation and reuse detection
 * (RFC 9700). Every token is bound to the client's key (RFC 9449), the ID token too (`cnf`). With an upstream (`upstream/`)
 * people sign in there, and there are none here. Deliberately not here: consent screens, redirects to other clients,
 * single sign-on, self-registration, password reset.
 *
 * Invariant: the provider believes nothing about its own address or the caller's but what the relay tells it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JSONWebKeySet } from 'jose';
import {
  interactionPolicy,
  Provider,
  type Account,
  type Client,
  type Context,
  type TokenOfAccount,
} from 'oidc-provider';
import { systemClock, type Clock } from '../../system/clock.ts';
import type { Artefacts } from '../state/artefacts.ts';
import type { State } from '../state/state.ts';
import { Accounts } from './accounts.ts';
import { adapterFactory } from './adapter.ts';
import { deviceFlow, enterCode, keepLinkedCode, refuseOtherKey } from './device.ts';
import { Flood } from './flood.ts';
import type { ProviderKeys } from './keys.ts';
import { problemPage, securityHeaders, style, type Place } from './pages.ts';
import { RateLimit } from './rate-limit.ts';
import { signIn } from './sign-in.ts';
import { brokeredClaim } from '../../identity/brokered-token.ts';
import type { LoginId } from '../../model/ids.ts';
import { Broker } from './upstream/broker.ts';
import type { Upstream } from './upstream/upstream.ts';

export const providerClientId = 'hoop-cli';
export const providerScopes = ['openid', 'email', 'groups'];
export const providerGroupsClaim = 'groups';
/** @param relay base URL without trailing slash */
export const providerIssuer = (relay: string): string => `${relay}/idp`;

export interface EmbeddedProviderOptions {
  /** The relay's base URL as people and programs reach it, without trailing slash. */
  readonly relay: string;
  readonly state: State;
  readonly keys: ProviderKeys;
  /** After this long a person signs in again, whatever was renewed; default 12 hours. */
  readonly signInLifetimeSeconds?: number;
  /** Where people sign in; null or absent: here, with a password. */
  readonly upstream?: Upstream | null;
  /** Told of a login that has ended because the upstream no longer vouches for it. */
  readonly onEnded?: (login: LoginId) => Promise<void>;
  readonly clock?: Clock;
  /** For the operator's log: unexpected failures. */
  readonly onError?: (error: Error) => void;
}

export interface EmbeddedProvider {
  readonly issuer: string;
  readonly accounts: Accounts;
  /** Null when people have their accounts here. */
  readonly broker: Broker | null;
  /** The public keys that sign ID tokens. */
  readonly jwks: JSONWebKeySet;
  /** Discovery and keys from memory, for `IssuerKeys`: the relay need not call itself. */
  fetchJson(url: string): Promise<unknown>;
  /**
   * Answers one request whose path begins with the provider's; its body must not have been read.
   * @param address the caller's, after what trusted proxies say
   */
  handle(request: IncomingMessage, response: ServerResponse, address: string): Promise<void>;
}

const paths =
  /^\/(\.well-known\/(openid-configuration|oauth-authorization-server)|jwks|token|token\/revocation|device\/auth|device|device\/[\w-]+)$/;

export function createProvider(options: EmbeddedProviderOptions): EmbeddedProvider {
  const issuer = providerIssuer(options.relay);
  const { protocol, host, pathname: base } = new URL(issuer);
  const place: Place = { base, host };
  const accounts = new Accounts(options.state, issuer, options.clock);
  const { artefacts } = options.state;
  const rateLimit = new RateLimit(options.state.attempts);
  const flood = new Flood(options.clock ?? systemClock);
  const broker = brokerOf(options, issuer, place);
  const provider = new Provider(issuer, configuration(options, place, broker));
  provider.proxy = true;
  for (const event of ['error', 'server_error'])
    provider.on(event, (...values: never[]) => {
      for (const value of values as unknown[]) if (value instanceof Error) options.onError?.(value);
    });
  provider.use((context, next) =>
    route(context, next, { provider, accounts, artefacts, broker, rateLimit, flood, place }),
  );
  const callback = provider.callback();
  const jwks = publicKeys(options.keys);
  const documents = new Map<string, unknown>([
    [`${issuer}/.well-known/openid-configuration`, { issuer, jwks_uri: `${issuer}/jwks` }],
    [`${issuer}/jwks`, jwks],
  ]);
  return {
    issuer,
    accounts,
    broker,
    jwks,
    fetchJson: async (url) => documents.get(url),
    handle: (request, response, address) => {
      for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
      // Overwrites whatever the caller claims: links, cookies and the address shown come from here alone.
      request.headers['host'] = host;
      request.headers['x-forwarded-host'] = host;
      request.headers['x-forwarded-proto'] = protocol.slice(0, -1);
      request.headers['x-forwarded-for'] = address;
      Object.assign(request, { baseUrl: base, url: (request.url ?? '').slice(base.length) || '/' });
      return callback(request, response);
    },
  };
}

function brokerOf(options: EmbeddedProviderOptions, issuer: string, place: Place): Broker | null {
  const { upstream, state, keys, clock = systemClock, onError, onEnded } = options;
  if (upstream === undefined || upstream === null) return null;
  return new Broker({
    issuer,
    place,
    upstream,
    state,
    keys,
    clock,
    signInLifetimeSeconds: signInSecondsOf(options),
    onError: onError ?? (() => undefined),
    onEnded: onEnded ?? (async () => undefined),
  });
}

interface Parts {
  readonly provider: Provider;
  readonly accounts: Accounts;
  readonly artefacts: Artefacts;
  readonly broker: Broker | null;
  readonly rateLimit: RateLimit;
  readonly flood: Flood;
  readonly place: Place;
}

async function route(context: Context, next: () => Promise<void>, parts: Parts): Promise<void> {
  const { provider, accounts, broker, rateLimit, flood, place } = parts;
  if (context.path === '/style.css') {
    context.set('cache-control', 'public, max-age=3600');
    context.type = 'css';
    context.body = style;
    return;
  }
  if (/^\/interaction\/[\w-]+$/.test(context.path)) {
    // Each try of a password is counted in the state, and a code to try one with is anybody's for the asking.
    // So does each person who leaves for the upstream; whoever comes back brings what was stored before.
    const stores = context.method === 'POST' || (broker !== null && context.query['answer'] === undefined);
    if (stores && !flood.admits(context.ip)) return tooMany(context, place, 60_000);
    if (broker !== null) return broker.interaction(context, provider);
    return signIn(context, provider, accounts, place);
  }
  if (broker !== null && /^\/(callback|backchannel-logout|saml\/(acs|metadata))$/.test(context.path))
    return broker.fromUpstream(context);
  if (!paths.test(context.path)) {
    context.type = 'html';
    context.status = 404;
    context.body = problemPage(place, 'There is no such page.');
    return;
  }
  if (context.path === '/device' && context.method !== 'POST') keepLinkedCode(context);
  // Both store something for whoever asks.
  const stores = context.path === '/device/auth' || context.path === '/device';
  if (stores && !flood.admits(context.ip)) return tooMany(context, place, 60_000);
  if (context.path === '/device/auth') {
    await next();
    tellInterval(context.body);
    return;
  }
  if (context.path === '/token') {
    await next();
    await refuseOtherKey(context, parts.artefacts);
    tellSignInEnd(context);
    return;
  }
  if (context.path !== '/device' || context.method !== 'POST') return next();
  const wait = await enterCode(context, rateLimit, next);
  if (wait !== null) tooMany(context, place, wait);
}

function tooMany(context: Context, place: Place, waitMs: number): void {
  context.type = 'html';
  context.status = 429;
  context.set('retry-after', String(Math.ceil(waitMs / 1000)));
  context.body = problemPage(place, 'Too many tries. Wait a few minutes.');
}

/** RFC 8628 §3.2: how long a client waits between two polls. One second: a look-up here costs next to nothing. */
function tellInterval(body: unknown): void {
  if (typeof body === 'object' && body !== null && 'device_code' in body)
    Object.assign(body, { interval: 1 });
}

/**
 * How long the sign-in can still be renewed: refresh tokens rotate, and all of them end with the grant. No standard names
 * it; this is the name that several providers use.
 */
function tellSignInEnd({ body, oidc }: Context): void {
  const endsAt = oidc.entities.Grant?.exp;
  if (endsAt === undefined || typeof body !== 'object' || body === null || !('refresh_token' in body)) return;
  const left = endsAt - Math.floor(Date.now() / 1000);
  Object.assign(body, { refresh_token_expires_in: Math.max(left, 0) });
}

const signInSecondsOf = ({ signInLifetimeSeconds = 43_200 }: EmbeddedProviderOptions): number =>
  signInLifetimeSeconds;

function configuration(options: EmbeddedProviderOptions, place: Place, broker: Broker | null) {
  const { state, keys } = options;
  const off = { enabled: false };
  const signInSeconds = signInSecondsOf(options);
  return {
    adapter: adapterFactory(state.artefacts, options.clock ?? systemClock),
    jwks: { keys: keys.signing },
    clients: [
      {
        client_id: providerClientId,
        client_name: 'hoop',
        token_endpoint_auth_method: 'none',
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
        response_types: [],
        redirect_uris: [],
        id_token_signed_response_alg: 'ES256',
        dpop_bound_access_tokens: true,
      },
    ],
    clientBasedCORS: () => false,
    scopes: providerScopes,
    claims: {
      openid: ['sub', 'cnf', 'auth_time', 'amr', brokeredClaim],
      email: ['email', 'email_verified'],
      groups: [providerGroupsClaim],
    },
    conformIdTokenClaims: false,
    responseTypes: ['code'],
    enabledJWA: { idTokenSigningAlgValues: ['ES256'], dPoPSigningAlgValues: ['ES256'] },
    cookies: {
      keys: keys.cookies,
      names: { session: 'hoop_session', interaction: 'hoop_interaction', resume: 'hoop_resume' },
      long: { signed: true, httpOnly: true, sameSite: 'lax', path: place.base },
      short: { signed: true, httpOnly: true, sameSite: 'lax' },
    },
    features: {
      devInteractions: off,
      userinfo: off,
      rpInitiatedLogout: off,
      resourceIndicators: off,
      pushedAuthorizationRequests: off,
      revocation: {
        enabled: true,
        allowedPolicy: (_context: Context, client: Client, token: { clientId?: string }) =>
          token.clientId === client.clientId,
      },
      dPoP: { enabled: true, nonceSecret: Buffer.from(keys.nonce, 'base64url'), requireNonce: () => true },
      deviceFlow: deviceFlow(place, options.clock ?? systemClock),
    },
    routes: { code_verification: '/device', device_authorization: '/device/auth' },
    ttl: {
      AccessToken: 600,
      DeviceCode: 600,
      IdToken: 300,
      Interaction: 600,
      Session: 600,
      Grant: signInSeconds,
      RefreshToken: signInSeconds,
    },
    interactions: {
      policy: alwaysAsk(),
      url: (_context: Context, interaction: { uid: string }) =>
        `${place.base}/interaction/${interaction.uid}`,
    },
    loadExistingGrant: grantAll,
    issueRefreshToken: () => true,
    rotateRefreshToken: () => true,
    expiresWithSession: () => false,
    findAccount: (context: Context, id: string, token?: TokenOfAccount) =>
      broker === null ? findAccount(state, context, id) : broker.account(context, id, token),
    renderError: (context: Context, out: { error: string }) => {
      context.type = 'html';
      context.body = problemPage(
        place,
        out.error === 'server_error' ? 'The relay failed.' : 'The request was refused.',
      );
    },
  };
}

/** Each code asks for the password: a link that somebody else made must not be one click away from a token. */
function alwaysAsk(): interactionPolicy.Policy {
  const policy = interactionPolicy.base();
  policy.clear();
  const check = new interactionPolicy.Check(
    'password',
    'each device signs in anew',
    ({ oidc }) => oidc.result?.login === undefined || oidc.account === undefined,
  );
  policy.add(new interactionPolicy.Prompt({ name: 'login', requestable: false }, check));
  return policy;
}

/** The confirmation of the code is the consent; each sign-in has a grant of its own, revoked on its own. */
async function grantAll({ oidc }: Context) {
  if (oidc.account === undefined) return undefined;
  const grant = new oidc.provider.Grant({
    accountId: oidc.account.accountId,
    clientId: oidc.client.clientId,
  });
  grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(' '));
  await grant.save();
  return grant;
}

async function findAccount(state: State, context: Context, id: string): Promise<Account | undefined> {
  const user = await state.users.byId(id);
  if (user === null || user.disabled) return undefined;
  return {
    accountId: user.id,
    claims: () => {
      const jkt = context.oidc.entities.AccessToken?.jkt;
      return {
        sub: user.id,
        email: user.email,
        email_verified: true,
        [providerGroupsClaim]: user.groups,
        ...(jkt === undefined ? {} : { cnf: { jkt } }),
      };
    },
  };
}

function publicKeys(keys: ProviderKeys): JSONWebKeySet {
  return {
    keys: keys.signing.map((key) => {
      const { d: _, ...jwk } = key;
      return jwk;
    }),
  };
}
