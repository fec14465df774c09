/** The embedded provider's secrets: one JSON file (0600), shared by all processes of one relay. */
import { randomBytes } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { z } from 'zod';
import { ProviderError } from './error.ts';

const secret = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

const SigningJwk = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  alg: z.literal('ES256'),
  use: z.literal('sig'),
  kid: z.string(),
  x: secret,
  y: secret,
  d: secret,
});

const ProviderKeys = z.strictObject({
  /** The first signs ID tokens; the others are still published, so that rotation breaks nothing. */
  signing: z.array(SigningJwk).min(1),
  /** The first signs cookies; the others are still accepted. */
  cookies: z.array(secret).min(1),
  /** For DPoP nonces at the token endpoint; what is kept of an upstream is encrypted by a key derived from it. */
  nonce: secret,
});
export type ProviderKeys = z.infer<typeof ProviderKeys>;

/** @returns fresh secrets; `JSON.stringify` of them is the file */
export async function generateProviderKeys(): Promise<ProviderKeys> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  return ProviderKeys.parse({
    signing: [{ ...jwk, alg: 'ES256', use: 'sig', kid }],
    cookies: [randomBytes(32).toString('base64url')],
    nonce: randomBytes(32).toString('base64url'),
  });
}

/** @throws ProviderError `provider-keys-invalid` */
export function parseProviderKeys(text: string): ProviderKeys {
  try {
    return ProviderKeys.parse(JSON.parse(text));
  } catch {
    throw new ProviderError(
      'provider-keys-invalid',
      'The keys of the embedded provider are not readable as such.',
    );
  }
}
