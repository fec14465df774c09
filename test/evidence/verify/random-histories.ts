/** Random histories, each through the real recorder and log, in which verification must find nothing. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { TestLogin } from './fixture.ts';
import { RecordedHistory, type LiveSession } from './recorded-history.ts';

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('command' as const), masked: fc.boolean() }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'bulk' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('review' as const),
      end: fc.constantFrom('approve' as const, 'reject' as const, 'expire' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), torn: fc.nat(14) }) },
  { weight: 4, arbitrary: fc.constant({ kind: 'open' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('keep' as const),
      act: fc.constantFrom('hold' as const, 'release' as const, 'erase' as const, 'erase originals' as const),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constantFrom('close', 'kill', 'sign in', 'read', 'publish', 'later', 'rotate'),
    }),
  },
);
/** What is done, and to which of the sessions and people that there are. */
const steps = fc.array(fc.tuple(step, fc.nat(), fc.nat()), { maxLength: 40, size: 'max' });
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function take(
  history: RecordedHistory,
  what: Step,
  {
    session,
    over,
    person,
    people,
  }: {
    session: LiveSession | undefined;
    over: LiveSession | undefined;
    person: TestLogin;
    people: TestLogin[];
  },
): Promise<void> {
  const { fixture } = history;
  switch (what.kind) {
    case 'open':
      await history.open(person);
      return;
    case 'sign in':
      people.push(await fixture.signIn(`p${people.length}`, ['dba-leads']));
      return;
    case 'read':
      return fixture.read(person);
    case 'publish':
      await fixture.log.checkpoint();
      return;
    case 'later':
      fixture.clock.ms += 86_400_000;
      return;
    case 'rotate':
      return history.rotate();
    case 'keep':
      if (over !== undefined) await history.keep(what.act, over);
      return;
    case 'crash':
      return history.crash(what.torn);
  }
  if (session === undefined) return;
  switch (what.kind) {
    case 'command':
      history.command(session, `select ${session.commands}`, { masked: what.masked });
      return;
    case 'bulk':
      for (let i = 0; i < 5; i++) history.command(session, 'table big', { rowBytes: 250_000 });
      return;
    case 'review': {
      const reviewer = people.find((each) => each.actor.subject !== session.by.actor.subject)!;
      return history.review(session, `delete from t${session.commands}`, what.end, reviewer);
    }
    case 'close':
      return history.close(session);
    case 'kill':
      return history.kill(session, person);
  }
}

/** @returns how many sessions there were in all of them, and how many segments of them were erased */
export async function checkRandomHistories(
  numRuns: number,
): Promise<{ readonly sessions: number; readonly erased: number }> {
  let [sessions, erased] = [0, 0];
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      await using history = await RecordedHistory.create();
      const people = [
        await history.fixture.signIn('ana', ['dba-leads']),
        await history.fixture.signIn('ben', ['dba-leads']),
      ];
      for (const [what, which, who] of all) {
        const session = history.live[which % Math.max(1, history.live.length)];
        const over = history.over[which % Math.max(1, history.over.length)];
        await take(history, what, { session, over, person: people[who % people.length]!, people });
      }
      await history.finish();
      const report = await history.fixture.verify();
      assert.deepEqual(report.findings, []);
      sessions += report.counts.sessions;
      erased += report.counts.erased.segments;
    }),
    { numRuns, endOnFailure: true },
  );
  return { sessions, erased };
}
