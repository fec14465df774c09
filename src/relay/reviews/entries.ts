/** A review as the log tells it. */
import { hash } from 'node:crypto';
import { actorOf, relayActor, type EntryOf, type NewEntry } from '../../evidence/entry.ts';
import type { HeldCommand } from '../../gate/reviews.ts';
import { groupsOf } from '../../reviews/quorum.ts';
import type { ReviewState } from '../../wire/reviews.ts';
import type { NewReview, StoredDecision } from '../state/reviews.ts';

export function heldEntry(review: NewReview, { connection, command }: HeldCommand): NewEntry {
  const { requester, session, id, text, policies } = review;
  return {
    kind: 'command.held',
    actor: actorOf(requester),
    session,
    connection,
    command,
    digest: hash('sha256', text, 'hex'),
    text: shortText(text),
    policies: [...policies],
    review: id,
  };
}

export function requestedEntry(review: NewReview): NewEntry {
  const { requester, session, id, parameters, digest, facts, needed, expiresAtMs } = review;
  return {
    kind: 'review.requested',
    actor: actorOf(requester),
    review: id,
    session,
    digest,
    parametersDigest: parameters === null ? null : hash('sha256', parameters, 'hex'),
    effects: [...facts.effects],
    needed: needed.map(({ group, count }) => ({ group, count })),
    expires: new Date(expiresAtMs).toISOString(),
  };
}

/** @param state the review's with this decision */
export function decidedEntry(review: NewReview, decision: StoredDecision, state: ReviewState): NewEntry {
  const { reviewer, login, reason, request } = decision;
  return {
    kind: 'review.decided',
    actor: actorOf(reviewer),
    review: review.id,
    session: review.session,
    login,
    decision: decision.decision,
    reason,
    digest: review.digest,
    groups: groupsOf(review.needed, reviewer),
    outcome: state === 'approved' || state === 'rejected' ? state : 'pending',
    request,
  };
}

export type EndReason = EntryOf<'review.ended'>['reason'];

export function endedEntry(
  { id, session }: Pick<NewReview, 'id' | 'session'>,
  outcome: 'expired' | 'withdrawn',
  reason: EndReason,
): NewEntry {
  return { kind: 'review.ended', actor: relayActor, review: id, session, outcome, reason };
}

/** The whole text when it is short and is text. */
function shortText(bytes: Buffer): string | null {
  if (bytes.length > 4096) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
