import { HoopError } from '../../errors.ts';

/**
 * - `signer-unavailable`: what holds the log's key does not answer, or cannot be started.
 * - `signer-refused`: it answered that it will not sign.
 * - `signer-answer-invalid`: what it gave is no signature by the key that it should be.
 */
export type SignerErrorCode = 'signer-unavailable' | 'signer-refused' | 'signer-answer-invalid';

/** A log's key outside of this process. Texts hold names of functions and codes, never a PIN or what was signed. */
export class SignerError extends HoopError<SignerErrorCode> {}
