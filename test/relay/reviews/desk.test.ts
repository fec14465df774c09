/** A held command from request to last word, through the API: what goes, and everything that must not make it go. */
import { after, afterEach, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { EvidenceError } from '../../../src/evidence/error.ts';
import type { EntryOf } from '../../../src/evidence/entry.ts';
import { eventually } from '../../support/eventually.ts';
import { ulid } from '../../../src/system/ulid.ts';
import { ReviewList, ReviewView } from '../../../src/wire/reviews.ts';
import { send, startStage, type Name, type Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  stage = await startStage();
  for (const name of ['ana', 'ben', 'dan', 'cleo', 'walt', 'eve'] as const) await stage.signIn(name);
});
afterEach(async () => {
  // Whatever a test did: the log explains it.
  assert.deepEqual(
    (await stage.verify()).filter(
      (finding) => !/^(session-unfinished|review-unfinished|journal-unpublished)/.test(finding),
    ),
    [],
  );
});
after(() => stage.close());

const reviewEntries = async (review: string) =>
  (await stage.entries()).filter((entry) => 'review' in entry && entry.review === review);
const said = async (review: string) =>
  (await reviewEntries(review)).map((entry) =>
    'outcome' in entry
      ? `${entry.kind} ${entry.outcome}`
      : 'reason' in entry
        ? `${entry.kind} ${entry.reason}`
        : entry.kind,
  );
const refuse = () => Promise.reject(new EvidenceError('log-write-failed', 'no space'));
const view = async (review: string, name: Name = 'ben') =>
  ReviewView.parse((await stage.get(name, `/v1/reviews/${review}`)).json());

test('held, shown, approved, used: each on disk before the next', async () => {
  const session = await stage.openSession();
  const parameters = Buffer.from('000000010000000234320000', 'hex');
  const held = session.hold({ parameters, parameterTypes: [23] });
  const { review, needed, expiresAtMs } = await held.notice;
  assert.deepEqual(held.heard, ['returned', 'held'], 'nothing is heard from within request');
  assert.deepEqual(needed, ['dba-leads (1)']);
  assert.ok(expiresAtMs > Date.now());
  assert.deepEqual(await said(review), ['command.held', 'review.requested']);
  const shown = await view(review);
  assert.equal(shown.text, 'delete from customers where id = $1');
  assert.deepEqual(shown.parameters, ['42']);
  assert.deepEqual(shown.facts.effects, ['delete']);
  assert.equal(shown.requester.subject, 'ana');
  assert.equal(shown.reason, 'incident 7');
  assert.equal(shown.mayDecide, true);
  const { view: decided, status } = await stage.decide('ben', review, { reason: 'as agreed' });
  assert.equal(status, 200);
  assert.ok(decided?.state === 'approved' || decided?.state === 'used');
  const { approved, hint, review: named } = await held.answer;
  assert.deepEqual([approved, hint, named], [true, null, review]);
  assert.equal((await view(review)).state, 'used');
  assert.deepEqual(await said(review), ['command.held', 'review.requested', 'review.decided approved']);
  const entry = (await reviewEntries(review)).at(-1) as EntryOf<'review.decided'>;
  assert.equal(entry.actor.subject, 'ben');
  assert.equal(entry.reason, 'as agreed');
  assert.deepEqual(entry.groups, ['dba-leads']);
  assert.equal(entry.digest, shown.digest);
});

test('a rejection needs a reason, reaches the client with it, and ends the review', async () => {
  const session = await stage.openSession();
  const held = session.hold();
  const { review } = await held.notice;
  const silent = await stage.decide('ben', review, { decision: 'reject' });
  assert.deepEqual([silent.status, silent.code], [400, 'review-reason-missing']);
  const { view: decided } = await stage.decide('ben', review, { decision: 'reject', reason: 'not today' });
  assert.equal(decided?.state, 'rejected');
  const { approved, hint } = await held.answer;
  assert.equal(approved, false);
  assert.equal(hint, 'rejected by ben@example.com: not today');
  const late = await stage.decide('dan', review);
  assert.deepEqual([late.status, late.code], [409, 'review-not-pending']);
});

test('two of one group and one of another: all of them, each once', async () => {
  const session = await stage.openSession();
  const needed = [
    { group: 'dba-leads', count: 2 },
    { group: 'security', count: 1 },
  ];
  const held = session.hold({ needed });
  const { review } = await held.notice;
  assert.equal((await stage.decide('ben', review)).view?.state, 'pending');
  const again = await stage.decide('ben', review);
  assert.deepEqual([again.status, again.code], [409, 'review-decided-before']);
  assert.equal((await stage.decide('cleo', review)).view?.state, 'pending');
  assert.deepEqual(
    (await view(review)).needed.map(({ group, count, approvals }) => [group, count, approvals]),
    [
      ['dba-leads', 2, 1],
      ['security', 1, 1],
    ],
  );
  assert.deepEqual(held.heard, ['returned', 'held']);
  await stage.decide('dan', review);
  assert.equal((await held.answer).approved, true);
});

test('who may not: the requester, people of other groups, people without the right, and strangers learn nothing', async () => {
  const session = await stage.openSession();
  const held = session.hold();
  const { review } = await held.notice;
  const refused = async (name: Name) => {
    const { status, code } = await stage.decide(name, review);
    return [status, code];
  };
  assert.deepEqual(await refused('ana'), [403, 'review-own-request'], 'though she is a lead');
  assert.deepEqual(await refused('cleo'), [403, 'review-denied'], 'security is not asked');
  assert.deepEqual(await refused('walt'), [403, 'review-denied']);
  assert.deepEqual(await refused('eve'), [404, 'review-unknown']);
  assert.equal((await stage.get('eve', `/v1/reviews/${review}`)).statusCode, 404);
  assert.equal((await view(review, 'ana')).mayNotDecideBecause, 'review-own-request');
  assert.deepEqual(await said(review), [
    'command.held',
    'review.requested',
    'review.refused review-own-request',
    'review.refused review-denied',
    'review.refused review-denied',
  ]);
  held.withdraw('cancelled');
  assert.deepEqual(held.heard, ['returned', 'held']);
});

test('a decision is good for one review, one person, one use: replay, another’s signature, another digest', async () => {
  const session = await stage.openSession();
  const [one, two] = [session.hold({ needed: [{ group: 'dba-leads', count: 2 }] }), session.hold()];
  const { review } = await one.notice;
  const { review: other } = await two.notice;
  const { request } = await stage.decide('ben', review);
  const tries: [string, Name, string, number, string][] = [
    ['the same again', 'ben', review, 409, 'signed-request-replayed'],
    ['sent by another person', 'dan', review, 400, 'signed-request-invalid'],
    ['for another review', 'ben', other, 409, 'signed-request-replayed'],
  ];
  for (const [what, name, id, status, code] of tries) {
    const answer = await send(stage.app, name, id, request);
    assert.deepEqual([answer.status, answer.code], [status, code], what);
  }
  const mixed = await stage.decide('dan', other, { review });
  assert.deepEqual([mixed.status, mixed.code], [400, 'request-invalid'], 'signed for one, sent to another');
  const wrong = await stage.decide('dan', other, { digest: 'a'.repeat(64) });
  assert.deepEqual([wrong.status, wrong.code], [409, 'review-digest-mismatch']);
  const foreign = await stage.decide('dan', other, { relay: 'https://other.example' });
  assert.deepEqual([foreign.status, foreign.code], [400, 'signed-request-invalid']);
  assert.deepEqual(await said(other), [
    'command.held',
    'review.requested',
    ...['signed-request-replayed', 'request-invalid', 'review-digest-mismatch', 'signed-request-invalid'].map(
      (code) => `review.refused ${code}`,
    ),
  ]);
  for (const held of [one, two]) held.withdraw('cancelled');
  assert.deepEqual(
    [one.heard, two.heard],
    [
      ['returned', 'held'],
      ['returned', 'held'],
    ],
  );
});

test('two reviewers at once: one last word, and the other is told', async () => {
  const session = await stage.openSession();
  for (let round = 0; round < 8; round++) {
    const held = session.hold();
    const { review } = await held.notice;
    const decision = round % 2 === 0 ? {} : ({ decision: 'reject', reason: 'no' } as const);
    const answers = await Promise.all([stage.decide('ben', review), stage.decide('dan', review, decision)]);
    const codes = answers.map(({ status, code }) => `${status} ${code}`).toSorted();
    assert.deepEqual(codes, ['200 ', '409 review-not-pending']);
    await held.answer;
    const last = (await said(review)).filter((line) => line.startsWith('review.decided'));
    assert.equal(last.length, 1);
    assert.equal(held.heard.length, 3);
    const won = answers.findIndex(({ status }) => status === 200);
    const approved = won === 0 || round % 2 === 0;
    assert.equal(held.heard[2], approved ? 'approved' : 'refused');
  }
});

test('nobody in time: refused, and a decision that comes after is too late', async () => {
  const session = await stage.openSession(stage.clock.wallMs() + 300);
  const held = session.hold();
  const { review, expiresAtMs } = await held.notice;
  assert.ok(expiresAtMs <= stage.clock.wallMs() + 300, 'never later than the session');
  const { approved, hint } = await held.answer;
  assert.deepEqual([approved, hint], [false, 'nobody decided in time']);
  assert.equal((await view(review)).state, 'expired');
  const late = await stage.decide('ben', review);
  assert.deepEqual([late.status, late.code], [409, 'review-expired']);
  assert.deepEqual(await said(review), [
    'command.held',
    'review.requested',
    'review.ended expired',
    'review.refused review-expired',
  ]);
});

test('a client that leaves hears nothing more; nobody can decide then, and the log says why', async () => {
  const session = await stage.openSession();
  for (const why of ['cancelled', 'disconnected', 'session-ended'] as const) {
    const held = session.hold();
    const { review } = await held.notice;
    held.withdraw(why);
    const { status, code } = await stage.decide('ben', review);
    assert.deepEqual([status, code], [409, 'review-not-pending']);
    assert.equal((await view(review)).state, 'withdrawn');
    const ended = (await reviewEntries(review)).find(({ kind }) => kind === 'review.ended');
    assert.equal(ended && 'reason' in ended && ended.reason, why);
    assert.deepEqual(held.heard, ['returned', 'held']);
  }
});

test('a client that leaves before the request is on disk: withdrawn all the same', async () => {
  const session = await stage.openSession();
  const held = session.hold();
  held.withdraw('disconnected');
  const done = session.hold();
  const { review } = await done.notice;
  await stage.decide('ben', review);
  await done.answer;
  assert.deepEqual(held.heard, ['returned']);
  await eventually('no review is pending', () => stage.desk.pending === 0);
});

test('a log that refuses: nothing is held, nothing is approved, and a decision that was not recorded may come again', async () => {
  const session = await stage.openSession();
  const { append } = stage.script;
  try {
    stage.script.append = refuse;
    const unheld = session.hold();
    const { approved, hint } = await unheld.answer;
    assert.equal(approved, false);
    assert.match(hint ?? '', /cannot record/);
    assert.deepEqual(unheld.heard, ['returned', 'refused']);
    stage.script.append = append;
    const held = session.hold();
    const { review } = await held.notice;
    stage.script.append = refuse;
    const failed = await stage.decide('ben', review);
    assert.deepEqual([failed.status, failed.code], [503, 'evidence-unavailable']);
    assert.deepEqual(held.heard, ['returned', 'held']);
    stage.script.append = append;
    assert.equal((await stage.decide('ben', review)).status, 200);
    assert.equal((await held.answer).approved, true);
  } finally {
    stage.script.append = append;
  }
});

test('a client that leaves while the approval is written: nothing goes, and the approval is not used', async () => {
  const session = await stage.openSession();
  const { append } = stage.script;
  const held = session.hold();
  const { review } = await held.notice;
  const [writing, written] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  stage.script.append = async (entry) => {
    if (entry.kind !== 'review.decided') return append(entry);
    writing.resolve();
    await written.promise;
    return append(entry);
  };
  const decided = stage.decide('ben', review);
  await writing.promise;
  held.withdraw('cancelled');
  written.resolve();
  assert.equal((await decided).status, 200);
  stage.script.append = append;
  await eventually('it is over', () => stage.desk.pending === 0);
  assert.equal((await view(review)).state, 'withdrawn');
  assert.deepEqual(held.heard, ['returned', 'held']);
  assert.deepEqual((await said(review)).slice(2), ['review.decided approved', 'review.ended withdrawn']);
});

test('a withdrawal that the log did not take is told when it takes entries again', async () => {
  const session = await stage.openSession();
  const { append } = stage.script;
  const held = session.hold();
  const { review } = await held.notice;
  stage.script.append = refuse;
  held.withdraw('disconnected');
  await eventually('it is over', () => stage.desk.pending === 0);
  stage.script.append = append;
  assert.equal((await stage.decide('ben', review)).code, 'review-not-pending');
  await eventually('it is told', async () => (await said(review)).includes('review.ended withdrawn'));
});

test('what nobody could read, and more than anybody could, is refused at once', async () => {
  const session = await stage.openSession();
  const long = await session.hold({ sql: `select '${'x'.repeat(1_048_577)}'` }).answer;
  assert.deepEqual([long.approved, long.review], [false, null]);
  assert.match(long.hint ?? '', /1 MiB/);
  const nobody = await session.hold({ needed: [] }).answer;
  assert.equal(nobody.approved, false);
  const many = Array.from({ length: 100 }, () => session.hold());
  await Promise.all(many.map(({ notice }) => notice));
  assert.match((await session.hold().answer).hint ?? '', /100 commands/);
  for (const held of many) held.withdraw('session-ended');
  await eventually('no review is pending', () => stage.desk.pending === 0);
  const again = session.hold();
  assert.ok(await again.notice, 'there is room again');
  again.withdraw('cancelled');
});

test('a list shows what may be seen, and no more; a prefix finds one', async () => {
  const session = await stage.openSession();
  const held = session.hold({ sql: `select ${'1, '.repeat(300)} 2` });
  const { review } = await held.notice;
  const list = async (name: Name, query = '') =>
    ReviewList.parse((await stage.get(name, `/v1/reviews${query}`)).json());
  const pending = (await list('ben', '?state=pending')).reviews;
  const [first] = pending;
  assert.ok(first);
  assert.equal(first.review, review);
  assert.equal(first.excerpt.length, 200);
  assert.equal(first.excerptIsAll, false);
  assert.ok(pending.every(({ state }) => state === 'pending'));
  assert.deepEqual((await list('eve')).reviews, []);
  assert.ok((await list('ana', '?mine=true')).reviews.length > 0);
  assert.deepEqual((await list('ben', '?mine=true')).reviews, []);
  assert.equal((await view(review.slice(0, 25))).review, review);
  assert.equal((await view(review.toLowerCase())).review, review);
  for (const query of ['?state=open', '?wait=31', '?after=x', '?all=1'])
    assert.equal((await stage.get('ben', `/v1/reviews${query}`)).statusCode, 400, query);
  held.withdraw('cancelled');
});

test('who watches is told of each change as it comes, and of none twice', async () => {
  const session = await stage.openSession();
  const list = async (query: string) =>
    ReviewList.parse((await stage.get('ben', `/v1/reviews${query}`)).json());
  let { cursor } = await list('');
  const next = async () => {
    const answer = await list(`?after=${cursor}&wait=20`);
    cursor = answer.cursor;
    return answer.reviews.map(({ state }) => state);
  };
  const waiting = next();
  const held = session.hold();
  assert.deepEqual(await waiting, ['pending']);
  const { review } = await held.notice;
  assert.deepEqual((await list(`?after=${cursor}`)).reviews, []);
  const changed = next();
  await stage.decide('ben', review, { decision: 'reject', reason: 'no' });
  assert.deepEqual(await changed, ['rejected']);
});

test('one login does not watch without end', async () => {
  const { cursor } = ReviewList.parse((await stage.get('walt', '/v1/reviews')).json());
  const watching = Array.from({ length: 9 }, () => stage.get('walt', `/v1/reviews?after=${cursor}&wait=1`));
  const codes = (await Promise.all(watching)).map(({ statusCode }) => statusCode).toSorted();
  assert.deepEqual(codes, [...Array.from({ length: 8 }, () => 200), 503]);
});

test('a list shows what may be seen behind any number of reviews that may not', async () => {
  const session = await stage.openSession();
  const held = session.hold();
  const { review } = await held.notice;
  const shown = await stage.state.reviews.find(review);
  assert.ok(shown);
  const now = Date.now();
  const own = { ...shown, id: ulid(now), requester: stage.principalOf('eve', ['engineering']) };
  await stage.state.reviews.open(own);
  for (let more = 1; more <= 201; more++) await stage.state.reviews.open({ ...shown, id: ulid(now + more) });
  const list = ReviewList.parse((await stage.get('eve', '/v1/reviews?state=pending')).json());
  assert.deepEqual(
    list.reviews.map(({ review: id }) => id),
    [own.id],
  );
  const all = ReviewList.parse((await stage.get('ben', '/v1/reviews?state=pending')).json());
  assert.equal(all.reviews.length, 200);
  held.withdraw('cancelled');
});

test('nobody decides faster than people read', async () => {
  const session = await stage.openSession();
  const held = session.hold();
  const { review } = await held.notice;
  const codes = new Set<string>();
  for (let i = 0; i < 61; i++) codes.add((await send(stage.app, 'walt', review, 'a.b.c')).code);
  assert.ok(codes.has('relay-overloaded'));
  held.withdraw('cancelled');
});
