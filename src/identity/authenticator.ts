/**
 * Who makes this request? The one answer for every route and for the tunnel's upgrade:
 * scheme DPoP → access token of this relay → proof by the key the token names → the login still lives.
 */
import type { Authentication } from '../model/authentication.ts';
import type { LoginId } from '../model/ids.ts';
import type { Principal } from '../model/principal.ts';
import type { AccessTokens } from './access-token.ts';
import { verifyProof, type ProofVerification, type VerifiedProof } from './dpop.ts';
import { IdentityError } from './error.ts';
import type { PublicJwk } from './login-key.ts';
import { mintPrincipal, type VerifiedPrincipal } from './verified-principal.ts';

/** What a login is limited to beside policy: an agent's, by the person for whom it acts. */
export interface LoginScope {
  /** Null: every target. */
  readonly targets: readonly string[] | null;
  /** The task that its sessions must name; null: any, or none. */
  readonly task: string | null;
}

/** A login as stored when its proof was verified. */
export interface StoredLogin {
  /** Null: nothing but policy. */
  readonly scope: LoginScope | null;
  readonly principal: Principal;
  readonly jkt: string;
  readonly publicJwk: PublicJwk;
  readonly authentication: Authentication;
}

/** Where logins are kept; the store is trusted. */
export interface LiveLogins {
  /** Null when there is no such login, or it has ended, or it was not renewed in time. */
  findLive(login: LoginId): Promise<StoredLogin | null>;
}

export interface PresentedRequest {
  readonly method: string;
  /** Request target as received: path and query. */
  readonly target: string;
  readonly authorization: string | undefined;
  readonly dpop: string | undefined;
}

export interface Authenticated {
  readonly principal: VerifiedPrincipal;
  readonly login: LoginId;
  readonly jkt: string;
  readonly publicJwk: PublicJwk;
  readonly scope: LoginScope | null;
  readonly authentication: Authentication;
}

export interface AuthenticatorOptions extends ProofVerification {
  /** Base URL that clients make proofs for, without trailing slash; the Host header is never believed. */
  readonly relay: string;
  readonly tokens: AccessTokens;
  readonly logins: LiveLogins;
}

export class Authenticator {
  readonly #options: AuthenticatorOptions;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /**
   * @throws IdentityError `access-token-missing`, `access-token-invalid`, `access-token-expired`, `dpop-…`,
   * `login-ended`
   */
  async authenticate(request: PresentedRequest): Promise<Authenticated> {
    const { tokens, logins } = this.#options;
    const accessToken = /^DPoP ([A-Za-z0-9._~+/-]+=*)$/i.exec(request.authorization ?? '')?.[1];
    if (accessToken === undefined)
      throw new IdentityError('access-token-missing', 'The request carries no DPoP-bound access token.', {
        hint: 'sign in: hoop login',
      });
    const claims = await tokens.verify(accessToken);
    const proof = await this.prove(request, accessToken);
    if (proof.jkt !== claims.jkt)
      throw new IdentityError(
        'dpop-proof-invalid',
        'The DPoP proof is by another key than the access token names.',
      );
    const login = await logins.findLive(claims.login);
    const same =
      login !== null &&
      login.jkt === claims.jkt &&
      login.principal.issuer === claims.issuer &&
      login.principal.subject === claims.subject;
    if (!same)
      throw new IdentityError('login-ended', 'This sign-in has ended.', {
        hint: 'sign in again: hoop login',
      });
    return {
      principal: mintPrincipal(login.principal),
      login: claims.login,
      jkt: claims.jkt,
      publicJwk: login.publicJwk,
      scope: login.scope,
      authentication: login.authentication,
    };
  }

  /**
   * Possession of a key, without a login yet.
   * @param accessToken null where the request has none: `POST /v1/login`
   * @throws IdentityError `dpop-…`
   */
  prove(request: PresentedRequest, accessToken: string | null): Promise<VerifiedProof> {
    const url = `${this.#options.relay}${request.target.startsWith('/') ? '' : '/'}${request.target}`;
    return verifyProof(request.dpop, { method: request.method, url, accessToken }, this.#options);
  }
}
