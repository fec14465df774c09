/**
 * What was masked, sealed to the auditors. While a segment is open its originals stand in its own file, encrypted under a
 * key that is in this process's memory and, wrapped for the auditors, in the segment: one write has the masked bytes and
 * their originals, and a killed relay loses neither. When the segment closes, the sealer takes them out and makes
 * `<index>.age` of them. FORMAT.md has both forms.
 *
 * Nothing here can open what it wrote once the session's key is gone from memory; only an auditor's identity can.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { encryptAge, type AgeRecipient } from './age.ts';

const keyBytes = 32;
const tagBytes = 16;
const algorithm = 'aes-256-gcm';

/** The auditors of a relay. `discard`: originals are not kept, by decision of the operator. */
export type OriginalsPolicy = readonly AgeRecipient[] | 'discard';

/** Of one session: its key, made at its first redaction. */
export class SessionSeal {
  /** An age file: the session's key, for the auditors. */
  readonly wrappedKey: Buffer;
  readonly #recipients: readonly AgeRecipient[];
  readonly #session: string;
  readonly #key = randomBytes(keyBytes);

  /** @param recipients not empty */
  constructor(recipients: readonly AgeRecipient[], session: string) {
    this.#recipients = recipients;
    this.#session = session;
    this.wrappedKey = encryptAge(recipients, this.#key);
  }

  segment(index: number): SegmentSeal {
    return new SegmentSeal(this.#recipients, segmentKey(this.#key, this.#session, index));
  }
}

/** Of one segment. */
export class SegmentSeal {
  readonly #recipients: readonly AgeRecipient[];
  readonly #key: KeyObject;

  constructor(recipients: readonly AgeRecipient[], key: KeyObject) {
    this.#recipients = recipients;
    this.#key = key;
  }

  /** @param first sealed index of the first original in it, which no other call has */
  seal(first: number, originals: Uint8Array): Buffer[] {
    const cipher = createCipheriv(algorithm, this.#key, nonceOf(first));
    const ciphertext = cipher.update(originals);
    cipher.final();
    return [ciphertext, cipher.getAuthTag()];
  }

  /** What the sealing thread needs to make `<index>.age` of what was sealed here. Secret: of this process alone. */
  secrets(): SegmentSecrets {
    return { key: this.#key.export(), recipients: this.#recipients.map(({ text }) => text) };
  }
}

export interface SegmentSecrets {
  readonly key: Uint8Array;
  /** `age1…` */
  readonly recipients: readonly string[];
}

/** A segment's own key, so that its originals belong to no other session and segment. */
export function segmentKey(sessionKey: Buffer, session: string, index: number): KeyObject {
  const info = `hoop originals 1 ${session} ${index}`;
  return createSecretKey(Buffer.from(hkdfSync('sha256', sessionKey, '', info, keyBytes)));
}

/** What an `originals` record holds. @throws Error when key or bytes are not right */
export function openOriginals(key: KeyObject, first: number, sealed: Buffer): Buffer {
  const end = Math.max(0, sealed.length - tagBytes);
  const decipher = createDecipheriv(algorithm, key, nonceOf(first), { authTagLength: tagBytes });
  decipher.setAuthTag(sealed.subarray(end));
  return Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]);
}

function nonceOf(first: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(first, 6, 6);
  return nonce;
}
