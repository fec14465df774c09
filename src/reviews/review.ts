/**
 * Reviews: the rules by which people decide a held command, apart from everything that stores, sends or waits. No clock, no
 * I/O, no policy: time and what policy says come with the question. The relay's side is `relay/reviews/`.
 *
 *   pending ──approvals of all groups──► approved ──the command goes──► used
 *      ├──one rejection──► rejected         └──the client left──► withdrawn
 *      ├──time──► expired
 *      └──the client left──► withdrawn
 *
 * Invariant: what is not `pending` is never decided, what is not `approved` is never used, and nothing is used twice.
 */
import { isOneParty, type Party } from '../model/principal.ts';
import type { NeededGroup } from '../model/review.ts';
import type { ReviewState } from '../wire/reviews.ts';
import type { ReviewErrorCode } from './error.ts';
import { countApprovals, groupsOf, isMet, type Reviewer } from './quorum.ts';

export interface Decision {
  readonly reviewer: Reviewer;
  readonly decision: 'approve' | 'reject';
}

export interface Review {
  readonly state: ReviewState;
  readonly requester: Party;
  readonly needed: readonly NeededGroup[];
  /** Those that counted, in order. */
  readonly decisions: readonly Decision[];
  /** See `wire/review-binding.ts`. */
  readonly digest: string;
  /** Wall clock. */
  readonly expiresAtMs: number;
}

export type ReviewEvent =
  | { readonly kind: 'decision'; readonly decision: Decision }
  | { readonly kind: 'expire' }
  | { readonly kind: 'withdraw' }
  | { readonly kind: 'use' };

/** The review after `event`; null when the event is not possible in its state. Whether a person may decide: `refusal`. */
export function step(review: Review, event: ReviewEvent): Review | null {
  switch (review.state) {
    case 'pending':
      return stepPending(review, event);
    case 'approved':
      if (event.kind === 'use') return { ...review, state: 'used' };
      return event.kind === 'withdraw' ? { ...review, state: 'withdrawn' } : null;
    case 'rejected':
    case 'expired':
    case 'withdrawn':
    case 'used':
      return null;
    default:
      return review.state satisfies never;
  }
}

function stepPending(review: Review, event: ReviewEvent): Review | null {
  switch (event.kind) {
    case 'decision': {
      const decisions = [...review.decisions, event.decision];
      if (event.decision.decision === 'reject') return { ...review, decisions, state: 'rejected' };
      const approvers = decisions.map(({ reviewer }) => reviewer);
      const met = isMet(countApprovals(review.needed, approvers));
      return { ...review, decisions, state: met ? 'approved' : 'pending' };
    }
    case 'expire':
      return { ...review, state: 'expired' };
    case 'withdraw':
      return { ...review, state: 'withdrawn' };
    case 'use':
      return null;
    default:
      return event satisfies never;
  }
}

/** An agent and the person for whom it acts have one say between them. */
export const hasDecided = (review: Pick<Review, 'decisions'>, reviewer: Party): boolean =>
  review.decisions.some((decision) => isOneParty(decision.reviewer, reviewer));

/**
 * Why this person may not decide this review now; null when they may. The person comes first, so that who has no say learns
 * nothing of the state.
 * @param permitted what policy says of the action `review` on the session
 */
export function refusal(
  review: Review,
  reviewer: Reviewer,
  { permitted, nowMs }: { permitted: boolean; nowMs: number },
): ReviewErrorCode | null {
  if (isOneParty(review.requester, reviewer)) return 'review-own-request';
  if (!permitted || groupsOf(review.needed, reviewer).length === 0) return 'review-denied';
  if (review.state === 'expired') return 'review-expired';
  if (review.state !== 'pending') return 'review-not-pending';
  if (review.expiresAtMs <= nowMs) return 'review-expired';
  if (hasDecided(review, reviewer)) return 'review-decided-before';
  return null;
}
