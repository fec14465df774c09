/** A review as the API shows it to one caller. */
import { decodeParameters } from '../../evidence/read/parameters.ts';
import { decodeText } from '../../evidence/read/postgres-content.ts';
import type { Principal } from '../../model/principal.ts';
import { countApprovals } from '../../reviews/quorum.ts';
import { refusal } from '../../reviews/review.ts';
import type { ReviewSummary, ReviewView } from '../../wire/reviews.ts';
import { principalView } from '../principal-view.ts';
import type { StoredReview } from '../state/reviews.ts';

/** Who looks, when, and whether policy lets them `review` the session. */
export interface Viewer {
  readonly principal: Principal;
  readonly permitted: boolean;
  readonly nowMs: number;
}

/** Characters of a text that lists show. */
const excerptLength = 200;

export function summaryOf(review: StoredReview, viewer: Viewer): ReviewSummary {
  const { nowMs, principal } = viewer;
  const approvers = review.decisions.filter(({ decision }) => decision === 'approve');
  const overdue = review.state === 'pending' && review.expiresAtMs <= nowMs;
  const because = refusal(review, principal, viewer);
  const { text } = decodeText(review.text, review.encoding);
  return {
    review: review.id,
    state: overdue ? 'expired' : review.state,
    session: review.session,
    requester: principalView(review.requester),
    target: review.target,
    reason: review.reason,
    task: review.task,
    facts: {
      effects: [...review.facts.effects],
      relations: [...review.facts.relations],
      functions: [...review.facts.functions],
      programs: [...review.facts.programs],
      paths: [...(review.facts.paths ?? [])],
      destinations: [...(review.facts.destinations ?? [])],
    },
    policies: [...review.policies],
    needed: [
      ...countApprovals(
        review.needed,
        approvers.map(({ reviewer }) => reviewer),
      ),
    ],
    decisions: review.decisions.map(({ reviewer, decision, reason, decidedAtMs }) => ({
      reviewer: principalView(reviewer),
      decision,
      reason,
      decidedAt: new Date(decidedAtMs).toISOString(),
    })),
    createdAt: new Date(review.createdAtMs).toISOString(),
    expiresAt: new Date(review.expiresAtMs).toISOString(),
    remainingMs: review.state === 'pending' ? Math.max(0, review.expiresAtMs - nowMs) : 0,
    // A list's text may be cut inside a character.
    excerpt: text.slice(0, excerptLength).replace(/\ufffd+$/, ''),
    excerptIsAll: review.whole && review.parameters === null && text.length <= excerptLength,
    mayDecide: because === null,
    mayNotDecideBecause: because,
  };
}

/**
 * @param review with its whole text
 * @param protocol of its target: how its parameters are read
 */
export function viewOf(review: StoredReview, viewer: Viewer, protocol: string): ReviewView {
  const { text, exact } = decodeText(review.text, review.encoding);
  const { parameters, parameterTypes: types } = review;
  return {
    ...summaryOf(review, viewer),
    text,
    textBytes: exact ? null : review.text.toString('base64'),
    parameters: parameters === null ? null : [...decodeParameters(protocol, parameters, text, types).values],
    digest: review.digest,
  };
}
