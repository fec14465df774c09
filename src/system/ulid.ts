/**
 * ULIDs (github.com/ulid/spec): 48 bits of milliseconds, 80 random bits, 26 characters of Crockford base32. They sort by
 * time and tell nothing else; none is a secret.
 */
import { randomBytes } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** @param wallMs milliseconds since the epoch, below 2^48 */
export function ulid(wallMs: number): string {
  let time = '';
  for (let rest = Math.floor(wallMs), i = 0; i < 10; i++) {
    time = alphabet[rest % 32]! + time;
    rest = Math.floor(rest / 32);
  }
  let random = '';
  for (const byte of randomBytes(16)) random += alphabet[byte & 31]!;
  return time + random;
}

/** Milliseconds since the epoch that a ULID was made at. */
export function timeOfUlid(id: string): number {
  let time = 0;
  for (const letter of id.slice(0, 10)) time = time * 32 + alphabet.indexOf(letter);
  return time;
}
