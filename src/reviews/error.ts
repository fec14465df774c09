/** Failures of reviews; codes are listed in docs/errors.md. Texts never hold a command's text or a reason. */
import { HoopError } from '../errors.ts';

export type ReviewErrorCode =
  | 'review-unknown' // there is none, or none that the caller may see
  | 'review-own-request' // nobody approves or rejects their own
  | 'review-denied' // policy does not let the caller review, or no needed group is theirs
  | 'review-not-pending' // decided, withdrawn or used already
  | 'review-expired'
  | 'review-digest-mismatch' // the decision is about something else than is held
  | 'review-decided-before' // by the same person
  | 'review-reason-missing'; // a rejection says why

export class ReviewError extends HoopError<ReviewErrorCode> {}
