/**
 * Authentication messages
 * (https://www.postgresql.org/docs/current/protocol-message-formats.html, `R` and `p`).
 */
import { BoundedReader } from '../../../bytes/bounded-reader.ts';
import { cstring, encodeMessage, int32 } from './frame.ts';

export type Authentication =
  | { readonly kind: 'AuthenticationOk' }
  | { readonly kind: 'AuthenticationCleartextPassword' }
  | { readonly kind: 'AuthenticationMD5Password'; readonly salt: Buffer }
  | { readonly kind: 'AuthenticationSASL'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'AuthenticationSASLContinue' | 'AuthenticationSASLFinal'; readonly data: string }
  /** GSSAPI, SSPI, Kerberos, SCM: not offered. */
  | { readonly kind: 'other'; readonly code: number };

/** Body of an `R` message. @throws BytesError */
export function decodeAuthentication(body: Buffer): Authentication {
  const reader = new BoundedReader(body);
  const code = reader.int32();
  switch (code) {
    case 0:
      reader.finish();
      return { kind: 'AuthenticationOk' };
    case 3:
      reader.finish();
      return { kind: 'AuthenticationCleartextPassword' };
    case 5: {
      const salt = reader.take(4);
      reader.finish();
      return { kind: 'AuthenticationMD5Password', salt };
    }
    case 10:
      return { kind: 'AuthenticationSASL', mechanisms: readMechanisms(reader) };
    case 11:
    case 12: {
      const kind = code === 11 ? 'AuthenticationSASLContinue' : 'AuthenticationSASLFinal';
      return { kind, data: reader.take(reader.remaining).toString('utf8') };
    }
    default:
      return { kind: 'other', code };
  }
}

function readMechanisms(reader: BoundedReader): string[] {
  const mechanisms: string[] = [];
  for (;;) {
    const mechanism = reader.cstring();
    if (mechanism === '') break;
    mechanisms.push(mechanism);
  }
  reader.finish();
  return mechanisms;
}

export const encodeAuthenticationOk = (): Buffer => encodeMessage('R', int32(0));

/** Cleartext password, or the md5 response. */
export const encodePasswordMessage = (password: string): Buffer => encodeMessage('p', cstring(password));

export function encodeSASLInitialResponse(mechanism: string, data: string): Buffer {
  const bytes = Buffer.from(data, 'utf8');
  return encodeMessage('p', cstring(mechanism), int32(bytes.length), bytes);
}

export const encodeSASLResponse = (data: string): Buffer => encodeMessage('p', Buffer.from(data, 'utf8'));
