/**
 * An OpenID provider as upstream: authorization code (OpenID Connect Core 1.0 §3.1) with PKCE S256 (RFC 7636), state and
 * nonce, the issuer's own name in the answer where it offers that (RFC 9207), refresh tokens, back-channel logout. For
 * issuers without a device grant, and for those that want a secret of their clients.
 *
 * openid-client does the protocol; the ID token is verified as that of a direct issuer is, signature included, also though
 * it comes over TLS: it goes into the record.
 */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { hash } from 'node:crypto';
import * as oidc from 'openid-client';
import { z } from 'zod';
import { HoopError } from '../../../errors.ts';
import { IdentityError } from '../../../identity/error.ts';
import { IdTokens } from '../../../identity/id-token.ts';
import type { GroupsMap } from '../../../identity/groups.ts';
import { IssuerKeys, type SeenKeys } from '../../../identity/issuer-keys.ts';
import { verifyLogoutToken } from '../../../identity/logout-token.ts';
import type { ReplayCache } from '../../../identity/replay.ts';
import type { Clock } from '../../../system/clock.ts';
import { ProviderError } from '../error.ts';
import { askIssuer, fetchIssuerJson } from '../issuer-fetch.ts';
import type {
  EndedUpstreamSession,
  Json,
  Upstream,
  UpstreamAnswer,
  UpstreamIdentity,
  UpstreamRequest,
} from './upstream.ts';

export interface OidcUpstreamOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** Read at each use, so that a rotated one works at once; null for a public client. */
  readonly clientSecret: (() => string) | null;
  readonly scopes: readonly string[];
  readonly groupsClaim: string;
  readonly groupsMap: GroupsMap;
  /** How far its clock may be from ours. */
  readonly clockSkewSeconds: number;
  readonly clock: Clock;
  readonly replay: ReplayCache;
  /** Told of each key set before a token is accepted by it, for the log. */
  readonly onKeys: (seen: SeenKeys) => Promise<void>;
}

const metadataFreshMs = 600_000;
const timeoutSeconds = 10;

const Kept = z.object({ verifier: z.string(), nonce: z.string(), maxAge: z.number().nullable() });
const Renewable = z.object({ refreshToken: z.string(), nonce: z.string() });

/** What `IdTokens` does not say; it has verified them. */
const MoreClaims = z.object({
  auth_time: z.number().optional(),
  acr: z.string().max(256).optional(),
  amr: z.array(z.string().max(64)).max(16).optional(),
  sid: z.string().min(1).max(255).optional(),
  nonce: z.string().optional(),
  at_hash: z.string().optional(),
});

export class OidcUpstream implements Upstream {
  readonly kind = 'oidc';
  readonly id: string;
  readonly #options: OidcUpstreamOptions;
  readonly #keys: IssuerKeys;
  readonly #idTokens: IdTokens;
  #metadata: { readonly server: oidc.ServerMetadata; readonly atMs: number } | null = null;

  constructor(options: OidcUpstreamOptions) {
    const { issuer, clientId, clock, onKeys } = options;
    this.#options = options;
    this.id = `oidc ${issuer} ${clientId}`;
    this.#keys = new IssuerKeys({ issuer, fetchJson: fetchIssuerJson, clock, onKeys });
    this.#idTokens = new IdTokens({ ...options, keys: this.#keys });
  }

  begin({ state, callbackUrl, step }: UpstreamRequest): Promise<{ redirect: string; keep: Json }> {
    const { issuer, scopes } = this.#options;
    const { maxAgeSeconds, acr } = step;
    return told(async () => {
      const config = await this.#client();
      const verifier = oidc.randomPKCECodeVerifier();
      const nonce = oidc.randomNonce();
      const url = oidc.buildAuthorizationUrl(config, {
        redirect_uri: callbackUrl,
        scope: scopes.join(' '),
        state,
        nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        ...(maxAgeSeconds === null ? {} : { max_age: String(maxAgeSeconds) }),
        ...(maxAgeSeconds === 0 ? { prompt: 'login' } : {}),
        ...(acr === null ? {} : { acr_values: acr }),
        // Google has no offline_access (its own OpenID Connect documentation), and repeats a refresh token only on consent.
        ...(issuer === 'https://accounts.google.com' ? { access_type: 'offline', prompt: 'consent' } : {}),
      });
      return { redirect: url.href, keep: { verifier, nonce, maxAge: maxAgeSeconds } };
    });
  }

  finish({ method, url, keep }: UpstreamAnswer): Promise<UpstreamIdentity> {
    return told(async () => {
      // We asked for none but the query: a POST is not an answer to it.
      if (method !== 'GET') throw invalid('it came in another way than asked for');
      const { verifier, nonce, maxAge } = Kept.parse(keep);
      const config = await this.#client();
      const tokens = await oidc.authorizationCodeGrant(config, url, {
        pkceCodeVerifier: verifier,
        // The broker found what was kept by it.
        expectedState: url.searchParams.get('state') ?? '',
        expectedNonce: nonce,
        idTokenExpected: true,
      });
      const identity = await this.#identity(tokens.id_token ?? '', nonce, tokens.access_token);
      if (maxAge !== null) this.#requireFresh(identity.authTimeMs, maxAge);
      return { ...identity, kept: keptOf(tokens.refresh_token, nonce) };
    });
  }

  /** E-mail and groups stay as they were where a renewal brings no new ID token (§12.2 leaves that open). */
  renew(before: UpstreamIdentity, keep: (kept: Json) => Promise<void>): Promise<UpstreamIdentity> {
    const renewable = Renewable.safeParse(before.kept);
    // The issuer gave no refresh token: the sign-in goes on until `tokens.signInLifetime`.
    if (!renewable.success) return Promise.resolve(before);
    const { refreshToken, nonce } = renewable.data;
    return told(async () => {
      // Before the refresh token is used up: without keys, what comes back could not be verified.
      await this.#keys.get(null);
      const kept = (next: string): Json => keptOf(next, nonce);
      const config = await this.#client((next) => keep(kept(next)));
      const tokens = await oidc.refreshTokenGrant(config, refreshToken);
      const last = kept(tokens.refresh_token ?? refreshToken);
      if (tokens.id_token === undefined) return { ...before, kept: last };
      return { ...(await this.#identity(tokens.id_token, null, tokens.access_token, nonce)), kept: last };
    });
  }

  endedSession(form: URLSearchParams): Promise<EndedUpstreamSession> {
    const { issuer, clientId, clock, replay } = this.#options;
    const options = { issuer, clientId, clock, replay, keys: this.#keys };
    return told(async () => ({
      issuer,
      ...(await verifyLogoutToken(form.get('logout_token') ?? '', options)),
    }));
  }

  /** §3.1.2.1: who asked for `max_age` needs `auth_time`, and checks it. */
  #requireFresh(authTimeMs: number | null, maxAgeSeconds: number): void {
    const { clock, clockSkewSeconds } = this.#options;
    if (authTimeMs === null)
      throw new ProviderError(
        'upstream-invalid',
        'The identity provider does not tell the time of your sign-in there (auth_time), which is needed now.',
        {
          hint: 'the operator lets the provider put auth_time into its ID tokens (Entra ID: an optional claim; Google has none), or no policy asks for a fresh sign-in',
        },
      );
    if (clock.wallMs() - authTimeMs > (maxAgeSeconds + clockSkewSeconds) * 1000)
      throw new ProviderError(
        'upstream-invalid',
        'The identity provider did not sign you in anew, as was asked for.',
      );
  }

  /** @param sameIfAny a renewed ID token need not have the nonce, but no other (§12.2) */
  async #identity(
    text: string,
    nonce: string | null,
    accessToken: string,
    sameIfAny?: string,
  ): Promise<Omit<UpstreamIdentity, 'kept'>> {
    const { principal } = await this.#idTokens.verify(text, nonce);
    const parsed = MoreClaims.safeParse(decodeJwt(text));
    if (!parsed.success) throw invalid('a claim of its ID token is malformed');
    const { data: claims } = parsed;
    if (sameIfAny !== undefined && claims.nonce !== undefined && claims.nonce !== sameIfAny)
      throw invalid('its nonce is another');
    if (claims.at_hash !== undefined && claims.at_hash !== accessTokenHash(text, accessToken))
      throw invalid('its ID token is not of this access token');
    return {
      issuer: principal.issuer,
      subject: principal.subject,
      email: principal.email,
      groups: principal.groups,
      authTimeMs: claims.auth_time === undefined ? null : claims.auth_time * 1000,
      acr: claims.acr ?? null,
      amr: claims.amr ?? [],
      session: claims.sid ?? null,
      proof: { kind: 'id-token', text },
    };
  }

  /** @param onTokens told what the token endpoint answered before any of it is verified */
  async #client(onTokens: OnTokens | null = null): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecret } = this.#options;
    const metadata = { [oidc.clockTolerance]: this.#options.clockSkewSeconds };
    const server = await this.#discover();
    const config = new oidc.Configuration(server, clientId, metadata, clientAuth(clientSecret));
    config[oidc.customFetch] = fetchBy(onTokens);
    config.timeout = timeoutSeconds;
    // Loopback only: askIssuer checks every endpoint.
    if (issuer.startsWith('http:')) oidc.allowInsecureRequests(config);
    return config;
  }

  async #discover(): Promise<oidc.ServerMetadata> {
    const { issuer, clientId, clock } = this.#options;
    const now = clock.monotonicMs();
    if (this.#metadata !== null && now - this.#metadata.atMs < metadataFreshMs) return this.#metadata.server;
    const server = new URL(issuer);
    const insecure = server.protocol === 'http:';
    const config = await oidc.discovery(server, clientId, {}, oidc.None(), {
      [oidc.customFetch]: fetchBy(null),
      timeout: timeoutSeconds,
      ...(insecure ? { execute: [oidc.allowInsecureRequests] } : {}),
    });
    const { issuer: told, authorization_endpoint: authorize } = config.serverMetadata();
    if (told !== issuer) throw invalid('its discovery document is that of another issuer');
    if (authorize === undefined || (server.protocol === 'https:' && !authorize.startsWith('https:')))
      throw invalid('it offers no authorization endpoint by https');
    this.#metadata = { server: config.serverMetadata(), atMs: now };
    return this.#metadata.server;
  }
}

/** A refresh token is kept only together with what its answers are checked against. */
const keptOf = (refreshToken: string | undefined, nonce: string): Json =>
  refreshToken === undefined ? null : { refreshToken, nonce };

/** Told of a refresh token as soon as it has come: the one before it is used up, whatever is wrong with the rest. */
type OnTokens = (refreshToken: string) => Promise<void>;

const Tokens = z.object({ refresh_token: z.string().min(1) });

function fetchBy(onTokens: OnTokens | null): oidc.CustomFetch {
  return async (url, { method, headers, body }) => {
    const answer = await askIssuer(url, { method, headers, ...(body ? { body: String(body) } : {}) });
    if (onTokens !== null && answer.ok) {
      const tokens = Tokens.safeParse(
        await answer
          .clone()
          .json()
          .catch(() => null),
      );
      if (tokens.success) await onTokens(tokens.data.refresh_token);
    }
    return answer;
  };
}

/**
 * In the form where the issuer takes that: not all decode what RFC 6749 §2.3.1 encodes for HTTP Basic. Basic where it says
 * nothing (OpenID Connect Discovery 1.0 §3).
 */
function clientAuth(secret: (() => string) | null): oidc.ClientAuth {
  return (server, client, body, headers) => {
    if (secret === null) return oidc.None()(server, client, body, headers);
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const by = methods.includes('client_secret_post') ? oidc.ClientSecretPost : oidc.ClientSecretBasic;
    return by(secret())(server, client, body, headers);
  };
}

/** §3.1.3.6: the left half of the hash that the algorithm of the ID token uses. */
function accessTokenHash(idToken: string, accessToken: string): string {
  const { alg = '' } = decodeProtectedHeader(idToken);
  const algorithm = alg.endsWith('256') ? 'sha256' : alg.endsWith('384') ? 'sha384' : 'sha512';
  const digest = hash(algorithm, accessToken, 'buffer');
  return digest.subarray(0, digest.length / 2).toString('base64url');
}

/** Tells failures in words of ours: the library's, and the issuer's own, may quote a token or hold HTML. */
async function told<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw explain(error);
  }
}

function explain(error: unknown): HoopError {
  if (error instanceof IdentityError && error.code === 'issuer-unreachable') return unreachable(error);
  // Its own text names a claim at most, never what is in it.
  if (error instanceof IdentityError)
    return new ProviderError(
      'upstream-invalid',
      `The identity provider’s answer was refused. ${error.message}`,
      {
        // It names keys of `identity`, for the direct way; the same keys are in `identity.upstream`.
        ...(error.hint === undefined
          ? {}
          : { hint: error.hint.replaceAll('identity.', 'identity.upstream.') }),
        cause: error,
      },
    );
  if (error instanceof HoopError) return error;
  if (error instanceof oidc.AuthorizationResponseError) return ofAuthorization(error.error);
  if (error instanceof oidc.ResponseBodyError) return ofToken(error.error, error.status);
  if (error instanceof oidc.WWWAuthenticateChallengeError) return ofToken('', error.status);
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const unanswered = ['OAUTH_TIMEOUT', 'OAUTH_ABORT', 'OAUTH_RESPONSE_IS_NOT_CONFORM', ''];
  if (unanswered.includes(code)) return unreachable(error);
  return invalid('it is not what the specification says', error);
}

/** RFC 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6. */
function ofAuthorization(code: string): ProviderError {
  switch (code) {
    case 'access_denied':
      return new ProviderError(
        'upstream-denied',
        'The identity provider refused the sign-in, or you did there.',
      );
    case 'login_required':
    case 'interaction_required':
    case 'consent_required':
    case 'account_selection_required':
    case 'unmet_authentication_requirements':
      return new ProviderError(
        'upstream-denied',
        'The identity provider did not sign you in as was asked for.',
      );
    case 'temporarily_unavailable':
    case 'server_error':
      return unreachable(new Error('the issuer said so'));
    default:
      return new ProviderError(
        'upstream-invalid',
        'The identity provider refused the request of this relay. Its operator compares the client and its scopes there.',
      );
  }
}

/** RFC 6749 §5.2: only `invalid_grant` is about the person; the rest is about us, and may pass. */
function ofToken(code: string, status: number): ProviderError {
  if (code === 'invalid_grant')
    return new ProviderError('upstream-denied', 'The identity provider no longer knows this sign-in.');
  const known = /^[a-z_]{1,40}$/.test(code) ? code : `status ${status}`;
  return invalid(`it refused the relay as its client (${known})`);
}

const invalid = (why: string, cause?: unknown): ProviderError =>
  new ProviderError('upstream-invalid', `The identity provider’s answer could not be used: ${why}.`, {
    cause,
  });

const unreachable = (cause: unknown): ProviderError =>
  new ProviderError('upstream-unreachable', 'The identity provider does not answer. Try again in a minute.', {
    cause,
  });
