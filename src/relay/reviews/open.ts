/** The desk of one relay process, with whom it tells. */
import { systemClock } from '../../system/clock.ts';
import type { RelayConfig } from '../config/config.ts';
import type { RelayEvidence } from '../evidence.ts';
import type { RelayLogger } from '../logging.ts';
import type { RelayMetrics } from '../metrics.ts';
import type { State } from '../state/state.ts';
import { ReviewDesk } from './desk.ts';
import { Webhooks } from './webhooks.ts';

export interface OpenedReviews {
  readonly desk: ReviewDesk;
  /** Gives up what is not delivered. */
  close(): void;
}

export interface OpenReviewsOptions {
  readonly config: RelayConfig;
  readonly state: State;
  readonly evidence: RelayEvidence;
  readonly logger: RelayLogger;
  readonly metrics: RelayMetrics;
  /** Of this process, as its sessions have it. */
  readonly processId: string;
}

/** Withdraws what the run before left open. @throws Error of the log or the store: nothing is served without them */
export async function openReviews(options: OpenReviewsOptions): Promise<OpenedReviews> {
  const { config, state, evidence, logger, metrics, processId } = options;
  const webhooks = new Webhooks({
    webhooks: config.reviews.webhooks,
    relay: config.publicUrl,
    clock: systemClock,
    onFailure: (address, error) => logger.warn('webhook failed', { address }, error),
  });
  const desk = new ReviewDesk({
    processId,
    state: state.reviews,
    append: evidence.append,
    clock: systemClock,
    expiresAfterMs: config.reviews.expiresAfterMs,
    observe: {
      requested: (review) => {
        metrics.review('requested');
        logger.info('review requested', {
          review: review.id,
          session: review.session,
          policies: review.policies,
        });
        webhooks.requested(review);
      },
      over: (review, outcome, by) => {
        metrics.review(outcome);
        logger.info('review over', { review: review.id, session: review.session, reason: outcome });
        webhooks.over(review, outcome, by);
      },
      trouble: (what, error) => logger.error('trouble', { reason: what }, error),
    },
  });
  const withdrawn = await desk.withdrawInterrupted(evidence.interrupted);
  if (withdrawn > 0) logger.warn('reviews withdrawn', { count: withdrawn });
  return {
    desk,
    close: () => {
      desk.close();
      webhooks.close();
    },
  };
}
