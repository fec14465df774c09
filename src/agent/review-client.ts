/** Reviews at the relay: what waits for people, and their decisions, signed by the key of their login. */
import { setTimeout as delay } from 'node:timers/promises';
import type { HoopError } from '../errors.ts';
import { makeSignedRequest } from '../identity/signed-request.ts';
import { systemClock } from '../system/clock.ts';
import { ReviewDecisionClaims, ReviewList, ReviewView } from '../wire/reviews.ts';
import type { ReviewState, ReviewSummary } from '../wire/reviews.ts';
import { AgentError } from './error.ts';
import { RelayProblem } from './problem.ts';
import type { SessionAccount } from './session-client.ts';

/** What a list is about; null: whatever. */
export interface ReviewFilter {
  readonly state: ReviewState | null;
  /** Only the caller's own requests. */
  readonly mine: boolean;
}

/** Longest wait for a change that a relay takes. */
const waitSeconds = 25;

/** @throws RelayProblem, AgentError */
export function listReviews({ client }: SessionAccount, { state, mine }: ReviewFilter): Promise<ReviewList> {
  const query = new URLSearchParams();
  if (state !== null) query.set('state', state);
  if (mine) query.set('mine', 'true');
  return client.get(`/v1/reviews${query.size === 0 ? '' : `?${query}`}`, ReviewList);
}

/**
 * What changes from the list on that `after` came with: each review as often as it changes. Goes on through failures that
 * may pass (the relay restarts, the network is away) and asks again, less and less often.
 * @param trouble told when it could not ask, and (null) when it could again
 * @throws RelayProblem, AgentError that asking again does not mend; why `signal` aborted
 */
export async function* followReviews(
  { client }: SessionAccount,
  after: string,
  { mine, signal, trouble }: FollowOptions,
): AsyncGenerator<ReviewSummary> {
  let cursor = after;
  let failures = 0;
  for (;;) {
    const query = new URLSearchParams({
      after: cursor,
      wait: String(waitSeconds),
      ...(mine && { mine: 'true' }),
    });
    try {
      const { reviews, cursor: next } = await client.get(`/v1/reviews?${query}`, ReviewList, { signal });
      if (failures > 0) trouble(null);
      failures = 0;
      cursor = next;
      yield* reviews;
    } catch (error) {
      signal.throwIfAborted();
      if (!mayPass(error)) throw error;
      if (failures === 0) trouble(error);
      await delay(Math.min(longestPauseMs, 500 * 2 ** failures++), undefined, { signal });
    }
  }
}

export interface FollowOptions {
  readonly mine: boolean;
  readonly signal: AbortSignal;
  readonly trouble: (error: HoopError | null) => void;
}

const longestPauseMs = 15_000;

const mayPass = (error: unknown): error is HoopError =>
  error instanceof RelayProblem
    ? error.status >= 502
    : error instanceof AgentError && error.code === 'relay-unreachable';

/**
 * One review with its whole text.
 * @param id whole, or a prefix of at least 6 characters that names one
 * @throws RelayProblem `review-unknown`, …; AgentError `agent-request-invalid`
 */
export function findReview({ client }: SessionAccount, id: string): Promise<ReviewView> {
  const folded = id.toUpperCase();
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{5,25}$/.test(folded))
    throw new AgentError('agent-request-invalid', `"${id}" is no id of a review`, {
      hint: 'type its first characters, at least 6; see them with: hoop reviews',
    });
  return client.get(`/v1/reviews/${folded}`, ReviewView);
}

/** A decision on exactly what `review` shows: its digest is signed. @returns the review as it is then @throws RelayProblem, AgentError */
export async function decideReview(
  account: SessionAccount,
  review: Pick<ReviewView, 'review' | 'digest'>,
  decision: 'approve' | 'reject',
  reason: string | null,
): Promise<ReviewView> {
  const claims = {
    v: 1 as const,
    action: 'review.decide' as const,
    relay: account.relay,
    review: review.review,
    digest: review.digest,
    decision,
    ...(reason !== null && { reason }),
  };
  // Checked here as well, so that a reason that cannot be is told before anything is signed.
  if (!ReviewDecisionClaims.omit({ iat: true, jti: true }).safeParse(claims).success)
    throw new AgentError('agent-request-invalid', 'this reason cannot be given', {
      hint: 'at most 1,024 characters in one line, and not empty',
    });
  const request = await makeSignedRequest<ReviewDecisionClaims>(
    await account.signIn.key(),
    claims,
    systemClock,
  );
  return account.client.post(`/v1/reviews/${review.review}/decision`, { request }, ReviewView);
}
