/** The rules alone: who may decide, how approvals add up, and that no state but one can be decided or used. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { countApprovals, isMet, type Reviewer } from '../../src/reviews/quorum.ts';
import { refusal, step, type Review, type ReviewEvent } from '../../src/reviews/review.ts';
import { boundDigest } from '../../src/wire/review-binding.ts';
import { reviewStates } from '../../src/wire/reviews.ts';

const person = (subject: string, ...groups: string[]) => ({
  issuer: 'https://idp.example',
  subject,
  groups,
  actsFor: null,
});
const ana = person('ana', 'engineering', 'dba-leads');
const ben = person('ben', 'dba-leads');
const cleo = person('cleo', 'security');
const both = person('both', 'dba-leads', 'security');

const review = (changes: Partial<Review> = {}): Review => ({
  state: 'pending',
  requester: ana,
  needed: [
    { group: 'dba-leads', count: 2 },
    { group: 'security', count: 1 },
  ],
  decisions: [],
  digest: '0'.repeat(64),
  expiresAtMs: 1000,
  ...changes,
});
const by = (reviewer: typeof ana, decision: 'approve' | 'reject' = 'approve'): ReviewEvent => ({
  kind: 'decision',
  decision: { reviewer, decision },
});
const after = (events: ReviewEvent[], start = review()) =>
  events.reduce<Review | null>((now, event) => now && step(now, event), start)?.state ?? null;

test('approved when every group has its number, and not before', () => {
  assert.equal(after([by(ben), by(cleo)]), 'pending');
  assert.equal(after([by(ben), by(cleo), by(person('dan', 'dba-leads'))]), 'approved');
  assert.equal(after([by(ben), by(both)]), 'approved', 'who is in two groups speaks for both');
  assert.equal(after([by(both), by(cleo)]), 'pending', 'but is one person in each');
});

test('one rejection ends it, whatever came before', () => {
  assert.equal(after([by(ben), by(cleo, 'reject')]), 'rejected');
  assert.equal(after([by(ben), by(cleo, 'reject'), by(both)]), null);
});

test('a review that needs nobody, or zero people, is never approved', () => {
  assert.equal(isMet(countApprovals([], [ben])), false);
  assert.equal(isMet(countApprovals([{ group: 'dba-leads', count: 0 }], [ben])), false);
});

test('the same person at another provider is another person; the same one twice is one', () => {
  const other = { ...ben, issuer: 'https://other.example' };
  const needed = [{ group: 'dba-leads', count: 2 }];
  assert.equal(countApprovals(needed, [ben, ben])[0]?.approvals, 1);
  assert.equal(countApprovals(needed, [ben, other])[0]?.approvals, 2);
});

test('only what is pending can be decided, only what is approved can be used, and nothing twice', () => {
  const event = fc.constantFrom<ReviewEvent>(
    by(ben),
    by(cleo),
    by(both),
    by(ben, 'reject'),
    { kind: 'expire' },
    { kind: 'withdraw' },
    { kind: 'use' },
  );
  const run = fc.property(fc.array(event, { maxLength: 8 }), (events) => {
    let now = review();
    let used = 0;
    for (const next of events) {
      const then = step(now, next);
      if (then === null) continue;
      if (next.kind === 'decision') assert.equal(now.state, 'pending');
      if (next.kind === 'use') {
        assert.equal(now.state, 'approved');
        assert.ok(now.decisions.every(({ decision }) => decision === 'approve'));
        used++;
      }
      now = then;
    }
    assert.ok(used <= 1);
  });
  fc.assert(run);
});

test('why a person may not decide; the person comes before the state', () => {
  const ask = (of: Review, who: typeof ana, permitted = true, nowMs = 0) =>
    refusal(of, who, { permitted, nowMs });
  assert.equal(ask(review(), ben), null);
  assert.equal(ask(review(), ana), 'review-own-request', 'though she is in a needed group');
  assert.equal(ask(review(), { ...ana, groups: ['security'] }), 'review-own-request');
  assert.equal(ask(review(), { ...ana, issuer: 'https://other.example' }), null);
  assert.equal(ask(review(), ben, false), 'review-denied');
  assert.equal(ask(review({ state: 'used' }), person('eve', 'engineering')), 'review-denied');
  assert.equal(ask(review(), ben, true, 1000), 'review-expired');
  assert.equal(ask(review({ state: 'expired' }), ben), 'review-expired');
  const before = review({ decisions: [{ reviewer: ben, decision: 'approve' }] });
  assert.equal(ask(before, { ...ben, groups: ['security'] }), 'review-decided-before');
  for (const state of reviewStates)
    if (state !== 'pending' && state !== 'expired')
      assert.equal(ask(review({ state }), ben), 'review-not-pending', state);
});

test('the bound digest is one for one binding, and another when any part is another', () => {
  const binding = {
    review: '01JD0000000000000000000001',
    issuer: 'https://idp.example',
    subject: 'ana',
    target: 'db',
    session: '01JD0000000000000000000002',
    connection: 1,
    command: 1,
    text: 'a'.repeat(64),
    parameters: null,
    expires: '2026-11-22T00:00:00.000Z',
  };
  // By Python: sha256 of json.dumps(…, sort_keys=True, separators=(',', ':')).
  assert.equal(boundDigest(binding), '1f9dbdaf7efbcdc91876795c2e7ba799551d680aa76ebf23b3a992b22604ea15');
  const changes = [
    { review: '01JD0000000000000000000003' },
    { issuer: 'https://idp.example/' },
    { subject: 'ben' },
    { target: 'db2' },
    { session: '01JD0000000000000000000003' },
    { connection: 2 },
    { command: 2 },
    { text: 'b'.repeat(64) },
    { parameters: 'a'.repeat(64) },
    { expires: '2026-11-22T00:00:00.001Z' },
  ];
  assert.equal(changes.length, Object.keys(binding).length, 'every part is tried');
  const digests = changes.map((change) => boundDigest({ ...binding, ...change }));
  assert.equal(new Set([boundDigest(binding), ...digests]).size, changes.length + 1);
});

const mayNot = (of: Review, who: Reviewer) => refusal(of, who, { permitted: true, nowMs: 0 });

test('an agent and its person are one: neither approves for the other, and together they count once', () => {
  const agent = (name: string, person: typeof ana): Reviewer => ({
    ...person,
    issuer: 'https://relay.example',
    subject: name,
    actsFor: { issuer: person.issuer, subject: person.subject, email: null, groups: [] },
  });
  assert.equal(mayNot(review(), agent('bot', ana)), 'review-own-request');
  assert.equal(mayNot(review(), agent('bot', ben)), null);
  const byAgent = review({ requester: agent('bot', ana) });
  assert.equal(mayNot(byAgent, ana), 'review-own-request');
  assert.equal(mayNot(byAgent, agent('other-bot', ana)), 'review-own-request');
  assert.equal(
    mayNot(byAgent, agent('bot', ben)),
    'review-own-request',
    'the agent itself, for somebody else',
  );
  assert.equal(mayNot(byAgent, ben), null);
  const decided = review({ decisions: [{ reviewer: agent('bot', ben), decision: 'approve' }] });
  assert.equal(mayNot(decided, ben), 'review-decided-before');
  const needed = [{ group: 'dba-leads', count: 2 }];
  assert.equal(countApprovals(needed, [ben, agent('bot', ben)])[0]?.approvals, 1);
});
