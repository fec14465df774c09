/** `hoop reviews --watch`: what waits now, then each change as it comes, until somebody stops it. */
import type { Account } from '../../agent/account.ts';
import { followReviews } from '../../agent/review-client.ts';
import type { ReviewList, ReviewSummary } from '../../wire/reviews.ts';
import { visible } from '../colour.ts';
import type { HoopCommand } from '../command.ts';
import { untilInterrupted } from '../audit/interrupt.ts';
import { changedLine, newReviewLines } from './review-view.ts';

/** @param list of what is pending, with the cursor to go on from */
export async function watchReviews(
  command: HoopCommand,
  account: Account,
  { reviews, cursor }: ReviewList,
  mine: boolean,
): Promise<void> {
  const signal = untilInterrupted();
  const told = new Told();
  const tell = (review: ReviewSummary): void => {
    const news = told.take(review);
    if (news === 'nothing') return;
    if (command.jsonEnabled()) process.stdout.write(`${JSON.stringify(review)}\n`);
    else if (news === 'new') for (const line of newReviewLines(review)) command.print(line);
    else command.print(changedLine(review));
  };
  command.note('watching; Ctrl-C ends it');
  for (const review of reviews.toReversed()) tell(review);
  const trouble = (error: Error | null): void =>
    command.note(error === null ? '  watching again' : `  ${visible(error.message)}; trying again`);
  try {
    for await (const review of followReviews(account, cursor, { mine, signal, trouble })) tell(review);
  } catch (error) {
    // Stopped by the person: that is the orderly end.
    if (!signal.aborted) throw error;
  }
}

/** What the watcher has seen of each review, so that nothing is told twice (a list and a first change may overlap). */
class Told {
  readonly #seen = new Map<string, string>();

  take(review: ReviewSummary): 'new' | 'changed' | 'nothing' {
    const before = this.#seen.get(review.review);
    const now = `${review.state} ${review.decisions.length}`;
    if (before === now) return 'nothing';
    if (review.state === 'pending') this.#seen.set(review.review, now);
    else this.#seen.delete(review.review);
    // What was over before we heard of it is told in one line.
    return before === undefined && review.state === 'pending' ? 'new' : 'changed';
  }
}
