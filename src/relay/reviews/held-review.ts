/**
 * One held command of this process, from the request to the last word. What happens to it happens in turn:
 *
 *   open:     `command.held` and `review.requested` on disk → stored → the client is told
 *   decision: `review.decided` on disk → counted in the store → approved: used up in the store → the command goes
 *   end:      `review.ended` on disk → stored → refused, or (withdrawn) nothing is heard
 *
 * Invariant: the listener hears `approved` once, after all of that; whatever fails on the way is a refusal. A client that
 * withdraws hears nothing more from that moment on, whatever is in flight.
 */
import { hash } from 'node:crypto';
import { HoopError } from '../../errors.ts';
import type { HeldCommand, HeldListener, HeldReview } from '../../gate/reviews.ts';
import type { TargetName, SessionId } from '../../model/ids.ts';
import type { Principal } from '../../model/principal.ts';
import { hasDecided, step, type Review } from '../../reviews/review.ts';
import type { Clock } from '../../system/clock.ts';
import { boundDigest } from '../../wire/review-binding.ts';
import type { NewReview, Reviews as StoredReviews, StoredDecision } from '../state/reviews.ts';
import type { Append } from '../told-logins.ts';
import { decidedEntry, endedEntry, heldEntry, requestedEntry, type EndReason } from './entries.ts';

/** What reviews need to know of a session; as `SessionFacts` has it. */
export interface ReviewedSession {
  readonly id: SessionId;
  readonly principal: Principal;
  readonly target: TargetName;
  readonly reason: string | null;
  readonly task: string | null;
  /** Wall clock. */
  readonly deadlineMs: number;
}

export interface HeldReviewOptions {
  readonly processId: string;
  readonly state: Pick<StoredReviews, 'open' | 'count' | 'dismiss' | 'move'>;
  readonly append: Append;
  readonly clock: Clock;
  readonly expiresAfterMs: number;
  readonly observe: ReviewObserver;
}

/** For webhooks, the operator's log and metrics. None may throw. */
export interface ReviewObserver {
  requested(review: NewReview): void;
  /** `by`: who decided last; null when nobody did. Not told of a review that waits for more. */
  over(
    review: NewReview,
    outcome: 'approved' | 'rejected' | 'expired' | 'withdrawn',
    by: StoredDecision | null,
  ): void;
  trouble(what: string, error: unknown): void;
}

const nameOf = ({ email, subject }: Principal): string => email ?? subject;

/** Between attempts to tell a log that refuses. */
const retryMs = 1000;

export const unrecorded = 'the relay cannot record the review, so the command is refused';

export class HeldCommandReview implements HeldReview {
  readonly #options: HeldReviewOptions;
  readonly #held: HeldCommand;
  readonly #stored: NewReview;
  readonly #onOver: () => void;
  #listener: HeldListener | null;
  #review: Review;
  #turn: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  /** Reviewers whose decision is being counted or has been. */
  readonly #taken = new Set<string>();
  #over = false;
  #left = false;
  /** The log has the request. */
  #told = false;
  readonly #startedMs: number;

  constructor(
    options: HeldReviewOptions,
    review: { readonly id: string; readonly session: ReviewedSession },
    held: HeldCommand,
    /** `onOver`: called once, when no decision can change anything any more. */
    told: { readonly listener: HeldListener; readonly onOver: () => void },
  ) {
    this.#options = options;
    this.#held = held;
    this.#listener = told.listener;
    this.#onOver = told.onOver;
    this.#startedMs = options.clock.monotonicMs();
    this.#stored = newReview(options, review, held);
    const { requester, needed, digest, expiresAtMs } = this.#stored;
    this.#review = { state: 'pending', requester, needed, decisions: [], digest, expiresAtMs };
    this.#inTurn(() => this.#open());
  }

  get id(): string {
    return this.#stored.id;
  }

  withdraw(why: 'cancelled' | 'disconnected' | 'session-ended'): void {
    if (this.#listener === null) return;
    this.#listener = null;
    this.#left = true;
    this.#inTurn(() => this.#end('withdrawn', why));
  }

  /** A proposed decision of the store; resolves when it counts or has been dismissed. Twice is once. Never rejects. */
  decide(decision: StoredDecision): Promise<void> {
    const { issuer, subject } = decision.reviewer;
    const key = JSON.stringify([issuer, subject]);
    if (!this.#taken.has(key)) {
      this.#taken.add(key);
      this.#inTurn(async () => {
        if (!(await this.#count(decision))) this.#taken.delete(key);
      });
    }
    return this.#turn;
  }

  #inTurn(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(work).catch((error: unknown) => this.#fail(error));
  }

  async #open(): Promise<void> {
    const { append, state, observe, clock } = this.#options;
    // Both at once: one sync for the two, in this order.
    await Promise.all([append(heldEntry(this.#stored, this.#held)), append(requestedEntry(this.#stored))]);
    this.#told = true;
    if (this.#left) return;
    await state.open(this.#stored);
    if (this.#left) return;
    const { id: review, needed, expiresAtMs, createdAtMs } = this.#stored;
    this.#timer = setTimeout(
      () => this.#inTurn(() => this.#end('expired', 'expired')),
      Math.max(0, expiresAtMs - createdAtMs - (clock.monotonicMs() - this.#startedMs)),
    ).unref();
    const people = needed.map(({ group, count }) => `${group} (${count})`);
    this.#listener?.held({ review, needed: people, expiresAtMs });
    observe.requested(this.#stored);
  }

  /** @returns false when the decision was taken back and may come again */
  async #count(decision: StoredDecision): Promise<boolean> {
    const { append, state, observe } = this.#options;
    const { reviewer } = decision;
    const event = { kind: 'decision', decision } as const;
    const next = this.#over || this.#left ? null : step(this.#review, event);
    if (next === null) {
      const standing = this.#review.state === 'expired' ? 'review-expired' : 'review-not-pending';
      await state.dismiss(this.id, reviewer, standing);
      return true;
    }
    // Proposed at the same time as that of an agent for the same person, or of the person.
    if (hasDecided(this.#review, reviewer)) {
      await state.dismiss(this.id, reviewer, 'review-decided-before');
      return true;
    }
    try {
      await append(decidedEntry(this.#stored, decision, next.state));
    } catch (error) {
      observe.trouble('review.decided', error);
      await state.dismiss(this.id, reviewer, null);
      return false;
    }
    if (!(await state.count(this.id, reviewer, next.state)))
      throw new Error('the review is not pending in the store');
    this.#review = next;
    if (next.state === 'approved') await this.#approve(decision);
    else if (next.state === 'rejected')
      this.#refuse(`rejected by ${nameOf(reviewer)}: ${decision.reason ?? ''}`, decision);
    return true;
  }

  async #approve(by: StoredDecision): Promise<void> {
    const { state, observe } = this.#options;
    // The client left: its end stands in the next turn.
    if (this.#left) return;
    if (!(await state.move(this.id, 'approved', 'used')))
      throw new Error('the approval is used in the store');
    if (this.#left) return;
    this.#review = step(this.#review, { kind: 'use' }) ?? this.#review;
    const listener = this.#finish();
    observe.over(this.#stored, 'approved', by);
    listener?.decided({ approved: true, policies: this.#held.policies, hint: null, review: this.id });
  }

  #refuse(hint: string, by: StoredDecision | null): void {
    const listener = this.#finish();
    this.#options.observe.over(this.#stored, by === null ? 'expired' : 'rejected', by);
    listener?.decided({ approved: false, policies: this.#held.policies, hint, review: this.id });
  }

  async #end(outcome: 'expired' | 'withdrawn', reason: EndReason): Promise<void> {
    const { append, state, observe } = this.#options;
    if (this.#over) return;
    const next = step(this.#review, { kind: outcome === 'expired' ? 'expire' : 'withdraw' });
    const before = this.#review.state;
    if (next !== null) this.#review = next;
    // What nothing lets through needs no word on disk to be over; the word follows as soon as the log takes it.
    await append(endedEntry(this.#stored, outcome, reason)).catch((error: unknown) => {
      observe.trouble('review.ended', error);
      void this.#tellLater(outcome, reason);
    });
    await state.move(this.id, before, outcome).catch((error: unknown) => observe.trouble('state', error));
    if (outcome === 'expired') this.#refuse('nobody decided in time', null);
    else {
      this.#finish();
      observe.over(this.#stored, 'withdrawn', null);
    }
  }

  /** Something on the way failed: refused, and whatever the log or the store have of it leads nowhere. */
  async #fail(error: unknown): Promise<void> {
    const { append, state, observe } = this.#options;
    observe.trouble('review', error);
    if (this.#over) return;
    const listener = this.#finish();
    if (this.#told) await append(endedEntry(this.#stored, 'withdrawn', 'failed')).catch(() => undefined);
    for (const from of ['pending', 'approved'] as const)
      await state.move(this.id, from, 'withdrawn').catch(() => undefined);
    listener?.decided({ approved: false, policies: this.#held.policies, hint: unrecorded, review: this.id });
  }

  async #tellLater(outcome: 'expired' | 'withdrawn', reason: EndReason): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
      try {
        await this.#options.append(endedEntry(this.#stored, outcome, reason));
        return;
      } catch (error) {
        if (error instanceof HoopError && error.code !== 'log-write-failed') return;
      }
    }
  }

  #finish(): HeldListener | null {
    const listener = this.#listener;
    this.#listener = null;
    this.#over = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#onOver();
    return listener;
  }
}

function newReview(
  { processId, clock, expiresAfterMs }: HeldReviewOptions,
  { id, session }: { readonly id: string; readonly session: ReviewedSession },
  held: HeldCommand,
): NewReview {
  const createdAtMs = clock.wallMs();
  const expiresAtMs = Math.min(createdAtMs + expiresAfterMs, session.deadlineMs);
  const { principal, target, reason, task } = session;
  const [text, parameters] = [
    Buffer.from(held.text),
    held.parameters === null ? null : Buffer.from(held.parameters),
  ];
  const digest = boundDigest({
    review: id,
    issuer: principal.issuer,
    subject: principal.subject,
    target,
    session: session.id,
    connection: held.connection,
    command: held.command,
    text: hash('sha256', text, 'hex'),
    parameters: parameters === null ? null : hash('sha256', parameters, 'hex'),
    expires: new Date(expiresAtMs).toISOString(),
  });
  const { parameterTypes, encoding, facts, policies, needed } = held;
  const command = { text, parameters, parameterTypes, encoding, facts, policies, needed };
  const about = { id, session: session.id, processId, requester: principal, target, reason, task };
  return { ...about, ...command, digest, createdAtMs, expiresAtMs };
}
