/** What happened in tasks: the sessions of each, and their steps with identity, time, result and review. */
import type { EvidenceEvent } from '../read/event.ts';
import { killOf, type Kill } from './kills.ts';
import { namedOf, type Named } from './person.ts';
import { ReviewHistory, type ReviewDecision, type ReviewSummary } from './reviews.ts';
import { tally } from './sample.ts';
import { TaskTree, type TaskNode } from './task-tree.ts';

/** One session of a task. Null: outside the range that was asked for. */
export interface TaskSession {
  readonly session: string;
  readonly target: string | null;
  /** Who, and for whom. */
  readonly by: Named | null;
  readonly reason: string | null;
  readonly openedAt: string | null;
  readonly closedAt: string | null;
  /** How it ended; null: it has not, as far as is known. */
  readonly outcome: string | null;
  /** Commands by outcome. */
  readonly commands: Readonly<Record<string, number>>;
  readonly redactions: number;
  /** Who ended it, when it was not whoever opened it. */
  readonly killed: Kill | null;
}

/** One command of a task. */
export interface TaskStep {
  readonly task: string;
  readonly session: string;
  readonly target: string | null;
  readonly by: Named | null;
  readonly connection: number | null;
  readonly command: number | null;
  /** The command that it was typed into; `how` it became known. */
  readonly parent: number | null;
  readonly how: EvidenceEvent['how'];
  readonly time: string;
  readonly endedAt: string | null;
  readonly durationMs: number | null;
  readonly text: string | null;
  readonly outcome: string | null;
  /** The error's code, else what the target said (`SELECT 3`, `exit 0`). */
  readonly result: string | null;
  readonly effects: readonly string[];
  readonly redactions: number;
  readonly review:
    | (Pick<ReviewSummary, 'review' | 'outcome' | 'requestedAt' | 'endedAt'> & {
        readonly decisions: readonly ReviewDecision[];
      })
    | null;
}

type Growing = { -readonly [K in keyof TaskSession]: TaskSession[K] } & {
  commands: Record<string, number>;
};

/** Memory grows with sessions and reviews, not with commands. Events without a task are none of its business. */
export class TaskHistory {
  readonly #tree = new TaskTree<TaskSession>();
  readonly #sessions = new Map<string, Growing>();
  readonly #reviews = new ReviewHistory();

  take(event: EvidenceEvent): void {
    if (!isOfTask(event)) return;
    const { task, session, kind } = event;
    this.#reviews.take(event);
    const of = this.#session(task, session, event);
    of.killed = killOf(event) ?? of.killed;
    if (kind === 'session.opened') {
      of.openedAt = event.time;
      of.reason = event.reason;
      of.by = event.principal && namedOf(event.principal);
    } else if (kind === 'session.closed') {
      of.closedAt = event.time;
      of.outcome = event.outcome;
    } else if (kind === 'command') {
      of.by ??= event.principal && namedOf(event.principal);
      tally(of.commands, event.outcome ?? 'unfinished');
      of.redactions += event.redactions ?? 0;
    }
  }

  get tree(): readonly TaskNode<TaskSession>[] {
    return this.#tree.roots;
  }

  find(task: string): TaskNode<TaskSession> | undefined {
    return this.#tree.find(task);
  }

  /** As `stepOf`, with reviews as far as they were told. */
  step(event: EvidenceEvent): TaskStep | null {
    return stepOf(event, this.#reviews);
  }

  #session(task: string, session: string, { target }: EvidenceEvent): Growing {
    let of = this.#sessions.get(session);
    if (of === undefined) {
      const unknown = { by: null, reason: null, openedAt: null, closedAt: null, outcome: null, killed: null };
      of = { session, target, ...unknown, commands: {}, redactions: 0 };
      this.#sessions.set(session, of);
      this.#tree.add(task, of);
    }
    return of;
  }
}

type OfTask = EvidenceEvent & { readonly task: string; readonly session: string };

/** Other events are no task's business. */
export const isOfTask = (event: EvidenceEvent): event is OfTask =>
  event.task !== null && event.session !== null;

/** The event of a command as a step of its task; null when it is none. */
export function stepOf(event: EvidenceEvent, reviews: ReviewHistory): TaskStep | null {
  if (event.kind !== 'command' || !isOfTask(event)) return null;
  const { task, session, principal } = event;
  const { target, connection, command, parent, how, time, endedAt, durationMs, text, outcome } = event;
  return {
    task,
    session,
    target,
    connection,
    command,
    parent,
    how,
    time,
    endedAt,
    durationMs,
    text,
    outcome,
    by: principal && namedOf(principal),
    result: event.errorCode ?? event.tag,
    effects: event.effects ?? [],
    redactions: event.redactions ?? 0,
    review: reviewOf(event.review, reviews),
  };
}

function reviewOf(id: string | null, reviews: ReviewHistory): TaskStep['review'] {
  const found = id === null ? undefined : reviews.get(id);
  if (found === undefined) return null;
  const { review, outcome, requestedAt, endedAt, decisions } = found;
  return { review, outcome, requestedAt, endedAt, decisions };
}

/**
 * `tasks.json`: `{"v":1,"tasks":[TaskNode of TaskSession],"steps":[TaskStep]}`, steps in order of time; empty when nothing has
 * a task.
 * @param history has taken all events
 * @param steps a line each, a comma and a newline between them, a newline before the first
 */
export async function* tasksJson(
  history: TaskHistory,
  steps: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`{"v":1,"tasks":${JSON.stringify(history.tree)},"steps":[`);
  yield* steps;
  yield Buffer.from('\n]}\n');
}
