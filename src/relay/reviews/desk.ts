/**
 * Reviews of this relay process: the held commands of its sessions, and the decisions that people make here or at another
 * relay of the same state. Rules are in `reviews/`; this is what stores, records, waits and tells.
 *
 * The process that holds the command alone writes `review.…` entries, so that one log tells the whole story; a decision made
 * elsewhere is proposed through the store and answered when it stands in that log.
 *
 * Deliberately not here: who may see or decide (`api/reviews.ts` asks policy), what a protocol does while it waits (gate).
 */
import type { HeldCommand, HeldListener, HeldReview, Reviews } from '../../gate/reviews.ts';
import type { SessionId } from '../../model/ids.ts';
import { ReviewError, type ReviewErrorCode } from '../../reviews/error.ts';
import { ulid } from '../../system/ulid.ts';
import { RelayError } from '../error.ts';
import type { NewDecision, Reviews as StoredReviews } from '../state/reviews.ts';
import { endedEntry } from './entries.ts';
import {
  HeldCommandReview,
  unrecorded,
  type HeldReviewOptions,
  type ReviewedSession,
} from './held-review.ts';
import { Signal } from './signal.ts';

export interface ReviewDeskOptions extends HeldReviewOptions {
  readonly state: StoredReviews;
}

/** Longest command, with its parameters, that a reviewer can be shown. */
const reviewableBytes = 1_048_576;
const pendingOfSession = 100;
/** Between looks at the store when nobody gives notice (another process on SQLite, a lost notice). */
const pollMs = 1000;
/** A decision that the process with the command does not take by then is given up. */
const answerMs = 10_000;

export class ReviewDesk {
  readonly #options: ReviewDeskOptions;
  readonly #held = new Map<string, HeldCommandReview>();
  readonly #unsubscribe: () => void;
  readonly #poller: NodeJS.Timeout;
  /** Something may have changed. */
  readonly changes = new Signal();
  #taking: Promise<void> = Promise.resolve();
  #nextTake: Promise<void> | null = null;

  constructor(options: ReviewDeskOptions) {
    this.#options = options;
    this.#unsubscribe = options.state.subscribe(() => {
      this.changes.fire();
      void this.#take();
    });
    this.#poller = setInterval(() => {
      if (this.#held.size > 0) void this.#take();
    }, pollMs).unref();
  }

  /** Held commands that nobody has decided. */
  get pending(): number {
    return this.#held.size;
  }

  /** A session's view; its reviews are withdrawn by whoever ends it. */
  session(session: ReviewedSession): Reviews {
    let pending = 0;
    return {
      request: (held, listener) => {
        const why = notReviewable(held, pending);
        if (why !== null) return refused(held, listener, why);
        pending++;
        return this.#request(session, held, listener, () => void pending--);
      },
    };
  }

  /**
   * Puts a decision through that policy and `reviews/` allow. Resolves when it counts and stands in the log.
   * @throws ReviewError when the review was decided or left meanwhile; RelayError `evidence-unavailable` when it could not be
   * recorded: then it does not count, and may be made again
   */
  async decide(review: string, decision: NewDecision): Promise<void> {
    const { state } = this.#options;
    const refusedAs = await state.propose(review, decision);
    if (refusedAs !== null) throw refusalError(refusedAs);
    const until = performance.now() + answerMs;
    for (;;) {
      const changed = this.changes.next(pollMs / 4);
      await this.#take();
      const standing = await state.standing(review, decision.reviewer);
      if (standing === 'counted') return;
      if (standing !== null && standing !== 'proposed') throw refusalError(standing);
      if (standing === null || this.changes.closed || performance.now() > until) {
        await state.dismiss(review, decision.reviewer, null);
        throw new RelayError(
          'evidence-unavailable',
          'The decision could not be recorded, so it does not count.',
          { hint: 'try again' },
        );
      }
      await changed;
    }
  }

  /** Reviews that the run before left open, of sessions that recovery closed. */
  async withdrawInterrupted(sessions: readonly SessionId[]): Promise<number> {
    const { state, append } = this.#options;
    const pending = await state.pendingOf(sessions);
    for (const { id: review, session } of pending) {
      await append(endedEntry({ id: review, session }, 'withdrawn', 'interrupted'));
      await state.move(review, 'pending', 'withdrawn');
    }
    return pending.length;
  }

  close(): void {
    clearInterval(this.#poller);
    this.#unsubscribe();
    this.changes.close();
  }

  #request(
    session: ReviewedSession,
    held: HeldCommand,
    listener: HeldListener,
    onOver: () => void,
  ): HeldReview {
    const id = ulid(this.#options.clock.wallMs());
    try {
      const review = new HeldCommandReview(this.#options, { id, session }, held, {
        listener,
        onOver: () => {
          this.#held.delete(id);
          onOver();
        },
      });
      this.#held.set(id, review);
      return review;
    } catch (error) {
      this.#options.observe.trouble('review', error);
      onOver();
      return refused(held, listener, unrecorded);
    }
  }

  /** Takes the proposals that are in the store when it is called, or later ones too; calls that wait are one. Never rejects. */
  #take(): Promise<void> {
    this.#nextTake ??= this.#taking.then(() => {
      this.#nextTake = null;
      this.#taking = this.#takeAll().catch((error: unknown) => this.#options.observe.trouble('state', error));
      return this.#taking;
    });
    return this.#nextTake;
  }

  async #takeAll(): Promise<void> {
    const { state, processId } = this.#options;
    const proposals = await state.proposals(processId);
    await Promise.all(
      proposals.map(
        ({ review, decision }) =>
          this.#held.get(review)?.decide(decision) ??
          state.dismiss(review, decision.reviewer, 'review-not-pending'),
      ),
    );
  }
}

export function refusalError(code: ReviewErrorCode): ReviewError {
  const texts: Readonly<Record<ReviewErrorCode, readonly [message: string, hint: string]>> = {
    'review-unknown': ['There is no such review, or none that you may see.', 'list them: hoop reviews'],
    'review-own-request': [
      'Nobody decides on their own request.',
      'ask somebody of the groups that it needs',
    ],
    'review-denied': ['You may not decide on this review.', 'ask somebody of the groups that it needs'],
    'review-not-pending': [
      'The review is over: it was decided, withdrawn or used.',
      'see what became of it: hoop reviews show',
    ],
    'review-expired': ['The time for this review is over.', 'the person may send the command again'],
    'review-digest-mismatch': [
      'The decision is about something else than what is held.',
      'look at it again: hoop reviews show',
    ],
    'review-decided-before': [
      'You have decided on this review before.',
      'others of the groups that it needs may still decide',
    ],
    'review-reason-missing': ['A rejection says why.', 'give the reason: --reason'],
  };
  const [message, hint] = texts[code];
  return new ReviewError(code, message, { hint });
}

function notReviewable({ text, parameters, needed }: HeldCommand, pending: number): string | null {
  if (needed.length === 0) return 'the policy names nobody who could approve it';
  if (text.length + (parameters?.length ?? 0) > reviewableBytes)
    return 'it needs a review and is longer than the 1 MiB that a reviewer can be shown';
  if (pending >= pendingOfSession) return `${pending} commands of this session wait for a review already`;
  return null;
}

/** Later, because nothing is told from within `request`. */
function refused({ policies }: HeldCommand, listener: HeldListener, hint: string): HeldReview {
  let waits = true;
  queueMicrotask(() => {
    if (waits) listener.decided({ approved: false, policies, hint, review: null });
  });
  return { withdraw: () => void (waits = false) };
}
