/** Failures of the embedded provider; codes are listed in docs/errors.md. */
import { HoopError } from '../../errors.ts';

export type ProviderErrorCode =
  | 'account-invalid' // an address, group or password that cannot be one
  | 'provider-keys-invalid'
  | 'upstream-denied' // the upstream refuses the person: at the sign-in, or at a renewal
  | 'upstream-invalid' // what it answered is not what the specification says, or not for us
  | 'upstream-unreachable';

export class ProviderError extends HoopError<ProviderErrorCode> {}
