import { test } from 'node:test';
import assert from 'node:assert/strict';
import { changedLine, newReviewLines, reviewLines, reviewRow } from '../../../src/cli/reviews/review-view.ts';
import { formatTable } from '../../../src/cli/table.ts';
import type { ReviewView } from '../../../src/wire/reviews.ts';

const id = '01JD4Q3M9RAN8C8A2Z4H5W6X7Y';
const wide = { width: null };
const person = {
  kind: 'person' as const,
  issuer: 'https://idp.example',
  subject: 'u1',
  email: 'ana@example.com',
  groups: ['engineering'],
  actsFor: null,
};
const review: ReviewView = {
  review: id,
  state: 'pending',
  session: id,
  requester: person,
  target: 'db-prod',
  reason: 'ticket 4711',
  task: null,
  facts: {
    effects: ['delete'],
    relations: ['orders'],
    functions: [],
    programs: [],
    paths: [],
    destinations: [],
  },
  policies: ['no-delete-alone'],
  needed: [
    { group: 'dba-leads', count: 2, approvals: 1 },
    { group: 'security', count: 1, approvals: 0 },
  ],
  decisions: [
    {
      reviewer: { ...person, email: 'lea@example.com' },
      decision: 'approve',
      reason: 'seen',
      decidedAt: '2026-11-20T12:00:00.000Z',
    },
  ],
  createdAt: '2026-11-20T12:00:00.000Z',
  expiresAt: '2026-11-20T13:00:00.000Z',
  remainingMs: 3_600_000,
  excerpt: 'delete from orders where id = $1',
  excerptIsAll: false,
  mayDecide: true,
  mayNotDecideBecause: null,
  text: 'delete from orders where id = $1',
  textBytes: null,
  parameters: ['7', null],
  digest: '0'.repeat(64),
};

test('a review shows all that a decision needs, its parameters as well, and how to decide', () => {
  const shown = [...reviewLines(review, wide)].join('\n');
  for (const expected of [
    /person +ana@example\.com \(engineering\)\n +https:\/\/idp\.example#u1/,
    /target +db-prod/,
    /reason +ticket 4711/,
    /held by +no-delete-alone/,
    /needs +dba-leads \(1 of 2\), security \(0 of 1\)/,
    /lea@example\.com approved at .*: seen/,
    /effects +delete/,
    / {2}1 │ delete from orders where id = \$1\n {2}\$1\n {2}1 │ 7\n {2}\$2\n {4}NULL\n/,
    new RegExp(`\n {2}hoop approve ${id}\n {2}hoop reject ${id} --reason "…"$`),
  ])
    assert.match(shown, expected);
});

test('who may not decide is told why, and not how', () => {
  const own = { ...review, mayDecide: false, mayNotDecideBecause: 'review-own-request' };
  const shown = [...reviewLines(own, wide)].join('\n');
  assert.match(shown, /your own request: somebody else decides/);
  assert.doesNotMatch(shown, /hoop approve/);
  const over = [...reviewLines({ ...review, state: 'expired', mayDecide: false }, wide)].join('\n');
  assert.doesNotMatch(over, /hoop approve|may not/);
});

test('what cannot be read as text, and names that look like others, are pointed out', () => {
  assert.match(
    [...reviewLines({ ...review, textBytes: 'AA==' }, wide)].join('\n'),
    /not all of it can be read as text/,
  );
  const shown = [...reviewLines({ ...review, text: 'drop table \u043erders' }, wide)].join('\n');
  assert.match(shown, /not ASCII/);
  assert.doesNotMatch([...reviewLines(review, wide)].join('\n'), /not ASCII|can be read/);
});

test('whoever wrote any part of it: nothing reaches the terminal as it came', () => {
  const evil = 'x\u001b[2J\u001b]0;t\u0007\r\n\u202e\u200b\u0085\ue000';
  const hostile: ReviewView = {
    ...review,
    requester: { ...person, email: evil, subject: evil, issuer: evil, groups: [evil], actsFor: null },
    target: evil,
    reason: evil,
    task: evil,
    facts: {
      effects: [evil],
      relations: [evil],
      functions: [evil],
      programs: [evil],
      paths: [evil],
      destinations: [evil],
    },
    policies: [evil],
    needed: [{ group: evil, count: 2, approvals: 1 }],
    decisions: [{ ...review.decisions[0]!, reviewer: { ...person, email: evil }, reason: evil }],
    excerpt: evil,
    text: evil,
    parameters: [evil],
  };
  const lines = [
    ...reviewLines(hostile, wide),
    ...newReviewLines(hostile),
    changedLine(hostile),
    ...formatTable(['a'], [reviewRow(hostile)], wide).split(/[\t\n]/),
  ];
  assert.ok(lines.length > 20);
  for (const line of lines) assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, JSON.stringify(line));
});
