/**
 * Challenges of RFC 9449 §7.1, RFC 9470 §3 and RFC 9110 §11.6.1: what a client without, or with the wrong, credentials is
 * told.
 */
import { IdentityError } from '../../identity/error.ts';
import { StepUpRequired } from '../error.ts';

/** The `WWW-Authenticate` header for what a route threw; null where no other proof or token would help. */
export function challengeFor(error: unknown): string | null {
  if (error instanceof StepUpRequired) {
    const { maxAgeSeconds, acr } = error.stepUp;
    const wanted = [
      ...(maxAgeSeconds === null ? [] : [`, max_age="${maxAgeSeconds}"`]),
      ...(acr === null ? [] : [`, acr_values="${acr}"`]),
    ];
    return `DPoP error="insufficient_user_authentication", algs="ES256"${wanted.join('')}`;
  }
  if (!(error instanceof IdentityError)) return null;
  switch (error.code) {
    case 'dpop-nonce-required':
      return 'DPoP error="use_dpop_nonce", algs="ES256"';
    case 'dpop-proof-missing':
    case 'dpop-proof-invalid':
    case 'dpop-proof-replayed':
      return 'DPoP error="invalid_dpop_proof", algs="ES256"';
    case 'access-token-invalid':
    case 'access-token-expired':
    case 'login-ended':
      return 'DPoP error="invalid_token", algs="ES256"';
    case 'access-token-missing':
    case 'id-token-invalid':
    case 'id-token-expired':
    case 'assertion-invalid':
    case 'assertion-expired':
    case 'assertion-replayed':
    case 'service-account-refused':
    case 'delegation-ended':
      return 'DPoP algs="ES256"';
    default:
      return null;
  }
}
