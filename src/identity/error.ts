/** Failures of identity; codes are listed in docs/errors.md. Texts never hold a token, a proof, a key or a claim. */
import { HoopError } from '../errors.ts';

export type IdentityErrorCode =
  | 'dpop-proof-missing'
  | 'dpop-proof-invalid'
  | 'dpop-proof-replayed'
  | 'dpop-nonce-required' // no nonce, or one that has rotated away; the answer carries the present one
  | 'access-token-missing' // no Authorization, or a scheme other than DPoP
  | 'access-token-invalid'
  | 'access-token-expired'
  | 'login-ended' // logout, not renewed in time, user disabled or removed
  | 'id-token-invalid'
  | 'id-token-expired'
  | 'assertion-invalid' // of a machine: not of a trusted issuer, forged, for another audience, malformed
  | 'assertion-expired'
  | 'assertion-replayed'
  | 'assertion-unmatched' // genuine, and no rule, or more than one, is about it
  | 'service-account-refused' // no such account, wrong credential, disabled, expired
  | 'delegation-ended'
  | 'logout-token-invalid'
  | 'issuer-unreachable'
  | 'issuer-invalid' // its discovery document or keys are not what the specification says
  | 'signed-request-missing'
  | 'signed-request-invalid'
  | 'signed-request-replayed'
  | 'key-invalid';

export class IdentityError extends HoopError<IdentityErrorCode> {}
