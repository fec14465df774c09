/** An identity provider of the tests: keys of any kind, tokens that say what a test wants. */
import { constants, generateKeyPairSync, hash, sign, type KeyObject } from 'node:crypto';
import canonicalize from 'canonicalize';
import { relayActor } from '../../../src/evidence/entry.ts';
import { keepProof } from '../../../src/evidence/logins/archive.ts';
import type { EvidenceFixture, Prove } from './fixture.ts';

export const issuerUrl = 'https://idp.example';
export const clientId = 'hoop-cli';

const makers: Readonly<Record<string, () => { privateKey: KeyObject; publicKey: KeyObject }>> = {
  RS: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  WEAK: () => generateKeyPairSync('rsa', { modulusLength: 1024 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  Ed: () => generateKeyPairSync('ed25519'),
};

export type Jwk = Record<string, string>;
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export class TestIssuer {
  readonly algorithm: string;
  readonly kid: string;
  readonly #privateKey: KeyObject;
  /** The public half. */
  readonly jwk: Jwk;

  constructor(algorithm = 'ES256', kid = 'k1', weak = false) {
    const family = weak
      ? 'WEAK'
      : (['RS', 'PS', 'Ed'].find((each) => algorithm.startsWith(each)) ?? algorithm);
    const { privateKey, publicKey } = makers[family]!();
    this.algorithm = algorithm;
    this.kid = kid;
    this.#privateKey = privateKey;
    this.jwk = { ...(publicKey.export({ format: 'jwk' }) as Jwk), kid, use: 'sig' };
  }

  token(claims: unknown, header: Record<string, unknown> = {}): string {
    const text = `${part({ alg: this.algorithm, kid: this.kid, ...header })}.${part(claims)}`;
    const bits = /\d{3}$/.exec(this.algorithm)?.[0] ?? '';
    const padding = this.algorithm.startsWith('PS')
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : { dsaEncoding: 'ieee-p1363' as const };
    const digest = this.algorithm.startsWith('Ed') ? null : `sha${bits}`;
    const signature = sign(digest, Buffer.from(text), { key: this.#privateKey, ...padding });
    return `${text}.${signature.toString('base64url')}`;
  }

  /** Tells the log the issuer's keys. */
  async publish(
    fixture: EvidenceFixture,
    keys: readonly unknown[] = [this.jwk],
    issuer = issuerUrl,
  ): Promise<void> {
    const jwks = JSON.parse(JSON.stringify({ keys }));
    const jwksDigest = hash('sha256', canonicalize(jwks)!, 'hex');
    await fixture.log.append({ kind: 'issuer.keys', actor: relayActor, issuer, jwksDigest, jwks });
  }

  /** A sign-in by this issuer's token, kept as the relay keeps it. */
  proving(fixture: EvidenceFixture, changes: TokenChanges = {}): Prove {
    return async (login) => {
      const { actor, key, thumbprint, nowSeconds } = login;
      const claims = {
        iss: actor.issuer,
        sub: actor.subject,
        aud: clientId,
        iat: nowSeconds,
        exp: nowSeconds + 300,
        auth_time: nowSeconds - 5,
        email: actor.email,
        cnf: { jwk: key },
        ...changes.claims?.({ thumbprint, nowSeconds }),
      };
      const text = changes.text?.(claims) ?? this.token(claims);
      const idTokenDigest = hash('sha256', text, 'hex');
      await keepProof(fixture.directory, idTokenDigest, 'id-token', text);
      return { idTokenDigest, audience: clientId, binding: 'cnf-by-issuer', ...changes.entry };
    };
  }
}

export interface TokenChanges {
  readonly claims?: (login: { thumbprint: string; nowSeconds: number }) => Record<string, unknown>;
  /** Instead of the token. */
  readonly text?: (claims: Record<string, unknown>) => string;
  /** Of the login entry. */
  readonly entry?: Partial<Awaited<ReturnType<Prove>>>;
}
