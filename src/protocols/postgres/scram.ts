/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the client's side (RFC 5802, RFC 7677; channel binding
 * `tls-server-end-point`, RFC 5929). The server is not trusted until its signature is verified: its nonce must extend
 * ours, its iteration count must be within bounds. Deliberately without SCRAM's optional extensions.
 */
import {
  createHash,
  createHmac,
  hash,
  pbkdf2,
  randomBytes,
  timingSafeEqual,
  X509Certificate,
} from 'node:crypto';
import { promisify } from 'node:util';
import { PostgresError } from './error.ts';

const derive = promisify(pbkdf2);

/** RFC 7677 asks for at least 4096; the upper bound keeps a rogue server from burning the relay's processor. */
const minimumIterations = 4096;
const maximumIterations = 1_000_000;

/** How the exchange is bound to the TLS connection; the `gs2-header` of RFC 5802 and the data that it announces. */
export type ChannelBinding =
  /** No TLS. */
  | { readonly kind: 'none' }
  /** TLS, but the server did not offer -PLUS: it can tell when somebody in between took the offer away. */
  | { readonly kind: 'not-offered' }
  | { readonly kind: 'tls-server-end-point'; readonly data: Buffer };

interface Keys {
  readonly client: Buffer;
  readonly server: Buffer;
}

/**
 * Keys derived from one credential, so that each further connection to the target costs no key derivation. As secret
 * as the password. Keep one per target and credential; a changed password, salt or count makes it derive again.
 */
export class ScramKeys {
  #id = '';
  #keys: Promise<Keys> | null = null;

  derive(password: string, salt: Buffer, iterations: number): Promise<Keys> {
    const id = `${hash('sha256', password)}.${salt.toString('base64')}.${iterations}`;
    if (this.#keys === null || this.#id !== id) {
      this.#id = id;
      this.#keys = deriveKeys(password, salt, iterations);
      this.#keys.catch(() => (this.#keys = null));
    }
    return this.#keys;
  }
}

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

async function deriveKeys(password: string, salt: Buffer, iterations: number): Promise<Keys> {
  const salted = await derive(saslPrep(password), salt, iterations, 32, 'sha256');
  return { client: hmac(salted, 'Client Key'), server: hmac(salted, 'Server Key') };
}

/** One exchange: `clientFirst`, then `clientFinal(server-first)`, then `verify(server-final)`; in this order, once. */
export class ScramExchange {
  readonly #password: string;
  readonly #keys: ScramKeys;
  readonly #header: string;
  readonly #binding: Buffer;
  readonly #nonce: string;
  #serverSignature: Buffer | null = null;

  /** `nonce`: only tests give one. */
  constructor(
    password: string,
    keys: ScramKeys,
    binding: ChannelBinding,
    nonce = randomBytes(18).toString('base64'),
  ) {
    this.#password = password;
    this.#keys = keys;
    this.#header = gs2Header(binding);
    this.#binding = binding.kind === 'tls-server-end-point' ? binding.data : Buffer.alloc(0);
    this.#nonce = nonce;
  }

  /** The user name is empty: PostgreSQL takes the one of the start-up message. */
  get clientFirst(): string {
    return this.#header + this.#clientFirstBare;
  }

  get #clientFirstBare(): string {
    return `n=,r=${this.#nonce}`;
  }

  /** @throws PostgresError `postgres-authentication-forged` */
  async clientFinal(serverFirst: string): Promise<string> {
    const { nonce, salt, iterations } = parseServerFirst(serverFirst);
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw forged('the server did not extend the nonce');
    }
    if (iterations < minimumIterations || iterations > maximumIterations) {
      throw forged(
        `the server asks for ${iterations} iterations; ${minimumIterations} to ${maximumIterations} are accepted`,
      );
    }
    const keys = await this.#keys.derive(this.#password, salt, iterations);
    const binding = Buffer.concat([Buffer.from(this.#header), this.#binding]).toString('base64');
    const withoutProof = `c=${binding},r=${nonce}`;
    const text = `${this.#clientFirstBare},${serverFirst},${withoutProof}`;
    const proof = hmac(createHash('sha256').update(keys.client).digest(), text);
    for (let i = 0; i < proof.length; i++) proof[i]! ^= keys.client[i]!;
    this.#serverSignature = hmac(keys.server, text);
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /** Only after this has returned does the server count as the one that holds the credential. @throws PostgresError `postgres-authentication-forged` */
  verify(serverFinal: string): void {
    const signature = Buffer.from(/^v=([A-Za-z0-9+/]+={0,2})(?:,|$)/.exec(serverFinal)?.[1] ?? '', 'base64');
    const expected = this.#serverSignature;
    if (expected === null || signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
      throw forged('the server’s signature is wrong');
    }
  }
}

function parseServerFirst(text: string): { nonce: string; salt: Buffer; iterations: number } {
  // An `m=` in front announces a mandatory extension: not understood, so refused, as the RFC says.
  const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,9})(?:,|$)/.exec(text);
  if (match === null) throw forged('the server’s first message is malformed');
  return { nonce: match[1]!, salt: Buffer.from(match[2]!, 'base64'), iterations: Number(match[3]) };
}

const forged = (what: string): PostgresError =>
  new PostgresError('postgres-authentication-forged', `authentication to the target failed: ${what}`);

function gs2Header(binding: ChannelBinding): string {
  if (binding.kind === 'tls-server-end-point') return 'p=tls-server-end-point,,';
  return binding.kind === 'not-offered' ? 'y,,' : 'n,,';
}

/**
 * Hash of the server's certificate for `tls-server-end-point`: by the hash of the certificate's own signature, SHA-256
 * where that is MD5 or SHA-1; null where it has none (Ed25519), for which RFC 5929 defines no binding.
 */
export function endPointHash(certificate: Buffer): Buffer | null {
  const algorithm = new X509Certificate(certificate).signatureAlgorithm ?? '';
  const found = /(md5|sha-?1|sha-?224|sha-?256|sha-?384|sha-?512)/i.exec(algorithm)?.[1];
  if (found === undefined) return null;
  const name = found.toLowerCase().replace('-', '');
  return createHash(name === 'md5' || name === 'sha1' ? 'sha256' : name)
    .update(certificate)
    .digest();
}

/**
 * SASLprep (RFC 4013) as far as it changes a password; one with characters that it forbids is taken as it is, as
 * PostgreSQL does.
 */
function saslPrep(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  const mapped = password
    .replaceAll(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replaceAll(
      /\u{ad}|\u{34f}|\u{1806}|[\u{180b}-\u{180d}]|\u{200c}|\u{200d}|\u{2060}|[\u{fe00}-\u{fe0f}]|\u{feff}/gu,
      '',
    )
    .normalize('NFKC');
  const forbidden =
    /[\p{Cc}\p{Co}\p{Cs}\p{Noncharacter_Code_Point}\u0340\u0341\u200e\u200f\u202a-\u202e\u206a-\u206f\ufff9-\ufffd\u2ff0-\u2ffb\u{e0001}\u{e0020}-\u{e007f}]/u;
  return mapped === '' || forbidden.test(mapped) ? password : mapped;
}
