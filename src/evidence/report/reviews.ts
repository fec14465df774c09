/** Reviews, each put together from what the history says about it. */
import { z } from 'zod';
import type { EvidenceEvent } from '../read/event.ts';
import { namedOf, type Named } from './person.ts';

export interface ReviewDecision {
  readonly by: Named | null;
  readonly decision: 'approve' | 'reject';
  readonly time: string;
  readonly reason: string | null;
  /** Needed groups for which the reviewer spoke. */
  readonly groups: readonly string[];
}

/** Null: not known, because it happened outside the range that was asked for. */
export interface ReviewSummary {
  readonly review: string;
  readonly session: string | null;
  readonly target: string | null;
  readonly task: string | null;
  readonly connection: number | null;
  readonly command: number | null;
  /** Of the held command, shortened. */
  readonly text: string | null;
  readonly effects: readonly string[];
  readonly by: Named | null;
  readonly requestedAt: string | null;
  readonly needed: readonly { readonly group: string; readonly count: number }[];
  readonly decisions: readonly ReviewDecision[];
  /** Attempts to decide that were refused. */
  readonly refused: number;
  /** `pending`: the range ends before its end. */
  readonly outcome: 'pending' | 'approved' | 'rejected' | 'expired' | 'withdrawn';
  readonly endedAt: string | null;
  /** From the request to the end. */
  readonly seconds: number | null;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const Requested = z.object({ needed: z.array(z.object({ group: z.string(), count: z.number() })) });
const Decided = z.object({ decision: z.enum(['approve', 'reject']), groups: z.array(z.string()) });
const Outcome = z.enum(['approved', 'rejected', 'expired', 'withdrawn']);

/** Memory grows with the number of reviews. */
export class ReviewHistory {
  readonly #reviews = new Map<string, Mutable<ReviewSummary>>();

  take(event: EvidenceEvent): void {
    const { kind, review, time } = event;
    if (review === null || kind === 'command') return;
    const summary = this.#summary(review, event);
    if (kind === 'command.held') {
      summary.connection = event.connection;
      summary.command = event.command;
      summary.text = shortened(event.text);
      summary.by = event.principal && namedOf(event.principal);
    } else if (kind === 'review.requested') {
      summary.requestedAt = time;
      summary.effects = event.effects ?? [];
      summary.by = event.principal && namedOf(event.principal);
      summary.needed = Requested.safeParse(event.details).data?.needed ?? [];
    } else if (kind === 'review.decided') decide(summary, event);
    else if (kind === 'review.ended') end(summary, event);
    else if (kind === 'review.refused') summary.refused++;
  }

  /** In the order in which they were first told of. */
  all(): ReviewSummary[] {
    return [...this.#reviews.values()];
  }

  get(review: string): ReviewSummary | undefined {
    return this.#reviews.get(review);
  }

  #summary(review: string, { session, target, task }: EvidenceEvent): Mutable<ReviewSummary> {
    let summary = this.#reviews.get(review);
    if (summary === undefined) {
      summary = { ...nothing, review, session, target, task };
      this.#reviews.set(review, summary);
    }
    return summary;
  }
}

const nothing = {
  connection: null,
  command: null,
  text: null,
  effects: [],
  by: null,
  requestedAt: null,
  needed: [],
  decisions: [],
  refused: 0,
  outcome: 'pending',
  endedAt: null,
  seconds: null,
} satisfies Partial<ReviewSummary>;

function decide(summary: Mutable<ReviewSummary>, event: EvidenceEvent): void {
  const said = Decided.safeParse(event.details);
  if (!said.success) return;
  const by = event.principal && namedOf(event.principal);
  summary.decisions = [...summary.decisions, { by, ...said.data, time: event.time, reason: event.reason }];
  end(summary, event);
}

/** A decision ends the review when it was the last one that was needed. */
function end(summary: Mutable<ReviewSummary>, { outcome, time }: EvidenceEvent): void {
  const ended = Outcome.safeParse(outcome);
  if (!ended.success) return;
  summary.outcome = ended.data;
  summary.endedAt = time;
  if (summary.requestedAt !== null)
    summary.seconds = (Date.parse(time) - Date.parse(summary.requestedAt)) / 1000;
}

const longest = 300;

/** White space as one blank, so that it fits a line; `…` says that something was left out. */
export function shortened(text: string | null): string | null {
  if (text === null) return null;
  const line = text
    .slice(0, 4 * longest)
    .replaceAll(/\s+/g, ' ')
    .trim();
  if (line.length <= longest && text.length <= 4 * longest) return line;
  return `${line.slice(0, longest).toWellFormed()}…`;
}
