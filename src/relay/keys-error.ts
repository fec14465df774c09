import { HoopError } from '../errors.ts';

/**
 * - `keys-invalid`: a key file is not what this relay wrote.
 * - `log-key-missing`: there is a log, but not the key that signed it.
 * - `log-key-mismatch`: the key is that of a log with another origin.
 * - `log-next-key-missing`: there is no key to hand the log over to.
 */
export type KeysErrorCode = 'keys-invalid' | 'log-key-missing' | 'log-key-mismatch' | 'log-next-key-missing';

/** Keys that cannot be used. Texts name files, never what is in them. */
export class KeysError extends HoopError<KeysErrorCode> {}
