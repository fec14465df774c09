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
    const { task, session, kind } = event;
    if (task === null || session === null) return;
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

  /** The event of a command as a step of its task; null when it is none. Reviews as far as they were told. */
  step(event: EvidenceEvent): TaskStep | null {
    const { task, session, kind, principal } = event;
    if (kind !== 'command' || task === null || session === null) return null;
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
      review: this.#reviewOf(event.review),
    };
  }

  #reviewOf(id: string | null): TaskStep['review'] {
    const found = id === null ? undefined : this.#reviews.get(id);
    if (found === undefined) return null;
    const { review, outcome, requestedAt, endedAt, decisions } = found;
    return { review, outcome, requestedAt, endedAt, decisions };
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

/**
 * `tasks.json`: `{"v":1,"tasks":[TaskNode of TaskSession],"steps":[TaskStep]}`, steps in order of time; empty when nothing has
 * a task. The events are asked for twice, so that memory stays flat and a step comes with the review that followed it.
 */
export async function* tasksJson(
  events: () => AsyncIterable<EvidenceEvent> | Iterable<EvidenceEvent>,
): AsyncGenerator<string> {
  const history = new TaskHistory();
  for await (const event of events()) history.take(event);
  yield `{"v":1,"tasks":${JSON.stringify(history.tree)},"steps":[`;
  let before = '\n';
  for await (const event of events()) {
    const step = history.step(event);
    if (step === null) continue;
    yield `${before}${JSON.stringify(step)}`;
    before = ',\n';
  }
  yield '\n]}\n';
}
