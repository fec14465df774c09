/** Several relays of one state, and a relay that was killed: who holds a command alone lets decisions count, in its own log. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ReviewList } from '../../../src/wire/reviews.ts';
import { postgresMissing, startPostgres, type PostgresServer } from '../../support/postgres.ts';
import { startStage, type Stage } from './stage.ts';

const harmless = /^(session|review|journal)-un/;
const findings = async (stage: Stage) => (await stage.verify()).filter((finding) => !harmless.test(finding));
const kinds = async (stage: Stage) =>
  (await stage.entries()).map(({ kind }) => kind).filter((kind) => kind.startsWith('review.'));

function contract(locate: () => string): void {
  test('a decision at another relay lets the command go, and stands in the log of the relay that holds it', async () => {
    const [one, two] = [await startStage({ location: locate() }), await startStage({ location: locate() })];
    try {
      const session = await one.openSession();
      await two.signIn('ben');
      await two.signIn('dan');
      const { cursor } = ReviewList.parse((await two.get('ben', '/v1/reviews')).json());
      const watching = two.get('ben', `/v1/reviews?after=${cursor}&wait=20`);
      const held = session.hold({ needed: [{ group: 'dba-leads', count: 2 }] });
      const { review } = await held.notice;
      assert.deepEqual(
        ReviewList.parse((await watching).json()).reviews.map((seen) => seen.review),
        [review],
      );
      assert.equal((await two.decide('ben', review)).view?.state, 'pending');
      const again = await two.decide('ben', review);
      assert.equal(again.code, 'review-decided-before');
      const { view, status } = await two.decide('dan', review);
      assert.equal(status, 200);
      assert.ok(view?.state === 'approved' || view?.state === 'used');
      assert.equal((await held.answer).approved, true);
      assert.deepEqual(await kinds(one), ['review.requested', 'review.decided', 'review.decided']);
      assert.deepEqual(await kinds(two), ['review.refused']);
      assert.deepEqual([await findings(one), await findings(two)], [[], []]);
    } finally {
      await one.close();
      await two.close();
    }
  });

  test('groups that were renewed elsewhere are told before the decision that rests on them', async () => {
    const [one, two] = [await startStage({ location: locate() }), await startStage({ location: locate() })];
    try {
      const session = await one.openSession();
      const ben = await two.signIn('ben', ['dba-leads']);
      const first = session.hold();
      await two.decide('ben', (await first.notice).review);
      await first.answer;
      const entry = await two.state.logins.entryOf(ben.login);
      const groups = ['dba-leads', 'security'];
      await two.append({ ...entry!, renews: ben.login, groups });
      await two.state.logins.told(ben.login, { ...entry!, groups });
      two.callers.delete('ben');
      two.callers.set('ben', { ...ben, principal: two.principalOf('ben', groups) });
      const second = session.hold({ needed: [{ group: 'security', count: 1 }] });
      assert.equal((await two.decide('ben', (await second.notice).review)).status, 200);
      assert.equal((await second.answer).approved, true);
      assert.deepEqual(await findings(one), []);
    } finally {
      await one.close();
      await two.close();
    }
  });

  test('a relay that is gone: its reviews cannot be decided, and the next start withdraws them', async () => {
    const one = await startStage({ location: locate() });
    const session = await one.openSession();
    const held = session.hold();
    const { review } = await held.notice;
    one.desk.close();
    const two = await startStage({ location: locate() });
    try {
      await two.signIn('ben');
      assert.equal(await one.desk.withdrawInterrupted([session.id]), 1);
      assert.equal(await two.desk.withdrawInterrupted([session.id]), 0, 'once');
      const { code } = await two.decide('ben', review);
      assert.equal(code, 'review-not-pending');
      assert.deepEqual(await kinds(one), ['review.requested', 'review.ended']);
      assert.deepEqual(await findings(one), []);
    } finally {
      await one.close();
      await two.close();
    }
  });
}

describe('over SQLite, by looking again', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-processes-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  contract(() => path.join(directory, 'state.db'));
});

describe('over PostgreSQL, by LISTEN and NOTIFY', { skip: postgresMissing }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());
  contract(() => server.url());
});
