/** Reviews for people. Everything in them was written by others; nothing reaches the terminal as it came. */
import type { ReviewSummary, ReviewView } from '../../wire/reviews.ts';
import { colour, visible } from '../colour.ts';
import { nameOf } from '../person.ts';
import { factLines } from '../policy/explanation.ts';
import { hasForeignNames, plainLines, sqlExcerpt, sqlLines } from '../sql-text.ts';
import type { TextSurface } from '../sql-text.ts';
import { timeOfDay } from '../time.ts';

export const reviewHeads = [
  'review',
  'state',
  'person',
  'target',
  'effects',
  'needs',
  'until',
  'command',
] as const;

export function reviewRow(review: ReviewSummary): string[] {
  return [
    review.review,
    review.state,
    nameOf(review.requester),
    review.target,
    review.facts.effects.join(', '),
    review.needed.map(({ group, count, approvals }) => `${group} ${approvals}/${count}`).join(', '),
    timeOfDay(new Date(review.expiresAt)),
    sqlExcerpt(review.excerpt, review.excerptIsAll),
  ];
}

/** A review with all that a decision needs: the whole text last but for what to do. */
export function* reviewLines(review: ReviewView, surface: TextSurface): Generator<string> {
  yield* factsOfReview(review);
  yield* commandLines(review, surface);
  yield '';
  yield* nextLines(review);
}

const fact = (name: string, value: string): string => `  ${name.padEnd(10)} ${value}`;

function* factsOfReview(review: ReviewSummary): Generator<string> {
  const { issuer, subject, groups } = review.requester;
  yield fact('review', `${review.review}  ${stateOf(review)}`);
  yield fact('person', `${nameOf(review.requester)} (${visible(groups.join(', ')) || 'no groups'})`);
  yield fact('', visible(`${issuer}#${subject}`));
  yield fact('target', visible(review.target));
  yield fact('reason', review.reason === null ? colour.dim('none given') : visible(review.reason));
  if (review.task !== null) yield fact('task', visible(review.task));
  yield fact('session', review.session);
  yield fact('held by', visible(review.policies.join(', ')));
  yield fact('needs', review.needed.map(needOf).join(', '));
  for (const { reviewer, decision, reason, decidedAt } of review.decisions) {
    const said = reason === null ? '' : `: ${visible(reason)}`;
    const verb = decision === 'approve' ? 'approved' : 'rejected';
    yield fact('', `${nameOf(reviewer)} ${verb} at ${timeOfDay(new Date(decidedAt))}${said}`);
  }
  yield fact('until', timeOfDay(new Date(review.expiresAt)));
  for (const line of factLines(review.facts)) yield line.slice(2);
  yield '';
}

const needOf = ({ group, count, approvals }: ReviewSummary['needed'][number]): string =>
  `${visible(group)} (${approvals} of ${count})`;

const stateColours = {
  pending: colour.yellow,
  approved: colour.green,
  used: colour.green,
  rejected: colour.red,
  expired: colour.dim,
  withdrawn: colour.dim,
} as const;
export const stateOf = ({ state }: Pick<ReviewSummary, 'state'>): string => stateColours[state](state);

/** The command itself: its text and the values of its parameters. */
export function* commandLines(
  { text, textBytes, parameters }: ReviewView,
  surface: TextSurface,
): Generator<string> {
  yield* sqlLines(text, surface);
  for (const [index, value] of (parameters ?? []).entries()) {
    yield `  ${colour.cyan(`$${index + 1}`)}`;
    if (value === null) yield `    ${colour.dim('NULL')}`;
    else yield* plainLines(value, surface);
  }
  if (textBytes !== null)
    yield colour.yellow('  not all of it can be read as text; --json has its bytes (textBytes)');
  if (hasForeignNames(text))
    yield colour.yellow('  names with letters that are not ASCII: they may look like others');
}

/** What can be done now, and by whom. */
export function* nextLines(review: ReviewSummary): Generator<string> {
  if (review.state !== 'pending') return;
  if (review.mayDecide) {
    yield `  hoop approve ${review.review}`;
    yield `  hoop reject ${review.review} --reason "…"`;
  } else yield `  ${colour.dim(reasons[review.mayNotDecideBecause ?? ''] ?? 'you may not decide on it')}`;
}

const reasons: Readonly<Record<string, string>> = {
  'review-own-request': 'your own request: somebody else decides on it',
  'review-denied': 'you are in none of the groups that it needs, or no policy lets you review there',
  'review-decided-before': 'you have decided on it; it waits for others',
  'review-expired': 'its time is over',
};

/** One that has just come, for who watches. */
export function* newReviewLines(review: ReviewSummary): Generator<string> {
  const { effects } = review.facts;
  const why = review.reason === null ? '' : ` · ${visible(review.reason)}`;
  yield `${colour.bold(review.review)}  ${nameOf(review.requester)} → ${visible(review.target)}${why}`;
  yield `  ${visible(effects.join(', '))} · needs ${review.needed.map(needOf).join(', ')} · until ${timeOfDay(new Date(review.expiresAt))}`;
  yield `  ${sqlExcerpt(review.excerpt, review.excerptIsAll, 200)}`;
  yield `  hoop reviews show ${review.review}`;
  yield* nextLines(review);
}

/** One that changed, for who watches. */
export function changedLine(review: ReviewSummary): string {
  const last = review.decisions.at(-1);
  const by =
    last === undefined || review.state === 'expired' || review.state === 'withdrawn'
      ? ''
      : ` · ${nameOf(last.reviewer)}`;
  const left = review.state === 'pending' ? ` · needs ${review.needed.map(needOf).join(', ')}` : '';
  return `${colour.bold(review.review)}  ${stateOf(review)}${by}${left}`;
}
