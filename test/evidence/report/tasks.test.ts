import { test } from 'node:test';
import assert from 'node:assert/strict';
import { isWithinTask } from '../../../src/evidence/read/filter.ts';
import type { EvidenceEvent } from '../../../src/evidence/read/event.ts';
import { TaskHistory, tasksJson } from '../../../src/evidence/report/index.ts';
import { namedOf } from '../../../src/evidence/report/person.ts';
import { sessionsBelow, TaskTree, walk, type TaskNode } from '../../../src/evidence/report/task-tree.ts';
import type { TaskSession, TaskStep } from '../../../src/evidence/report/tasks.ts';
import { ana, event, history, lea, robot } from './events.ts';

async function document(events: readonly EvidenceEvent[]) {
  let text = '';
  const whole = new TaskHistory();
  for (const each of events) whole.take(each);
  const steps = events.flatMap((each) => whole.step(each) ?? []).map((step) => JSON.stringify(step));
  const lines = steps.length === 0 ? '' : `\n${steps.join(',\n')}`;
  for await (const piece of tasksJson(whole, [Buffer.from(lines)])) text += String(piece);
  return JSON.parse(text) as { v: number; tasks: TaskNode<TaskSession>[]; steps: TaskStep[] };
}

test('a task has its sessions, whose they are and for whom, its steps with their reviews, and its sub-tasks', async () => {
  const { v, tasks, steps } = await document(history);
  assert.equal(v, 1);
  assert.deepEqual(
    [...walk(tasks)].map(({ node, depth }) => [depth, node.task, node.sessions.map(({ by }) => by)]),
    [
      [0, 'move', [namedOf(ana)]],
      [1, 'move/copy', [namedOf(robot)]],
    ],
  );
  const [session] = tasks[0]!.sessions;
  assert.deepEqual(session, {
    session: '01JD0000000000000000000001',
    target: 'db-prod',
    by: namedOf(ana),
    reason: 'ticket 7',
    openedAt: history[2]!.time,
    closedAt: history.at(-1)!.time,
    outcome: 'ended',
    commands: { succeeded: 2 },
    redactions: 2,
    killed: null,
  });
  assert.equal(tasks[0]!.subtasks[0]!.sessions[0]!.outcome, null);
  assert.deepEqual(
    steps.map(({ task, by, text, outcome, result }) => [task, by?.subject, text, outcome, result]),
    [
      ['move', 'ana', 'select 1', 'succeeded', 'SELECT 1'],
      ['move', 'ana', 'delete from t', 'succeeded', 'SELECT 1'],
      ['move/copy', 'robot', 'cp a b', 'failed', 'exit 1'],
    ],
  );
  // The command's event comes before those of its review, and has them all the same.
  assert.deepEqual(steps[1]!.review, {
    review: '01JD0000000000000000000009',
    outcome: 'approved',
    requestedAt: history[7]!.time,
    endedAt: history[9]!.time,
    decisions: [
      { by: namedOf(lea), decision: 'approve', groups: ['leads'], time: history[9]!.time, reason: 'agreed' },
    ],
  });
  assert.equal(steps[0]!.review, null);
});

test('without tasks the document is empty; a killed session says by whom; a range may begin in the middle', async () => {
  assert.deepEqual(await document([]), { v: 1, tasks: [], steps: [] });
  const of = { session: 's', task: 't', target: 'db' };
  const { tasks, steps } = await document([
    event('command', 1, { ...of, principal: robot, outcome: 'cancelled' }),
    event('session.killed', 2, { ...of, principal: lea, reason: 'enough' }),
  ]);
  const [session] = tasks[0]!.sessions;
  assert.deepEqual([session?.openedAt, session?.by], [null, namedOf(robot)]);
  assert.deepEqual(session?.killed, {
    by: namedOf(lea),
    operator: null,
    time: event('', 2).time,
    reason: 'enough',
  });
  assert.equal(steps.length, 1);
});

test('names make the tree: parents without sessions of their own, and any name that a file can hold', () => {
  const tree = new TaskTree<number>();
  for (const [at, task] of ['a/b/c', 'a', 'x/', '/y', 'a//d', `${'z/'.repeat(30_000)}z`].entries())
    tree.add(task, at);
  assert.deepEqual(
    [...walk(tree.roots)]
      .filter(({ node }) => !node.task.startsWith('z'))
      .map(({ node, depth }) => [depth, node.task]),
    [
      [0, 'a'],
      [1, 'a/b'],
      [2, 'a/b/c'],
      [1, 'a/'],
      [2, 'a//d'],
      [0, 'x'],
      [1, 'x/'],
      [0, '/y'],
    ],
  );
  assert.deepEqual(sessionsBelow(tree.find('a')!).toSorted(), [0, 1, 4]);
  assert.ok(Math.max(...[...walk(tree.roots)].map(({ depth }) => depth)) <= 17);
});

test('a task has its sub-tasks with it, and no other that only begins alike', () => {
  assert.deepEqual(
    ['a', 'a/b', 'ab', 'b/a', null].map((task) => isWithinTask(task, 'a')),
    [true, true, false, false, false],
  );
});
