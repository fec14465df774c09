/**
 * Reviews in the relay's HTTP API. A command that policy holds waits until people of all needed groups approve it or one
 * entitled person rejects it. Rules as in `api.ts`: unknown keys in requests are refused, in answers ignored.
 *
 * - `GET /v1/reviews?state=pending&mine=true`: those that the caller may see (own requests, and those of sessions for which
 *   policy lets the caller `review`), newest first, at most 200.
 * - `GET /v1/reviews?after=CURSOR&wait=25`: what changed since the answer that gave the cursor, in order of change; waits up to
 *   that many seconds while there is nothing. An answer without reviews has a cursor too: ask again with it.
 * - `GET /v1/reviews/:id`: one, with the whole text. `:id` is the id or a prefix of at least 6 characters that is unique
 *   among those that the caller may see.
 * - `POST /v1/reviews/:id/decision` (whole id), body `SignedRequest` of `ReviewDecisionClaims`: answers the review as it is then.
 */
import { z } from 'zod';
import { effects } from '../model/command-facts.ts';
import { PrincipalView } from './api.ts';

const rfc3339 = z.iso.datetime({ offset: false, precision: 3 });
const ulid = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * `pending` → `approved` → `used`, or `pending` → `rejected`, `expired`. `withdrawn`: the client no longer waits (cancel,
 * disconnect, end of the session); may follow `approved` when it left at that very moment. Only `pending` can be decided.
 */
export const reviewStates = ['pending', 'approved', 'rejected', 'expired', 'withdrawn', 'used'] as const;
export const ReviewState = z.enum(reviewStates);
export type ReviewState = z.infer<typeof ReviewState>;

/** Query of `GET /v1/reviews`. */
export const ReviewQuery = z.strictObject({
  state: ReviewState.optional(),
  /** Only the caller's own requests. */
  mine: z.enum(['true', 'false']).optional(),
  after: z
    .string()
    .regex(/^\d{1,15}$/)
    .optional(),
  /** Seconds. */
  wait: z
    .string()
    .regex(/^([12]?\d|30)$/)
    .optional(),
});
export type ReviewQuery = z.infer<typeof ReviewQuery>;

export const ReviewDecisionView = z.object({
  reviewer: PrincipalView,
  decision: z.enum(['approve', 'reject']),
  reason: z.string().nullable(),
  decidedAt: rfc3339,
});

export const FactsView = z.object({
  effects: z.array(z.enum(effects).or(z.string())),
  relations: z.array(z.string()),
  functions: z.array(z.string()),
  programs: z.array(z.string()),
  paths: z.array(z.string()).default([]),
  destinations: z.array(z.string()).default([]),
});

/** Without the text, as lists have it. Every text in here was written by others: escape it before it reaches a terminal. */
export const ReviewSummary = z.object({
  review: ulid,
  state: ReviewState,
  session: ulid,
  requester: PrincipalView,
  target: z.string(),
  /** Of the session, as the requester gave them. */
  reason: z.string().nullable(),
  task: z.string().nullable(),
  facts: FactsView,
  /** Ids of the policies that ask for it. */
  policies: z.array(z.string()),
  /** `approvals`: people of the group who approved. A person counts in every group that they are in. */
  needed: z.array(z.object({ group: z.string(), count: z.int(), approvals: z.int() })),
  decisions: z.array(ReviewDecisionView),
  createdAt: rfc3339,
  expiresAt: rfc3339,
  /** Until then, for the clock of the receiver; 0 once it is over. */
  remainingMs: z.number().nonnegative(),
  /** First characters of the text; `excerptIsAll` when there is no more and there are no parameters. */
  excerpt: z.string(),
  excerptIsAll: z.boolean(),
  /** May the caller decide it now, and if not, why not (a code of docs/errors.md). */
  mayDecide: z.boolean(),
  mayNotDecideBecause: z.string().nullable(),
});
export type ReviewSummary = z.infer<typeof ReviewSummary>;

export const ReviewView = ReviewSummary.extend({
  /** As it is recorded: sensitive literals are masked. */
  text: z.string(),
  /** Base64 of its bytes when `text` does not hold them exactly. */
  textBytes: z.string().nullable(),
  /** Values of `$1`, `$2`, … as text; null: SQL null. Null as a whole: there are none. */
  parameters: z.array(z.string().nullable()).nullable(),
  /** What a decision binds: goes into the signed claims. */
  digest: sha256,
});
export type ReviewView = z.infer<typeof ReviewView>;

export const ReviewList = z.object({
  reviews: z.array(ReviewSummary),
  /** For `after` of the next call. */
  cursor: z.string(),
});
export type ReviewList = z.infer<typeof ReviewList>;

/** Signed by the reviewer's key, as `SessionKillClaims`; body of `POST /v1/reviews/:id/decision` (`SignedRequest`). */
export const ReviewDecisionClaims = z.strictObject({
  v: z.literal(1),
  action: z.literal('review.decide'),
  relay: z.url(),
  review: ulid,
  decision: z.enum(['approve', 'reject']),
  /** `ReviewView.digest` of what the reviewer was shown. */
  digest: sha256,
  /** Required to reject. */
  reason: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[^\p{Cc}]*$/u, 'control characters are not allowed')
    .optional(),
  iat: z.int(),
  jti: z.string().min(16).max(64),
});
export type ReviewDecisionClaims = z.infer<typeof ReviewDecisionClaims>;
