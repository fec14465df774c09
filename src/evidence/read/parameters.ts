/** Parameters of a command as people read them, by the protocol that the recording names. Nothing is trusted. */
import { decodeBound, type BoundParameters } from './postgres-content.ts';

/**
 * @param types of PostgreSQL parameters
 * @returns of a protocol that is not known here the bytes, in hexadecimal
 */
export function decodeParameters(
  protocol: string,
  bytes: Buffer,
  text: string,
  types: readonly number[],
): BoundParameters {
  switch (protocol) {
    case 'postgres':
      return decodeBound(bytes, text, types);
    case 'ssh':
      return { values: environmentOf(bytes), resultFormats: [] };
    default:
      return { values: [`\\x${bytes.toString('hex')}`], resultFormats: [] };
  }
}

/** `NAME=value`, separated by NUL. */
const environmentOf = (bytes: Buffer): string[] => bytes.toString('utf8').split('\0');
