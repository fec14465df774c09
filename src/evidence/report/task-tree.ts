/**
 * Tasks: what the callers named with `--task` (or HOOP_TASK), across sessions, targets, people and agents. `deploy/db` is a
 * sub-task of `deploy`, which need not have sessions of its own. The name is the caller's word: it groups, and grants nothing.
 */

/** Deeper names stand below the last level that counts: names come from files, and trees are walked by recursion. */
const deepest = 16;

export interface TaskNode<Session> {
  readonly task: string;
  /** Of exactly this task, in order of their opening. */
  readonly sessions: readonly Session[];
  readonly subtasks: readonly TaskNode<Session>[];
}

interface GrowingNode<Session> {
  readonly task: string;
  readonly sessions: Session[];
  readonly subtasks: GrowingNode<Session>[];
}

export class TaskTree<Session> {
  readonly #nodes = new Map<string, GrowingNode<Session>>();
  readonly #roots: GrowingNode<Session>[] = [];

  add(task: string, session: Session): void {
    this.#node(task).sessions.push(session);
  }

  /** Tasks that are no sub-tasks, in the order in which they were first named. */
  get roots(): readonly TaskNode<Session>[] {
    return this.#roots;
  }

  /** With everything below it. */
  find(task: string): TaskNode<Session> | undefined {
    return this.#nodes.get(task);
  }

  #node(task: string): GrowingNode<Session> {
    const found = this.#nodes.get(task);
    if (found !== undefined) return found;
    const node = { task, sessions: [], subtasks: [] };
    this.#nodes.set(task, node);
    const parent = parentOf(task);
    (parent === null ? this.#roots : this.#node(parent).subtasks).push(node);
    return node;
  }
}

/** Null: it is no sub-task. */
function parentOf(task: string): string | null {
  const parts = task.split('/');
  const parent = parts.slice(0, Math.min(parts.length - 1, deepest)).join('/');
  return parent === '' ? null : parent;
}

/** Each node with its depth, parents first. */
export function* walk<Session>(
  nodes: readonly TaskNode<Session>[],
  depth = 0,
): Generator<{ readonly node: TaskNode<Session>; readonly depth: number }> {
  for (const node of nodes) {
    yield { node, depth };
    yield* walk(node.subtasks, depth + 1);
  }
}

/** Sessions of the task and of all its sub-tasks. */
export function sessionsBelow<Session>(node: TaskNode<Session>): Session[] {
  return [...walk([node])].flatMap(({ node: { sessions } }) => sessions);
}
