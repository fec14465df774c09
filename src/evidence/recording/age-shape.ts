/** What an age v1 file (https://c2sp.org/age) tells whoever has no identity. Strict: what any other reader might take otherwise is none. */

export interface AgeShape {
  /** X25519 recipients. Whose they are the file does not tell. */
  readonly recipients: number;
  /** Of the nonce and the encrypted chunks; it grows with the content, so equal lengths are of equally long contents. */
  readonly payloadBytes: number;
}

const base64 = '[A-Za-z0-9+/]{43}';
const header = new RegExp(
  `^age-encryption\\.org/v1\n((?:-> X25519 ${base64}\n${base64}\n){1,16})--- ${base64}\n`,
);
/** Of the longest header that the pattern takes. */
const headerBytes = 4096;
const nonceBytes = 16;
const tagBytes = 16;

/** Null for anything but an age file to X25519 recipients alone. */
export function ageShape(file: Buffer): AgeShape | null {
  const match = header.exec(file.toString('latin1', 0, headerBytes));
  if (match === null) return null;
  const payloadBytes = file.length - match[0].length;
  if (payloadBytes < nonceBytes + tagBytes) return null;
  return { recipients: match[1]!.split('->').length - 1, payloadBytes };
}
