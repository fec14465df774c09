/** Why the log refuses entries, and what to do about it. */
import { hasErrno } from '../../errors.ts';
import { EvidenceError } from '../error.ts';

export function writeFailed(cause: unknown, reason: Reason = reasonOf(cause)): EvidenceError {
  return new EvidenceError('log-write-failed', 'the log could not be written', {
    cause,
    hint: hints[reason],
  });
}

/** Too much waits for the key to sign. */
export class Unsigned extends Error {}
export const isUnsigned = (error: unknown): boolean =>
  error instanceof EvidenceError && error.code === 'log-signing-failed';

export type Reason = keyof typeof hints;
const hints = {
  'disk-full': 'free space where the evidence is stored; the relay goes on by itself',
  'write-failed':
    'look at the disk where the evidence is stored; the relay goes on by itself once it can write',
  'not-signed': 'look at what holds the log’s key; the relay goes on by itself once it signs',
} as const;

export function reasonOf(cause: unknown): Reason {
  if (cause instanceof Unsigned) return 'not-signed';
  return hasErrno(cause, 'ENOSPC', 'EDQUOT') ? 'disk-full' : 'write-failed';
}
