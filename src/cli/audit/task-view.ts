/** Tasks for people: a list, and one of them as a tree. */
import type { EvidenceEvent } from '../../evidence/read/event.ts';
import type { SessionSummaryView } from '../../wire/audit.ts';
import { sessionsBelow, TaskTree, walk, type TaskNode } from '../../evidence/report/task-tree.ts';
import { TaskHistory, type TaskSession, type TaskStep } from '../../evidence/report/tasks.ts';
import { tally } from '../../evidence/report/sample.ts';
import { shortened } from '../../evidence/report/reviews.ts';
import { colour, visible } from '../colour.ts';
import { nameOf } from '../person.ts';
import { countsOf, killerOf, nameOrRelay } from './access-report.ts';

/** One task, with all its sub-tasks. */
export interface TaskSummary {
  readonly task: string;
  readonly sessions: number;
  readonly commands: number;
  /** Names of people, and of agents with the person for whom they act. */
  readonly people: readonly string[];
  readonly targets: readonly string[];
  readonly openedAt: string;
  /** Null: a session of it is open. */
  readonly closedAt: string | null;
  /** Sessions by how they ended. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** Each task before its sub-tasks. */
export function taskSummaries(sessions: readonly SessionSummaryView[]): TaskSummary[] {
  const tree = new TaskTree<SessionSummaryView>();
  for (const session of sessions) if (session.task !== null) tree.add(session.task, session);
  return [...walk(tree.roots)].map(({ node }) => summaryOf(node));
}

function summaryOf(node: TaskNode<SessionSummaryView>): TaskSummary {
  const all = sessionsBelow(node);
  const closed = all.map(({ closedAt }) => closedAt);
  const outcomes: Record<string, number> = {};
  for (const { outcome } of all) tally(outcomes, outcome);
  return {
    task: node.task,
    sessions: all.length,
    commands: all.reduce((sum, { totals }) => sum + totals.commands, 0),
    people: unique(all.map(({ principal }) => nameOf(principal))),
    targets: unique(all.map(({ target }) => target)),
    openedAt: all.map(({ openedAt }) => openedAt).toSorted()[0]!,
    closedAt: closed.includes(null) ? null : closed.toSorted().at(-1)!,
    outcomes,
  };
}

const unique = (names: readonly string[]): string[] => [...new Set(names)];

/** A task as it was read: its history, and the commands that are shown. */
export class TaskReading {
  readonly history = new TaskHistory();
  readonly #most: number;
  readonly #commands: EvidenceEvent[] = [];
  readonly #kept = new Map<string, number>();

  /** @param most commands of each session that are kept; their number is known in any case */
  constructor(most: number) {
    this.#most = most;
  }

  take(event: EvidenceEvent): void {
    this.history.take(event);
    if (event.kind !== 'command' || event.session === null) return;
    const kept = this.#kept.get(event.session) ?? 0;
    if (kept >= this.#most) return;
    this.#kept.set(event.session, kept + 1);
    this.#commands.push(event);
  }

  /** In order of time. Asked for at the end, when reviews are over. */
  steps(): TaskStep[] {
    return this.#commands.flatMap((command) => this.history.step(command) ?? []);
  }
}

/** Commands of one session that the tree shows; `hoop audit show` has the others. */
export const shownSteps = 200;

/** task → sessions → commands, then the sub-tasks, each a step further in. */
export function* treeLines(node: TaskNode<TaskSession>, reading: TaskReading): Generator<string> {
  const steps = Map.groupBy(reading.steps(), ({ session }) => session);
  for (const { node: each, depth } of walk([node])) {
    const indent = '  '.repeat(depth);
    const all = sessionsBelow(each);
    const counts: Record<string, number> = {};
    for (const { commands } of all)
      for (const [outcome, count] of Object.entries(commands)) tally(counts, outcome, count);
    const sessions = `${all.length} ${all.length === 1 ? 'session' : 'sessions'}`;
    yield `${indent}${colour.bold(visible(each.task))}  ${sessions}${said(countsOf(counts))}`;
    for (const session of each.sessions) {
      yield `${indent}  ${sessionLine(session)}`;
      const shown = steps.get(session.session) ?? [];
      for (const step of shown) for (const line of stepLines(step)) yield `${indent}    ${line}`;
      const more = Object.values(session.commands).reduce((sum, count) => sum + count, 0) - shown.length;
      if (more > 0) yield `${indent}    … and ${more} more: hoop audit show ${visible(session.session)}`;
    }
  }
}

const said = (text: string | null): string => (text === null ? '' : `, ${visible(text)}`);

function sessionLine({ session, target, by, openedAt, outcome, killed, reason }: TaskSession): string {
  const end =
    killed === null
      ? (outcome ?? 'open')
      : `killed by ${killerOf(killed)}${killed.reason === null ? '' : `: ${killed.reason}`}`;
  const why = reason === null ? '' : `  (${reason})`;
  const parts = [openedAt ?? '?', nameOrRelay(by), `at ${target ?? '?'}`, end];
  return `${colour.dim(visible(session))}  ${visible(parts.join('  '))}${visible(why)}`;
}

function* stepLines(step: TaskStep): Generator<string> {
  const { command, time, outcome, result, text, how, redactions, review } = step;
  const mark = outcome === 'succeeded' ? colour.green('✓') : colour.red(outcome === 'blocked' ? '⊘' : '✗');
  const notes = [
    how === 'reconstructed' ? '(reconstructed)' : null,
    redactions > 0 ? `masked ${redactions}` : null,
  ].filter((note) => note !== null);
  const end = [outcome, result].filter((part) => part !== null).join(' ');
  yield `${mark} ${command ?? '?'}  ${time}  ${visible(end)}  ${visible(shortened(text) ?? '')}${colour.dim(notes.map((note) => `  ${note}`).join(''))}`;
  if (review === null) return;
  yield colour.dim(`    review ${visible(review.review)}  ${review.outcome}`);
  for (const { by, decision, time: at, reason } of review.decisions)
    yield colour.dim(
      `      ${decision === 'approve' ? 'approved' : 'rejected'} by ${nameOrRelay(by)}  ${visible(at)}${reason === null ? '' : `  ${visible(reason)}`}`,
    );
}
