/** Failures of the embedded provider; codes are listed in docs/errors.md. */
import { HoopError } from '../../errors.ts';

export type ProviderErrorCode =
  | 'account-invalid' // an address, group or password that cannot be one
  | 'provider-keys-invalid';

export class ProviderError extends HoopError<ProviderErrorCode> {}
