/**
 * What is kept of an upstream (refresh tokens, code verifiers, ID tokens) lies encrypted in the state: whoever reads the
 * state alone cannot use it. AES-256-GCM by a key derived (HKDF-SHA256, RFC 5869) from the provider's keys file.
 *
 * Format: `v1.` and base64url of nonce (12 bytes), ciphertext, tag (16 bytes). The place where a text lies is
 * authenticated with it, so that it means nothing elsewhere.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { ProviderKeys } from '../keys.ts';
import { ProviderError } from '../error.ts';
import type { Json } from './upstream.ts';

const prefix = 'v1.';
const nonceBytes = 12;
const tagBytes = 16;

const Value: z.ZodType<Json> = z.json();

export class AtRest {
  readonly #key: Buffer;

  constructor({ nonce }: Pick<ProviderKeys, 'nonce'>) {
    const info = 'hoop: what is kept of an upstream, AES-256-GCM';
    this.#key = Buffer.from(hkdfSync('sha256', Buffer.from(nonce, 'base64url'), Buffer.alloc(0), info, 32));
  }

  /** @param place names the row and the column */
  encrypt(value: Json, place: string): string {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(place));
    const parts = [nonce, cipher.update(JSON.stringify(value), 'utf8'), cipher.final(), cipher.getAuthTag()];
    return prefix + Buffer.concat(parts).toString('base64url');
  }

  /** @throws ProviderError `provider-keys-invalid` when it is not of this key and place */
  decrypt(text: string, place: string): Json {
    const bytes = Buffer.from(text.slice(prefix.length), 'base64url');
    try {
      if (!text.startsWith(prefix)) throw new TypeError('another format');
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, nonceBytes), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(-tagBytes));
      const plain = [decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()];
      return Value.parse(JSON.parse(Buffer.concat(plain).toString('utf8')));
    } catch (cause) {
      throw new ProviderError(
        'provider-keys-invalid',
        'What is kept of an upstream was encrypted by other keys of the provider.',
        { hint: 'sign in again: hoop login', cause },
      );
    }
  }
}
