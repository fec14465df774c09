/** Reviews in both databases, over two connections: one last word, no change lost, nothing decided that is over. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LoginId, SessionId, TargetName } from '../../../src/model/ids.ts';
import type { NewDecision, NewReview, ReviewFilter } from '../../../src/relay/state/reviews.ts';
import { State } from '../../../src/relay/state/state.ts';
import { ulid } from '../../../src/system/ulid.ts';
import { postgresMissing, startPostgres, type PostgresServer } from '../../support/postgres.ts';
import { ShiftedClock } from '../idp/relay.ts';

const person = (subject: string) => ({
  kind: 'person' as const,
  issuer: 'https://idp.example',
  subject,
  email: null,
  groups: ['dba-leads'],
  actsFor: null,
});
const decision = (subject: string, changes: Partial<NewDecision> = {}): NewDecision => ({
  reviewer: person(subject),
  login: '01JD0000000000000000000009' as LoginId,
  decision: 'approve',
  reason: null,
  request: 'a.b.c',
  ...changes,
});
const idsOf = async (state: State, filter: ReviewFilter) =>
  (await state.reviews.list(filter)).map(({ id }) => id);
const everything = { state: null, requester: null };

/**
 * `rivals`: who does things at once. Two connections to PostgreSQL; one to SQLite, which answers in the caller's own thread, so
 * that two in one process would wait for each other.
 */
function contract(locate: () => string, rivals: (state: State, twin: State) => [State, State]): void {
  const clock = new ShiftedClock();
  let state: State;
  let twin: State;
  let [one, two]: State[] = [];
  before(async () => {
    state = await State.open(locate(), { clock });
    twin = await State.open(locate(), { clock });
    [one, two] = rivals(state, twin);
  });
  after(async () => {
    await state.close();
    await twin.close();
  });

  const newReview = (changes: Partial<NewReview> = {}): NewReview => ({
    id: ulid(clock.wallMs()),
    session: ulid(clock.wallMs()) as SessionId,
    processId: 'one',
    requester: { ...person('ana'), email: 'ana@example.com' },
    target: 'db' as TargetName,
    reason: null,
    task: 'task 1',
    text: Buffer.from([...Buffer.from("select '"), 0xff, ...Buffer.from("'")]),
    parameters: Buffer.from([0, 1, 255]),
    parameterTypes: [23],
    encoding: 'LATIN1',
    facts: { effects: ['read'], relations: ['t'], functions: [], programs: [] },
    policies: ['p'],
    needed: [{ group: 'dba-leads', count: 2 }],
    digest: 'd'.repeat(64),
    createdAtMs: clock.wallMs(),
    expiresAtMs: clock.wallMs() + 60_000,
    ...changes,
  });
  const opened = async (changes: Partial<NewReview> = {}): Promise<NewReview> => {
    const review = newReview(changes);
    await state.reviews.open(review);
    return review;
  };

  test('a review comes back as it was, bytes too; a list has the beginning of its text', async () => {
    const review = await opened();
    const { state: standing, decisions, changed, whole, ...rest } = (await twin.reviews.find(review.id))!;
    assert.deepEqual(rest, review);
    assert.deepEqual([standing, decisions, whole], ['pending', [], true]);
    assert.ok(changed > 0);
    const long = await opened({ text: Buffer.from('x'.repeat(5000)), parameters: null });
    const listed = await twin.reviews.list(everything);
    assert.deepEqual(
      listed
        .slice(0, 2)
        .map(({ id }) => id)
        .toSorted(),
      [review.id, long.id].toSorted(),
    );
    const shown = listed.find(({ id }) => id === long.id)!;
    assert.equal(shown.whole, false);
    assert.equal(shown.text.toString(), 'x'.repeat(768));
    assert.equal(listed.find(({ id }) => id === review.id)?.parameters, null, 'not in a list');
    assert.deepEqual(
      (await twin.reviews.beginningWith(long.id.slice(0, 24))).map(({ id }) => id).includes(long.id),
      true,
    );
    assert.equal(await state.reviews.find('01JD0000000000000000000009'), null);
  });

  test('a decision is proposed once by one person, counted once, and seen with the review', async () => {
    const { id } = await opened();
    const proposed = await Promise.all(
      [one!, two!, one!, two!].map(({ reviews }) => reviews.propose(id, decision('ben'))),
    );
    assert.deepEqual(proposed.toSorted(), [
      null,
      'review-decided-before',
      'review-decided-before',
      'review-decided-before',
    ]);
    assert.equal(await twin.reviews.standing(id, person('ben')), 'proposed');
    assert.deepEqual((await state.reviews.find(id))?.decisions, [], 'it does not count yet');
    const waiting = (await twin.reviews.proposals('one')).filter(({ review }) => review === id);
    assert.deepEqual(
      waiting.map(({ decision: { reviewer } }) => reviewer.subject),
      ['ben'],
    );
    assert.deepEqual(await twin.reviews.proposals('another'), []);
    const counted = await Promise.all(
      [one!, two!].map(({ reviews }) => reviews.count(id, person('ben'), 'pending')),
    );
    assert.deepEqual(counted.toSorted(), [false, true]);
    const found = await state.reviews.find(id);
    assert.deepEqual(found?.decisions[0]?.reviewer, person('ben'));
    assert.equal(await state.reviews.standing(id, person('ben')), 'counted');
  });

  test('a decision that was taken back may come again; one that was refused stays so', async () => {
    const { id } = await opened();
    assert.equal(await state.reviews.propose(id, decision('ben')), null);
    await twin.reviews.dismiss(id, person('ben'), null);
    assert.equal(await state.reviews.standing(id, person('ben')), null);
    assert.equal(await state.reviews.count(id, person('ben'), 'approved'), false);
    assert.equal((await state.reviews.find(id))?.state, 'pending');
    assert.equal(await state.reviews.propose(id, decision('ben')), null);
    await twin.reviews.dismiss(id, person('ben'), 'review-not-pending');
    assert.equal(await state.reviews.standing(id, person('ben')), 'review-not-pending');
    assert.equal(await state.reviews.propose(id, decision('ben')), 'review-decided-before');
  });

  test('of many last words at once one counts, and an approval is used once', async () => {
    const { id } = await opened();
    const people = Array.from({ length: 6 }, (_, i) => `person-${i}`);
    for (const subject of people) await state.reviews.propose(id, decision(subject));
    const ends = await Promise.all([
      ...people.map((subject, i) =>
        (i % 2 ? one! : two!).reviews.count(id, person(subject), i % 2 ? 'approved' : 'rejected'),
      ),
      one!.reviews.move(id, 'pending', 'expired'),
      two!.reviews.move(id, 'pending', 'withdrawn'),
    ]);
    assert.equal(ends.filter(Boolean).length, 1);
    const approved = await opened();
    await state.reviews.propose(approved.id, decision('ben'));
    assert.ok(await state.reviews.count(approved.id, person('ben'), 'approved'));
    const uses = await Promise.all(
      [one!, two!, one!, two!].map(({ reviews }) => reviews.move(approved.id, 'approved', 'used')),
    );
    assert.equal(uses.filter(Boolean).length, 1);
  });

  test('what is over, or unknown, takes no decision', async () => {
    const { id } = await opened();
    await state.reviews.move(id, 'pending', 'withdrawn');
    assert.equal(await twin.reviews.propose(id, decision('ben')), 'review-not-pending');
    const expired = await opened();
    await state.reviews.move(expired.id, 'pending', 'expired');
    assert.equal(await twin.reviews.propose(expired.id, decision('ben')), 'review-expired');
    const late = await opened({ expiresAtMs: clock.wallMs() });
    assert.equal(await twin.reviews.propose(late.id, decision('ben')), 'review-expired');
    assert.equal(await twin.reviews.propose('01JD0000000000000000000009', decision('ben')), 'review-unknown');
  });

  test('changes have one order: who asks for what came after misses none, whoever made them at once', async () => {
    const start = await twin.reviews.lastChange();
    const seen = new Set<string>();
    let place = start;
    let done = false;
    const watching = (async () => {
      for (;;) {
        const last = done;
        const changes = await twin.reviews.changedAfter(place, everything);
        for (const { id, changed } of changes) {
          assert.ok(changed > place);
          place = changed;
          seen.add(id);
        }
        if (last && changes.length === 0) return;
        await new Promise(setImmediate);
      }
    })();
    const made = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const review = newReview();
        await (i % 2 ? one! : two!).reviews.open(review);
        return review.id;
      }),
    );
    done = true;
    await watching;
    for (const id of made) assert.ok(seen.has(id));
  });

  test('lists filter by state and by who asked', async () => {
    const requester = { ...person('carla'), issuer: 'https://other.example' };
    const mine = await opened({ requester });
    const ended = await opened({ requester });
    await state.reviews.move(ended.id, 'pending', 'withdrawn');
    await opened({ requester: { ...requester, issuer: 'https://idp.example' } });
    assert.deepEqual(await idsOf(twin, { state: 'pending', requester }), [mine.id]);
    assert.deepEqual(
      (await idsOf(twin, { state: null, requester })).toSorted(),
      [mine.id, ended.id].toSorted(),
    );
    assert.ok(!(await idsOf(twin, { state: 'pending', requester: null })).includes(ended.id));
  });

  test('a review of a process that is gone is found by its session, or expires by itself, and goes in the end', async () => {
    const left = await opened({ expiresAtMs: clock.wallMs() + 1000 });
    assert.deepEqual(await twin.reviews.pendingOf([left.session]), [{ id: left.id, session: left.session }]);
    assert.deepEqual(await twin.reviews.pendingOf([]), []);
    await state.reviews.propose(left.id, decision('ben'));
    clock.offsetMs += 62_000;
    await state.sweep();
    assert.equal((await twin.reviews.find(left.id))?.state, 'expired');
    clock.offsetMs += 8 * 86_400_000;
    await state.sweep();
    assert.equal(await twin.reviews.find(left.id), null);
  });
}

describe('on SQLite', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-state-reviews-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  contract(
    () => path.join(directory, 'state.db'),
    (state) => [state, state],
  );
});

describe('on PostgreSQL', { skip: postgresMissing }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());
  contract(
    () => server.url(),
    (state, twin) => [state, twin],
  );

  test('another process hears of a change by itself, and again after its connection broke', async () => {
    const [one, two] = await Promise.all([State.open(server.url()), State.open(server.url())]);
    try {
      const heard = async () => {
        const told = Promise.withResolvers<void>();
        const stop = two.reviews.subscribe(() => told.resolve());
        // Until it listens nothing is heard; a change that nobody waits for does no harm.
        const changes: Promise<unknown>[] = [];
        const changing = setInterval(() => changes.push(change()), 50);
        await told.promise;
        clearInterval(changing);
        stop();
        await Promise.all(changes);
      };
      const change = () => one.reviews.dismiss('01JD0000000000000000000009', person('ben'), null);
      await heard();
      const of = "from pg_stat_activity where application_name = 'hoop relay notices'";
      assert.match(await server.sql(`select count(pg_terminate_backend(pid)) > 1 ${of}`), /t/);
      await heard();
    } finally {
      await one.close();
      await two.close();
    }
  });
});
