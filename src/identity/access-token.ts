/**
 * The relay's own access token: a short-lived JWT (RFC 9068 shape, EdDSA) that is worth nothing without the login's key
 * (`cnf.jkt`, RFC 9449 §6). It names the login; e-mail and groups are with the login, so that a token never grows with
 * somebody's groups and a change of groups holds at once.
 */
import { randomUUID } from 'node:crypto';
import {
  errors,
  exportJWK,
  generateKeyPair,
  importJWK,
  jwtVerify,
  SignJWT,
  type CryptoKey,
  type JWK,
} from 'jose';
import { z } from 'zod';
import { isLoginId, type LoginId } from '../model/ids.ts';
import type { Principal } from '../model/principal.ts';
import type { Clock } from '../system/clock.ts';
import { IdentityError } from './error.ts';

const TokenKeyJwk = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().length(43),
  d: z.string().length(43),
});
/** Secret; shared by all processes of one relay. */
export type TokenKeyJwk = z.infer<typeof TokenKeyJwk>;

/** @returns a fresh secret, to be kept in a 0600 file */
export async function generateTokenKey(): Promise<TokenKeyJwk> {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  return TokenKeyJwk.parse(await exportJWK(privateKey));
}

const TokenClaims = z.object({
  sub: z.string(),
  /** Issuer of the principal; `iss` is the relay. */
  idp: z.string(),
  login: z.string().refine(isLoginId),
  cnf: z.object({ jkt: z.string().length(43) }),
  exp: z.int(),
});

export interface AccessTokenClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly login: LoginId;
  /** Thumbprint of the key that must prove possession. */
  readonly jkt: string;
  readonly expiresAtMs: number;
}

export interface AccessTokensOptions {
  /** The relay's base URL without trailing slash: issuer and audience. */
  readonly relay: string;
  readonly key: TokenKeyJwk;
  /** Default 15 minutes. */
  readonly lifetimeSeconds?: number;
  readonly clock: Clock;
}

export class AccessTokens {
  readonly lifetimeSeconds: number;
  readonly #relay: string;
  readonly #clock: Clock;
  readonly #privateKey: CryptoKey;
  readonly #publicKey: CryptoKey;

  private constructor(options: AccessTokensOptions, privateKey: CryptoKey, publicKey: CryptoKey) {
    this.lifetimeSeconds = options.lifetimeSeconds ?? 900;
    this.#relay = options.relay;
    this.#clock = options.clock;
    this.#privateKey = privateKey;
    this.#publicKey = publicKey;
  }

  /** @throws IdentityError `key-invalid` */
  static async create(options: AccessTokensOptions): Promise<AccessTokens> {
    const parsed = TokenKeyJwk.safeParse(options.key);
    if (!parsed.success)
      throw new IdentityError('key-invalid', 'The token key is not an Ed25519 private JWK.');
    const { d: _, ...publicJwk } = parsed.data;
    return new AccessTokens(options, await importOkp(parsed.data), await importOkp(publicJwk));
  }

  /** @param lifetimeSeconds at most `lifetimeSeconds` of this */
  issue(
    principal: Principal,
    login: LoginId,
    jkt: string,
    lifetimeSeconds = this.lifetimeSeconds,
  ): Promise<string> {
    const now = Math.floor(this.#clock.wallMs() / 1000);
    return new SignJWT({ idp: principal.issuer, login, cnf: { jkt }, jti: randomUUID() })
      .setProtectedHeader({ typ: 'at+jwt', alg: 'EdDSA' })
      .setIssuer(this.#relay)
      .setAudience(this.#relay)
      .setSubject(principal.subject)
      .setIssuedAt(now)
      .setExpirationTime(now + Math.min(lifetimeSeconds, this.lifetimeSeconds))
      .sign(this.#privateKey);
  }

  /**
   * Says that this relay issued the token and that it has not expired; not that the caller has the key, nor that the
   * login still lives (see Authenticator).
   * @throws IdentityError `access-token-invalid`, `access-token-expired`
   */
  async verify(token: string): Promise<AccessTokenClaims> {
    try {
      const { payload } = await jwtVerify(token, this.#publicKey, {
        algorithms: ['EdDSA'],
        typ: 'at+jwt',
        issuer: this.#relay,
        audience: this.#relay,
        requiredClaims: ['exp', 'iat', 'sub'],
        currentDate: new Date(this.#clock.wallMs()),
      });
      const claims = TokenClaims.parse(payload);
      return {
        issuer: claims.idp,
        subject: claims.sub,
        login: claims.login,
        jkt: claims.cnf.jkt,
        expiresAtMs: claims.exp * 1000,
      };
    } catch (cause) {
      if (cause instanceof errors.JWTExpired)
        throw new IdentityError('access-token-expired', 'The access token has expired.', { cause });
      throw new IdentityError('access-token-invalid', 'The access token is not one of this relay.', {
        cause,
      });
    }
  }
}

async function importOkp(jwk: JWK): Promise<CryptoKey> {
  try {
    const key = await importJWK(jwk, 'EdDSA');
    if (!(key instanceof Uint8Array)) return key;
  } catch (cause) {
    throw new IdentityError('key-invalid', 'The token key is not an Ed25519 key.', { cause });
  }
  throw new IdentityError('key-invalid', 'The token key is not an Ed25519 key.');
}
