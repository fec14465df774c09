/**
 * The key pair of one sign-in (ES256, RFC 7518 §3.4): it proves possession on every call and signs what a person
 * decides. Made by the client, never sent; the relay knows the public half and its thumbprint (RFC 7638).
 */
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type CryptoKey,
  type JWK,
} from 'jose';
import { z } from 'zod';
import { IdentityError } from './error.ts';

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** Exactly a P-256 public key: no private member, nothing else that could be read as a key. */
export const PublicJwk = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: coordinate,
  y: coordinate,
});
export type PublicJwk = z.infer<typeof PublicJwk>;

const PrivateJwk = PublicJwk.extend({ d: coordinate });
/** Secret; belongs in the credential store and nowhere else. */
export type PrivateJwk = z.infer<typeof PrivateJwk>;

export interface LoginKey {
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly publicJwk: PublicJwk;
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly jkt: string;
}

/** @returns the secret to keep; `importLoginKey` makes it usable. */
export async function generateLoginKey(): Promise<PrivateJwk> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return PrivateJwk.parse(pick(await exportJWK(privateKey), 'd'));
}

/** @throws IdentityError `key-invalid` */
export async function importLoginKey(jwk: unknown): Promise<LoginKey> {
  const parsed = PrivateJwk.safeParse(jwk);
  if (!parsed.success) throw new IdentityError('key-invalid', 'The stored login key is not a P-256 key.');
  const { d: _, ...publicJwk } = parsed.data;
  const privateKey = await importEc(parsed.data);
  return {
    privateKey,
    publicKey: await importPublicJwk(publicJwk),
    publicJwk,
    jkt: await thumbprint(publicJwk),
  };
}

/**
 * Checks that the point is on the curve.
 * @throws IdentityError `key-invalid`
 */
export const importPublicJwk = (jwk: PublicJwk): Promise<CryptoKey> => importEc(jwk);

export const thumbprint = (jwk: PublicJwk): Promise<string> => calculateJwkThumbprint(jwk, 'sha256');

async function importEc(jwk: PublicJwk | PrivateJwk): Promise<CryptoKey> {
  try {
    const key = await importJWK(jwk, 'ES256');
    if (!(key instanceof Uint8Array)) return key;
  } catch (cause) {
    throw new IdentityError('key-invalid', 'The key is not a point of P-256.', { cause });
  }
  throw new IdentityError('key-invalid', 'The key is not a P-256 key.');
}

function pick(jwk: JWK, ...more: string[]): unknown {
  return Object.fromEntries(['kty', 'crv', 'x', 'y', ...more].map((name) => [name, jwk[name as keyof JWK]]));
}
