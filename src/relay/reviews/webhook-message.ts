/**
 * What webhooks say of a review. Default deny here too: who, which target, which effects and relations; the command's text
 * only where the operator asked for it, cut, and without its literals.
 */
import { decodeText } from '../../evidence/read/postgres-content.ts';
import type { Principal } from '../../model/principal.ts';
import type { WebhookConfig } from '../config/config.ts';
import type { NewReview, StoredDecision } from '../state/reviews.ts';

export type ReviewOutcome = 'approved' | 'rejected' | 'expired' | 'withdrawn';

/** `outcome` null: it was requested just now. */
export interface ReviewNews {
  readonly review: NewReview;
  readonly outcome: ReviewOutcome | null;
  readonly by: StoredDecision | null;
  readonly relay: string;
  readonly timeMs: number;
}

const shownText = 500;
const shownRelations = 20;

/** The body of one message. */
export function messageBody(news: ReviewNews, { format, includeText }: WebhookConfig): string {
  return JSON.stringify(format === 'slack' ? slackBody(news, includeText) : jsonBody(news, includeText));
}

/** `{type, timestamp, data}`, as Standard Webhooks has it. */
function jsonBody({ review, outcome, by, relay, timeMs }: ReviewNews, includeText: boolean) {
  const { facts, needed, requester } = review;
  return {
    type: outcome === null ? 'review.requested' : `review.${outcome}`,
    timestamp: new Date(timeMs).toISOString(),
    data: {
      review: review.id,
      relay,
      session: review.session,
      target: review.target,
      requester: personOf(requester),
      reason: review.reason,
      task: review.task,
      effects: facts.effects,
      relations: facts.relations.slice(0, shownRelations),
      needed,
      expires: new Date(review.expiresAtMs).toISOString(),
      decidedBy: by === null ? null : personOf(by.reviewer),
      decisionReason: by?.reason ?? null,
      ...(includeText && { text: excerptOf(review) }),
    },
  };
}

const personOf = ({ issuer, subject, email, actsFor }: Principal) => ({
  issuer,
  subject,
  email,
  ...(actsFor !== null && {
    actsFor: { issuer: actsFor.issuer, subject: actsFor.subject, email: actsFor.email },
  }),
});
const nameOf = ({ email, subject }: Principal): string => email ?? subject;

/** https://docs.slack.dev/messaging/formatting-message-text */
function slackBody({ review, outcome, by }: ReviewNews, includeText: boolean) {
  const { facts, needed, id } = review;
  const who = plain(nameOf(review.requester));
  const what = facts.effects.length === 0 ? 'run a command' : plain(facts.effects.join(', '));
  const target = plain(review.target);
  const asked = `${who} asks to ${what} on ${target}`;
  const reason = by?.reason == null ? '' : `: ${plain(by.reason)}`;
  const text =
    outcome === null
      ? `Review requested: ${asked}`
      : `Review ${outcome}${by === null ? '' : ` by ${plain(nameOf(by.reviewer))}`}${reason} (${asked})`;
  if (outcome !== null) return { text, blocks: [section(text)] };
  const groups = needed.map(({ group, count }) => `${plain(group)} (${count})`).join(', ');
  const relations = facts.relations.slice(0, shownRelations).map(plain).join(', ');
  const lines = [
    ...(relations === '' ? [] : [`*Relations* ${relations}`]),
    ...(review.reason === null ? [] : [`*Reason* ${plain(review.reason)}`]),
    ...(review.task === null ? [] : [`*Task* ${plain(review.task)}`]),
    `*Needs* ${groups}`,
    `*Until* ${new Date(review.expiresAtMs).toISOString()}`,
  ];
  const code = includeText ? [section(`\`\`\`${plain(excerptOf(review))}\`\`\``)] : [];
  const commands = `\`hoop reviews show ${id}\`\n\`hoop approve ${id}\``;
  return { text, blocks: [section(`*${text}*`), section(lines.join('\n')), ...code, section(commands)] };
}

/** Slack takes 3,000 characters in a section. */
const section = (text: string) => ({ type: 'section', text: { type: 'mrkdwn', text: text.slice(0, 2900) } });

/** Nothing that a person or a client wrote becomes a mention, a link or a format. */
const plain = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replace(/[`*_~]/g, (mark) => `\u200b${mark}`)
    .slice(0, 600);

function excerptOf(review: NewReview): string {
  const { text } = decodeText(review.text, review.encoding);
  const without = withoutLiterals(text.slice(0, 16 * shownText)).trim();
  return without.length > shownText ? `${without.slice(0, shownText)}…` : without;
}

/**
 * SQL with `?` for what stands in quotes, for numbers and for whatever an unclosed quote leaves open, and without comments.
 * The reading of a quote depends on settings that are not known here: a backslash is taken as escaping, so a literal may end
 * late but never early.
 */
export function withoutLiterals(sql: string): string {
  const pieces =
    /--[^\n]*|\/\*[^]*?(?:\*\/|$)|"(?:[^"]|"")*(?:"|$)|'(?:[^'\\]|''|\\[^])*(?:'|$)|\$(\w*)\$[^]*?(?:\$\1\$|$)|[\p{L}_$][\p{L}\p{N}_$]*|\d[\w.]*/gu;
  return sql.replace(pieces, (piece) => {
    if (piece.startsWith('--') || piece.startsWith('/*')) return ' ';
    if (piece.startsWith("'") || /^\$\w*\$/.test(piece) || /^\d/.test(piece)) return '?';
    return piece;
  });
}
