/**
 * age v1 files (https://c2sp.org/age), written natively: the payload of a bulk session is much, and one key exchange for
 * each segment must cost little. X25519 recipients alone. Reading is `age-encryption`'s, in `evidence/read/originals.ts`,
 * so that two implementations have to agree; any other age program opens these files too.
 */
import {
  createCipheriv,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { decodeBech32 } from './bech32.ts';

const chunkBytes = 65_536;
const keyBytes = 32;
const tagBytes = 16;
/** DER of an X25519 public key (RFC 8410) up to the key itself. */
const spki = Buffer.from('302a300506032b656e032100', 'hex');

/** Whom a file is encrypted to. */
export interface AgeRecipient {
  /** `age1…` */
  readonly text: string;
  readonly raw: Buffer;
  readonly key: KeyObject;
}

/** Null for anything but an X25519 recipient, `age1…`. */
export function parseRecipient(text: string): AgeRecipient | null {
  const raw = decodeBech32('age', text);
  if (raw?.length !== keyBytes) return null;
  const recipient = { text, raw, key: publicKey(raw) };
  try {
    wrap(Buffer.alloc(tagBytes), recipient); // a point of low order has no secret
    return recipient;
  } catch {
    return null;
  }
}

/** The whole file. @param recipients not empty */
export function encryptAge(recipients: readonly AgeRecipient[], plaintext: Buffer): Buffer {
  const fileKey = randomBytes(16);
  const stanzas = recipients.map((recipient) => wrap(fileKey, recipient));
  const header = `age-encryption.org/v1\n${stanzas.join('')}---`;
  const mac = createHmac('sha256', derive(fileKey, '', 'header'))
    .update(header)
    .digest();
  const nonce = randomBytes(16);
  const payload = encryptStream(derive(fileKey, nonce, 'payload'), plaintext);
  return Buffer.concat([Buffer.from(`${header} ${base64(mac)}\n`), nonce, ...payload]);
}

/** The stanza of an X25519 recipient: the file key, for whoever has the identity. */
function wrap(fileKey: Buffer, recipient: AgeRecipient): string {
  const ephemeral = generateKeyPairSync('x25519');
  const share = ephemeral.publicKey.export({ format: 'der', type: 'spki' }).subarray(spki.length);
  const secret = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: recipient.key });
  const salt = Buffer.concat([share, recipient.raw]);
  const body = seal(derive(secret, salt, 'age-encryption.org/v1/X25519'), Buffer.alloc(12), fileKey);
  return `-> X25519 ${base64(share)}\n${base64(Buffer.concat(body))}\n`;
}

/** STREAM: chunks of 64 KiB, each under its number; the last says that it is the last. */
function encryptStream(key: Buffer, plaintext: Buffer): Buffer[] {
  const nonce = Buffer.alloc(12);
  const pieces: Buffer[] = [];
  let start = 0;
  do {
    const chunk = plaintext.subarray(start, start + chunkBytes);
    nonce.writeUIntBE(start / chunkBytes, 5, 6);
    start += chunkBytes;
    nonce[11] = start >= plaintext.length ? 1 : 0;
    pieces.push(...seal(key, nonce, chunk));
  } while (start < plaintext.length);
  return pieces;
}

function seal(key: Buffer, nonce: Buffer, plaintext: Buffer): [ciphertext: Buffer, tag: Buffer] {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: tagBytes });
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return [ciphertext, cipher.getAuthTag()];
}

const derive = (secret: Buffer, salt: Buffer | string, info: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, salt, info, keyBytes));
const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
const publicKey = (raw: Buffer): KeyObject =>
  createPublicKey({ key: Buffer.concat([spki, raw]), format: 'der', type: 'spki' });
