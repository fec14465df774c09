/**
 * Signed notes, https://c2sp.org/signed-note: a text, an empty line, and signature lines
 * `— <name> base64(keyID[4] ‖ signature)`. Keys in the C2SP text forms. Ed25519 (type 0x01), and the cosignatures of
 * witnesses, https://c2sp.org/tlog-cosignature (type 0x04). Signature lines of keys that nobody asked about are kept and
 * ignored, so that another algorithm can be added beside.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import { EvidenceError } from '../error.ts';

export const ed25519 = 0x01;
export const cosignatureV1 = 0x04;
/** A note is read whole; nobody needs a larger one. */
export const maxNoteBytes = 65_536;
const maxSignatures = 100;

const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** One line of a note. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: number;
  /** Without the key id. */
  readonly signature: Buffer;
}

export interface Note {
  /** Ends with a newline; the bytes that are signed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

function malformed(what: string): EvidenceError {
  return new EvidenceError('note-malformed', what);
}

const isKeyName = (name: string): boolean => name !== '' && !/[\s+\p{Cc}]/u.test(name);

function keyIdOf(name: string, key: Buffer): number {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), key]), 'buffer').readUInt32BE(0);
}

const hexId = (keyId: number): string => keyId.toString(16).padStart(8, '0');

/** Strict: the canonical encoding of the bytes and nothing else. */
function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

/** What a witness signs: a statement about the log at that time. https://c2sp.org/tlog-cosignature */
const cosignedMessage = (seconds: number, text: string): Buffer =>
  Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`);

/** A public key that verifies notes (Ed25519) or checkpoints (cosignature/v1). */
export class NoteVerifier {
  readonly name: string;
  readonly keyId: number;
  readonly #type: number;
  readonly #key: KeyObject;
  readonly #encoded: Buffer;

  private constructor(name: string, encoded: Buffer) {
    this.name = name;
    this.keyId = keyIdOf(name, encoded);
    this.#type = encoded[0]!;
    this.#encoded = encoded;
    this.#key = createPublicKey({
      key: Buffer.concat([spkiPrefix, encoded.subarray(1)]),
      format: 'der',
      type: 'spki',
    });
  }

  /**
   * @param vkey `<name>+<key id>+<base64(type ‖ key)>`
   * @throws EvidenceError `note-malformed`
   */
  static parse(vkey: string): NoteVerifier {
    const { name, keyId, encoded } = parseKey(vkey.trim(), 'verifier key');
    if (encoded[0] !== ed25519 && encoded[0] !== cosignatureV1)
      throw malformed('a verifier key is of an unknown algorithm');
    const verifier = new NoteVerifier(name, encoded);
    if (verifier.keyId !== keyId) throw malformed('the key id of a verifier key is not that of its key');
    return verifier;
  }

  /**
   * @param publicKey 32 bytes of Ed25519
   * @param type what it signs: notes, or as a witness
   */
  static ofPublicKey(
    name: string,
    publicKey: Uint8Array,
    type: typeof ed25519 | typeof cosignatureV1 = ed25519,
  ): NoteVerifier {
    if (!isKeyName(name)) throw malformed('a key name is empty or has white space or a plus sign in it');
    return new NoteVerifier(name, Buffer.concat([Buffer.of(type), publicKey]));
  }

  /** A witness's key: what it signs is a cosignature with a time. */
  get cosigns(): boolean {
    return this.#type === cosignatureV1;
  }

  /** The same key under another name is the same key. */
  samePublicKey(other: NoteVerifier): boolean {
    return this.#encoded.subarray(1).equals(other.#encoded.subarray(1));
  }

  toString(): string {
    return `${this.name}+${hexId(this.keyId)}+${this.#encoded.toString('base64')}`;
  }

  /** Does the line claim to be by this key? (The id is short: that alone proves nothing.) */
  claims(line: NoteSignature): boolean {
    return line.name === this.name && line.keyId === this.keyId;
  }

  /**
   * The time that the signature states, in seconds since the epoch (cosignature), or 0 (Ed25519 notes state none);
   * null when the signature is not valid.
   */
  check(text: string, line: NoteSignature): number | null {
    if (!this.claims(line)) return null;
    if (this.#type === ed25519) {
      return verify(null, Buffer.from(text), this.#key, line.signature) ? 0 : null;
    }
    if (line.signature.length !== 8 + 64) return null;
    const seconds = Number(line.signature.readBigUInt64BE(0));
    const message = cosignedMessage(seconds, text);
    return verify(null, message, this.#key, line.signature.subarray(8)) ? seconds : null;
  }
}

/** Whatever holds a log's private key: a file, a token, a program. */
export interface CheckpointSigner {
  readonly verifier: NoteVerifier;
  /**
   * The signed note of a text that ends with a newline and has no empty line at its end. It may take long and it may
   * reject; what it resolves to is valid.
   */
  sign(text: string): string | Promise<string>;
}

/** An Ed25519 key in memory. */
class SecretKey {
  readonly #key: KeyObject;
  readonly #encoded: Buffer;
  readonly verifier: NoteVerifier;

  /** @param encoded type ‖ 32-byte seed */
  constructor(name: string, encoded: Buffer) {
    const type = encoded[0] === cosignatureV1 ? cosignatureV1 : ed25519;
    this.#encoded = encoded;
    const seed = encoded.subarray(1);
    this.#key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
    const spki = createPublicKey(this.#key).export({ format: 'der', type: 'spki' });
    this.verifier = NoteVerifier.ofPublicKey(name, spki.subarray(spkiPrefix.length), type);
  }

  static generate(name: string, type: number): SecretKey {
    const { privateKey } = generateKeyPairSync('ed25519');
    const der = privateKey.export({ format: 'der', type: 'pkcs8' });
    return new SecretKey(name, Buffer.concat([Buffer.of(type), der.subarray(pkcs8Prefix.length)]));
  }

  /** @throws EvidenceError `note-malformed` */
  static parse(skey: string, type: number): SecretKey {
    const prefix = 'PRIVATE+KEY+';
    const text = skey.trim();
    if (!text.startsWith(prefix)) throw malformed('not a signer key');
    const { name, keyId, encoded } = parseKey(text.slice(prefix.length), 'signer key');
    if (encoded[0] !== type) throw malformed('a signer key is of an unknown algorithm');
    const key = new SecretKey(name, encoded);
    if (key.verifier.keyId !== keyId) throw malformed('the key id of a signer key is not that of its key');
    return key;
  }

  exportSecret(): string {
    const { name, keyId } = this.verifier;
    return `PRIVATE+KEY+${name}+${hexId(keyId)}+${this.#encoded.toString('base64')}`;
  }

  sign(message: Buffer): Buffer {
    return sign(null, message, this.#key);
  }
}

/** The private key of a log. Its text form is a secret. */
export class NoteSigner implements CheckpointSigner {
  readonly #key: SecretKey;

  private constructor(key: SecretKey) {
    this.#key = key;
  }

  static generate(name: string): NoteSigner {
    return new NoteSigner(SecretKey.generate(name, ed25519));
  }

  /**
   * @param skey `PRIVATE+KEY+<name>+<key id>+<base64(type ‖ seed)>`
   * @throws EvidenceError `note-malformed`
   */
  static parse(skey: string): NoteSigner {
    return new NoteSigner(SecretKey.parse(skey, ed25519));
  }

  get verifier(): NoteVerifier {
    return this.#key.verifier;
  }

  get name(): string {
    return this.verifier.name;
  }

  /** The secret text form, for the key's own file only. */
  exportSecret(): string {
    return this.#key.exportSecret();
  }

  /** @param text ends with a newline and has no empty line at its end */
  sign(text: string): string {
    if (!text.endsWith('\n')) throw malformed('a note ends with a newline');
    return `${text}\n${formatSignature(this.verifier, this.#key.sign(Buffer.from(text)))}`;
  }
}

/** The private key of a witness. Its text form is a secret. */
export class Cosigner {
  readonly #key: SecretKey;

  private constructor(key: SecretKey) {
    this.#key = key;
  }

  static generate(name: string): Cosigner {
    return new Cosigner(SecretKey.generate(name, cosignatureV1));
  }

  /** @throws EvidenceError `note-malformed` */
  static parse(skey: string): Cosigner {
    return new Cosigner(SecretKey.parse(skey, cosignatureV1));
  }

  get verifier(): NoteVerifier {
    return this.#key.verifier;
  }

  /** The secret text form, for the key's own file only. */
  exportSecret(): string {
    return this.#key.exportSecret();
  }

  /**
   * The signature line, with a newline.
   * @param text of a checkpoint
   * @param seconds since the epoch, above 0
   */
  cosign(text: string, seconds: number): string {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(seconds));
    const signature = this.#key.sign(cosignedMessage(seconds, text));
    return formatSignature(this.verifier, Buffer.concat([time, signature]));
  }
}

/** `— <name> base64(key id ‖ signature)` and a newline. */
export function formatSignature({ name, keyId }: NoteSignature | NoteVerifier, signature: Buffer): string {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(keyId);
  return `— ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`;
}

function parseKey(text: string, what: string): { name: string; keyId: number; encoded: Buffer } {
  const [name = '', id = '', ...rest] = text.split('+');
  // Base64 itself may hold plus signs.
  const encoded = decodeBase64(rest.join('+'));
  if (!isKeyName(name) || !/^[0-9a-f]{8}$/.test(id) || encoded === null || encoded.length !== 33)
    throw malformed(`a ${what} is not in the form name+id+base64`);
  return { name, keyId: Number.parseInt(id, 16), encoded };
}

/** The note as its bytes are: the inverse of `parseNote`. */
export const formatNote = ({ text, signatures }: Note): string =>
  `${text}\n${signatures.map((line) => formatSignature(line, line.signature)).join('')}`;

/**
 * Takes a note apart; proves nothing yet.
 * @param bytes of any origin
 * @throws EvidenceError `note-malformed`
 */
export function parseNote(bytes: Uint8Array): Note {
  if (bytes.length > maxNoteBytes) throw malformed('a note is too long');
  let whole: string;
  try {
    whole = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed('a note is not UTF-8');
  }
  // oxlint-disable-next-line no-control-regex -- the specification forbids them
  if (/[\u0000-\u0009\u000b-\u001f]/.test(whole)) throw malformed('a note has a control character in it');
  const end = whole.lastIndexOf('\n\n');
  if (end < 0) throw malformed('a note has no empty line before its signatures');
  const block = whole.slice(end + 2);
  if (block === '' || !block.endsWith('\n')) throw malformed('a note has no whole signature line');
  const lines = block.slice(0, -1).split('\n');
  if (lines.length > maxSignatures) throw malformed('a note has too many signatures');
  return { text: whole.slice(0, end + 1), signatures: lines.map(parseSignature) };
}

/** @throws EvidenceError `note-malformed` */
export function parseSignature(line: string): NoteSignature {
  const match = /^— ([^ ]+) ([A-Za-z0-9+/=]+)$/.exec(line);
  const bytes = match === null ? null : decodeBase64(match[2]!);
  if (match === null || !isKeyName(match[1]!) || bytes === null || bytes.length < 5)
    throw malformed('a signature line is not in the form of a signed note');
  return { name: match[1]!, keyId: bytes.readUInt32BE(0), signature: bytes.subarray(4) };
}

/**
 * The text of a note, once a signature of `verifier` on it is proven.
 * @throws EvidenceError `note-malformed`, `note-unverified`
 */
export function openNote(bytes: Uint8Array, verifier: NoteVerifier): Note {
  const note = parseNote(bytes);
  const claimed = note.signatures.filter((line) => verifier.claims(line));
  if (claimed.length === 0)
    throw new EvidenceError(
      'note-unverified',
      `no signature by the key of ${verifier.name} that was expected`,
    );
  // As Go's note package: one invalid line of a known key spoils the note.
  if (!claimed.every((line) => verifier.check(note.text, line) !== null))
    throw new EvidenceError('note-unverified', `a signature by ${verifier.name} is not valid`);
  return note;
}
