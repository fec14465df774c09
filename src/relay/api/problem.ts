/**
 * Errors as the API tells them: RFC 9457 problem documents. One table from codes to statuses; what is not in it is a bug
 * or somebody else's business and becomes a bare 500, so that no internal text leaves the relay by accident.
 */
import type { FastifyReply } from 'fastify';
import { HoopError } from '../../errors.ts';
import type { Problem } from '../../wire/api.ts';
import { StepUpRequired } from '../error.ts';
import { challengeFor } from './challenge.ts';

const statusOf: Readonly<Record<string, number>> = {
  'request-invalid': 400,
  'search-pattern-invalid': 400,
  'signed-request-missing': 400,
  'signed-request-invalid': 400,
  'key-invalid': 400,
  'review-reason-missing': 400,
  'dpop-proof-missing': 401,
  'dpop-proof-invalid': 401,
  'dpop-proof-replayed': 401,
  'dpop-nonce-required': 401,
  'access-token-missing': 401,
  'access-token-invalid': 401,
  'access-token-expired': 401,
  'login-ended': 401,
  'id-token-invalid': 401,
  'id-token-expired': 401,
  'assertion-invalid': 401,
  'assertion-expired': 401,
  'assertion-replayed': 401,
  'service-account-refused': 401,
  'delegation-ended': 401,
  'assertion-unmatched': 403,
  'delegation-denied': 403,
  'step-up-required': 401,
  'connect-denied': 403,
  'kill-denied': 403,
  'evidence-denied': 403,
  'review-own-request': 403,
  'review-denied': 403,
  'target-unknown': 404,
  'session-unknown': 404,
  'evidence-not-found': 404,
  'review-unknown': 404,
  'signed-request-replayed': 409,
  'log-shorter': 409,
  'review-not-pending': 409,
  'review-expired': 409,
  'review-digest-mismatch': 409,
  'review-decided-before': 409,
  'reseal-refused': 409,
  'issuer-unreachable': 502,
  'issuer-invalid': 502,
  'target-unreachable': 502,
  'evidence-unavailable': 503,
  'log-write-failed': 503,
  'recording-failed': 503,
  'relay-draining': 503,
  'relay-overloaded': 503,
  'state-unavailable': 503,
};

/** The document and its status for whatever a route threw. */
export function problemOf(error: unknown): Problem {
  const status = error instanceof HoopError ? statusOf[error.code] : undefined;
  if (error instanceof HoopError && status !== undefined)
    return {
      title: error.message,
      status,
      code: error.code,
      ...(error.hint !== undefined && { hint: error.hint }),
      ...(error instanceof StepUpRequired && { stepUp: error.stepUp }),
    };
  // Fastify's own refusals of a malformed request: too large, not JSON.
  if (
    error instanceof Error &&
    'statusCode' in error &&
    typeof error.statusCode === 'number' &&
    error.statusCode < 500
  )
    return { title: 'The request cannot be read.', status: error.statusCode, code: 'request-invalid' };
  return { title: 'The relay failed.', status: 500, code: 'internal' };
}

export function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const problem = problemOf(error);
  const challenge = challengeFor(error);
  if (challenge !== null) reply.header('www-authenticate', challenge);
  return reply.code(problem.status).type('application/problem+json').send(problem);
}
