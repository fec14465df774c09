/**
 * The OpenID provider as this client meets it: discovery, the device grant (RFC 8628) and rotation of the refresh
 * token, by openid-client. PKCE, DPoP and OpenID Connect Key Binding 1.0 (the ID token then names our key) are used where
 * the provider's metadata offers them. The ID token is not trusted here: the relay verifies it.
 */
import { hash } from 'node:crypto';
import * as oidc from 'openid-client';
import { HoopError } from '../errors.ts';
import { IdentityError } from '../identity/error.ts';
import type { LoginKey } from '../identity/login-key.ts';
import type { StepUp } from '../model/authentication.ts';
import { AgentError } from './error.ts';
import type { HttpClient } from './http.ts';
import { readText } from './http.ts';
import { version } from '../system/version.ts';
import { requireSecure } from './relay-address.ts';

export interface IssuerClient {
  readonly issuer: string;
  readonly clientId: string;
  /** Some providers give one to clients that cannot keep it; null: a public client. */
  readonly clientSecret: string | null;
}

/** What a grant brought. Secret. */
export interface IssuerTokens {
  readonly idToken: string;
  /** Null when the provider gave none: the sign-in then cannot be renewed. */
  readonly refreshToken: string | null;
  /** How long the sign-in can be renewed, from now; null when the provider does not say, or has no end. */
  readonly renewableSeconds: number | null;
}

/** What the person has to do; told before the polling starts. */
export interface DevicePrompt {
  readonly url: string;
  readonly code: string;
  /** The same with the code inside, for a browser; null when the provider has none. */
  readonly completeUrl: string | null;
  readonly expiresInSeconds: number;
}

/** Where a person signs in from, for the page on which the sign-in is confirmed. Told, not proven. */
export interface Terminal {
  readonly host: string;
  readonly user: string;
}

export interface DeviceWish {
  readonly scopes: readonly string[];
  /** Null: the provider is not the relay's own, and is told nothing. */
  readonly terminal: Terminal | null;
  /** What the authentication has to be; null: as the provider likes. */
  readonly stepUp: StepUp | null;
  readonly prompt: (prompt: DevicePrompt) => void;
  readonly signal: AbortSignal;
}

const answerLimitBytes = 4 * 1024 * 1024;

export class Issuer {
  readonly #config: oidc.Configuration;
  /** Null where the provider takes no ES256 proofs. */
  readonly #dpop: BindingKey | null;

  private constructor(config: oidc.Configuration, dpop: BindingKey | null) {
    this.#config = config;
    this.#dpop = dpop;
  }

  /**
   * @param key DPoP key at the issuer too, where it takes ES256 proofs: a stolen refresh token is then of no use
   * @throws IdentityError `issuer-unreachable`, `issuer-invalid`; AgentError `relay-insecure`
   */
  static async discover(client: IssuerClient, key: LoginKey, http: HttpClient): Promise<Issuer> {
    const url = new URL(client.issuer);
    requireSecure(url);
    const options: oidc.DiscoveryRequestOptions = {
      [oidc.customFetch]: (target, init) => fetchBy(http, target, init),
      timeout: 30,
      // Loopback only, as was just checked; fetchBy checks every endpoint again.
      ...(url.protocol === 'http:' && { execute: [oidc.allowInsecureRequests] }),
    };
    const config = await told(() =>
      oidc.discovery(url, client.clientId, {}, authenticationOf(client), options),
    );
    const offered = config.serverMetadata().dpop_signing_alg_values_supported ?? [];
    return new Issuer(config, offered.includes('ES256') ? new BindingKey(config, key) : null);
  }

  /**
   * Asks for a code, tells it, and polls until the person has decided.
   * @throws AgentError `device-login-denied`, `device-login-expired`, `device-login-unsupported`, `step-up-unmet`; as
   * `discover`
   */
  async deviceGrant({ scopes, terminal, stepUp, prompt, signal }: DeviceWish): Promise<IssuerTokens> {
    const metadata = this.#config.serverMetadata();
    if (metadata.device_authorization_endpoint === undefined)
      throw new AgentError('device-login-unsupported', `${metadata.issuer} offers no device sign-in`, {
        hint: 'the operator enables the device authorization grant there, for the client of hoop',
      });
    const proofKey = await this.#proofKey();
    const binding = metadata.scopes_supported?.includes(boundKeyScope) === true ? this.#dpop : null;
    const asked = {
      scope: [...scopes, ...(binding === null ? [] : [boundKeyScope])].join(' '),
      // Named as in RFC 9449 §10: a provider that knows it gives tokens for this code to this key alone.
      ...(this.#dpop !== null && { dpop_jkt: this.#dpop.jkt }),
      ...(terminal !== null && { hoop_host: terminal.host, hoop_user: terminal.user }),
      ...proofKey?.challenge,
      ...parametersOf(stepUp),
    };
    const started = await told(() => oidc.initiateDeviceAuthorization(this.#config, asked));
    binding?.proveCode(started.device_code);
    prompt({
      url: started.verification_uri,
      code: started.user_code,
      completeUrl: started.verification_uri_complete ?? null,
      expiresInSeconds: started.expires_in,
    });
    return this.#poll(started, proofKey?.verifier ?? {}, signal);
  }

  /**
   * Uses up the refresh token; the answer holds the next one.
   * @throws AgentError `login-expired` when the provider refuses; as `discover`
   */
  async refresh(refreshToken: string): Promise<IssuerTokens> {
    const options = this.#dpop === null ? {} : { DPoP: this.#dpop.handle };
    const answer = await told(() => oidc.refreshTokenGrant(this.#config, refreshToken, {}, options));
    // A provider that does not rotate sends no new one: the old one stays.
    return tokensOf(answer, refreshToken);
  }

  /**
   * Ends a refresh token (RFC 7009), and with it, at most providers, the whole grant.
   * @returns false where the provider has no such endpoint
   * @throws as `discover`; why `signal` aborted
   */
  async revoke(refreshToken: string, signal: AbortSignal): Promise<boolean> {
    if (this.#config.serverMetadata().revocation_endpoint === undefined) return false;
    const revocation = oidc.tokenRevocation(this.#config, refreshToken, { token_type_hint: 'refresh_token' });
    const late = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    await told(() => Promise.race([revocation, late]));
    return true;
  }

  async #poll(
    started: Awaited<ReturnType<typeof oidc.initiateDeviceAuthorization>>,
    parameters: Record<string, string>,
    signal: AbortSignal,
  ): Promise<IssuerTokens> {
    const expired = AbortSignal.timeout(started.expires_in * 1000);
    const options = {
      signal: AbortSignal.any([signal, expired]),
      ...(this.#dpop !== null && { DPoP: this.#dpop.handle }),
    };
    for (;;) {
      try {
        const grant = () => oidc.pollDeviceAuthorizationGrant(this.#config, started, parameters, options);
        return tokensOf(await told(grant), null);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (expired.aborted)
          throw new AgentError('device-login-expired', 'the code was not entered in time', {
            hint: 'try again: hoop login',
          });
        // A network that fails for a moment must not cost the person the code just typed in.
        if (!(error instanceof IdentityError) || error.code !== 'issuer-unreachable') throw error;
      }
    }
  }

  /** PKCE (RFC 7636) is not part of RFC 8628; providers that offer it bind the code to this process by it. */
  async #proofKey() {
    const methods = this.#config.serverMetadata().code_challenge_methods_supported ?? [];
    if (!methods.includes('S256')) return null;
    const verifier = oidc.randomPKCECodeVerifier();
    const challenge = await oidc.calculatePKCECodeChallenge(verifier);
    return {
      challenge: { code_challenge: challenge, code_challenge_method: 'S256' },
      verifier: { code_verifier: verifier },
    };
  }
}

/** OpenID Connect Key Binding 1.0 §2: asks for an ID token that names the key of the proof. */
const boundKeyScope = 'bound_key';

/** The login's key as the provider gets to know it. */
class BindingKey {
  readonly handle: oidc.DPoPHandle;
  readonly jkt: string;
  #codeHash: string | null = null;

  constructor(config: oidc.Configuration, { privateKey, publicKey, jkt }: LoginKey) {
    this.jkt = jkt;
    this.handle = oidc.getDPoPHandle(
      config,
      { privateKey, publicKey },
      {
        [oidc.modifyAssertion]: (_header, payload) => {
          if (this.#codeHash !== null) payload['c_s256'] = this.#codeHash;
        },
      },
    );
  }

  /** From now on proofs name this code too: whoever intercepts a proof cannot use it to redeem another. */
  proveCode(code: string): void {
    this.#codeHash = hash('sha256', code, 'base64url');
  }
}

/** As the provider's metadata wants the secret; `client_secret_basic` where it says nothing (RFC 8414). */
function authenticationOf({ clientSecret }: IssuerClient): oidc.ClientAuth {
  if (clientSecret === null) return oidc.None();
  const post = oidc.ClientSecretPost(clientSecret);
  const basic = oidc.ClientSecretBasic(clientSecret);
  return (server, ...rest) => {
    const methods = server.token_endpoint_auth_methods_supported ?? [];
    return (methods.includes('client_secret_post') ? post : basic)(server, ...rest);
  };
}

/** OpenID Connect Core 1.0 §3.1.2.1; RFC 8628 does not name them, and who does not know them ignores them. */
function parametersOf(stepUp: StepUp | null): Record<string, string> {
  if (stepUp === null) return {};
  return {
    max_age: String(stepUp.maxAgeSeconds ?? 0),
    ...(stepUp.acr !== null && { acr_values: stepUp.acr }),
  };
}

/** No standard has a name for it: ours and others', and Keycloak's. */
const renewableNames = ['refresh_token_expires_in', 'refresh_expires_in'] as const;

interface TokenAnswer {
  readonly id_token?: string | undefined;
  readonly refresh_token?: string | undefined;
  readonly [name: string]: unknown;
}

function tokensOf(answer: TokenAnswer, previousRefreshToken: string | null): IssuerTokens {
  if (answer.id_token === undefined)
    throw previousRefreshToken === null
      ? new AgentError('device-login-unsupported', 'the identity provider sent no ID token', {
          hint: 'the operator has openid among identity.scopes, and the provider sends ID tokens to the client of hoop',
        })
      : new AgentError('login-expired', 'the identity provider renews without an ID token', {
          hint: 'sign in again: hoop login; the operator asks the provider to send one, or sets tokens.lifetime to 1h',
        });
  const told = renewableNames.map((name) => answer[name]).find((value) => typeof value === 'number');
  return {
    idToken: answer.id_token,
    refreshToken: answer.refresh_token ?? previousRefreshToken,
    renewableSeconds: told !== undefined && told > 0 && told < 1e10 ? told : null,
  };
}

async function fetchBy(
  http: HttpClient,
  url: string,
  init: Parameters<oidc.CustomFetch>[1],
): Promise<Response> {
  requireSecure(new URL(url));
  const { body } = init;
  const text = body === null || body === undefined ? undefined : String(body);
  const answer = await http.send({
    method: init.method,
    url,
    headers: { ...init.headers, 'user-agent': `hoop/${version}` },
    ...(text !== undefined && { body: text }),
    signal: init.signal,
  });
  // A provider, or what stands before it, that is down for a while says nothing about the grant.
  if (answer.status >= 500 || answer.status === 429) {
    answer.body.resume();
    throw new IdentityError(
      'issuer-unreachable',
      `the identity provider ${new URL(url).host} answers ${answer.status}`,
    );
  }
  const content = await readText(answer, url, answerLimitBytes);
  const empty = answer.status === 204 || answer.status === 304;
  return new Response(empty ? null : content, { status: answer.status, headers: { ...answer.headers } });
}

/** Tells the library's failures in our own words; its texts may quote a token. */
async function told<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw explain(error);
  }
}

function explain(error: unknown): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof AgentError && cause.code === 'relay-unreachable')
      return new IdentityError('issuer-unreachable', `the identity provider ${cause.message}`, { cause });
    if (cause instanceof HoopError) return cause;
    if (cause instanceof oidc.ResponseBodyError) return ofOAuth(cause.error);
  }
  if (error instanceof DOMException) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no code';
  if (code === 'OAUTH_TIMEOUT')
    return new IdentityError('issuer-unreachable', 'the identity provider does not answer');
  if (code === 'OAUTH_ABORT') return error;
  return new IdentityError(
    'issuer-invalid',
    `the identity provider answered in a way not expected (${code})`,
  );
}

const operatorHints: Readonly<Record<string, string>> = {
  invalid_client:
    'the operator checks identity.clientId, and identity.clientSecret where the provider gave one',
  invalid_scope:
    'the operator sets identity.scopes to what the provider knows (Google: without offline_access)',
  unauthorized_client: 'the operator allows the device authorization grant to the client of hoop',
  unsupported_grant_type: 'the operator enables the device authorization grant at the provider',
};

/** RFC 6749 §5.2, RFC 8628 §3.5. The code comes from outside: it is told only when it is one of those known. */
function ofOAuth(code: string): HoopError {
  const again = { hint: 'sign in again: hoop login' };
  if (code === 'access_denied')
    return new AgentError('device-login-denied', 'the sign-in was refused', again);
  if (code === 'expired_token')
    return new AgentError('device-login-expired', 'the code was not entered in time', again);
  if (code === 'invalid_grant')
    return new AgentError('login-expired', 'the identity provider ended this sign-in', again);
  if (code === 'unmet_authentication_requirements')
    return new AgentError('step-up-unmet', 'the identity provider cannot sign you in as is asked for', {
      hint: 'ask whoever runs it, or whoever keeps the policies, which class of sign-in it offers',
    });
  if (code === 'temporarily_unavailable')
    return new IdentityError('issuer-unreachable', 'the identity provider cannot answer for a moment', {
      hint: 'try again in a minute; you are still signed in. If it stays so, the relay’s operator finds why in its log',
    });
  const known = /^[a-z_]{1,40}$/.test(code) ? code : 'unknown error';
  const hint = operatorHints[known];
  return new IdentityError('issuer-invalid', `the identity provider refused the request (${known})`, {
    ...(hint !== undefined && { hint }),
  });
}
