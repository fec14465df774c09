/** `hoop approve` and `hoop reject`: what is decided is shown, and its digest is what the key signs. */
import { decideReview, findReview } from '../../agent/review-client.ts';
import type { Account } from '../../agent/account.ts';
import type { ReviewView } from '../../wire/reviews.ts';
import { colour, visible } from '../colour.ts';
import type { HoopCommand } from '../command.ts';
import { nameOf } from '../person.ts';
import { factLines } from '../policy/explanation.ts';
import { textSurface } from '../sql-text.ts';
import { commandLines } from './review-view.ts';

export interface Decision {
  readonly decision: 'approve' | 'reject';
  readonly reason: string | null;
}

/** Lines of the text that are shown again; the reviewer has seen it whole. */
const shownLines = 20;

/** @returns the review as it is after the decision */
export async function decide(
  command: HoopCommand,
  account: Account,
  id: string,
  { decision, reason }: Decision,
): Promise<ReviewView> {
  const review = await findReview(account, id);
  command.print(`  ${nameOf(review.requester)} → ${visible(review.target)}`);
  const lines = [...commandLines(review, textSurface())];
  for (const line of lines.slice(0, shownLines)) command.print(line);
  if (lines.length > shownLines)
    command.print(`  … ${lines.length - shownLines} more lines: hoop reviews show ${review.review}`);
  for (const line of factLines(review.facts)) command.print(line);
  const decided = await decideReview(account, review, decision, reason);
  command.print(`  ${sentence(decided, decision)}`);
  return decided;
}

function sentence({ state, needed, review }: ReviewView, decision: Decision['decision']): string {
  if (decision === 'reject') return colour.red(`Rejected ${review}`);
  const missing = needed.filter(({ approvals, count }) => approvals < count);
  if (state !== 'pending' || missing.length === 0)
    return colour.green(`Approved ${review}: the command runs`);
  const still = missing.map(({ group, approvals, count }) => `${visible(group)} (${count - approvals})`);
  return colour.yellow(`Approved ${review}; it still needs ${still.join(', ')}`);
}
