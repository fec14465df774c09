/** A relay that lets commands through without the people that it says approved them is found out by its own log. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import type { EntryOf } from '../../../src/evidence/entry.ts';
import { ulid } from '../../../src/system/ulid.ts';
import { boundDigest } from '../../../src/wire/review-binding.ts';
import { EvidenceFixture, type TestLogin, type TestSession } from './fixture.ts';

const sha256 = (bytes: string | Buffer): string => hash('sha256', bytes, 'hex');
const text = 'delete from customers where id = $1';
const parameters = Buffer.from('0000', 'hex');

interface Story {
  readonly fixture: EvidenceFixture;
  readonly ana: TestLogin;
  readonly ben: TestLogin;
  readonly dan: TestLogin;
  readonly session: TestSession;
  readonly review: string;
  readonly digest: string;
  held(changes?: Partial<EntryOf<'command.held'>>): Promise<unknown>;
  requested(changes?: Partial<EntryOf<'review.requested'>>): Promise<unknown>;
  /** `signed`: what the reviewer signed, where that is something else than the entry says. */
  decided(by: TestLogin, changes?: Partial<EntryOf<'review.decided'>>, signed?: object): Promise<unknown>;
  ended(changes?: Partial<EntryOf<'review.ended'>>): Promise<unknown>;
  ran(changes?: Parameters<EvidenceFixture['segment']>[2], sql?: string): Promise<unknown>;
  /** Closes everything, and says what was found. */
  findings(): Promise<string[]>;
}

/** Ana's session, and a review that needs one of dba-leads, of whom Ben and Dan are. */
async function story(fixture: EvidenceFixture, count = 1): Promise<Story> {
  const [ana, ben, dan] = [
    await fixture.signIn('ana', ['dba-leads']),
    await fixture.signIn('ben', ['dba-leads']),
    await fixture.signIn('dan', ['dba-leads', 'other']),
  ];
  const session = await fixture.open(ana);
  const review = ulid(fixture.clock.ms);
  const expires = new Date(fixture.clock.ms + 600_000).toISOString();
  const { issuer, subject } = ana.actor;
  const bound = { review, issuer, subject, target: 'db-prod', session: session.session, expires };
  const command = { connection: 1, command: 1, text: sha256(text), parameters: sha256(parameters) };
  const digest = boundDigest({ ...bound, ...command });
  const about = { review, session: session.session };
  return {
    fixture,
    ana,
    ben,
    dan,
    session,
    review,
    digest,
    held: (changes = {}) =>
      fixture.log.append({
        kind: 'command.held',
        actor: ana.actor,
        ...about,
        connection: 1,
        command: 1,
        digest: sha256(text),
        text,
        policies: [],
        ...changes,
      }),
    requested: (changes = {}) =>
      fixture.log.append({
        kind: 'review.requested',
        actor: ana.actor,
        ...about,
        digest,
        effects: ['delete'],
        parametersDigest: sha256(parameters),
        needed: [{ group: 'dba-leads', count }],
        expires,
        ...changes,
      }),
    decided: (by, changes = {}, signed = {}) => {
      const says = { decision: 'approve', digest, reason: 'seen', ...changes } as const;
      const { decision, reason } = says;
      const claims = { action: 'review.decide', review, decision, digest: says.digest, reason, ...signed };
      return fixture.log.append({
        kind: 'review.decided',
        actor: by.actor,
        ...about,
        login: by.login,
        ...says,
        groups: ['dba-leads'],
        outcome: 'approved',
        request: by.sign(claims),
        ...changes,
      });
    },
    ended: (changes = {}) =>
      fixture.log.append({
        kind: 'review.ended',
        actor: { kind: 'relay' },
        ...about,
        outcome: 'expired',
        reason: 'expired',
        ...changes,
      }),
    ran: (changes = {}, sql = text) =>
      fixture.segment(session, sql, { review, command: 1, parameters, statement: 3, ...changes }),
    findings: async () => {
      await fixture.end(session);
      await fixture.log.close();
      return (await fixture.verify()).findings.map(({ code }) => code);
    },
  };
}

async function tell(work: (story: Story) => Promise<unknown>, count = 1): Promise<string[]> {
  await using fixture = await EvidenceFixture.create();
  const told = await story(fixture, count);
  await work(told);
  return await told.findings();
}

/** The usual beginning. */
const asked = async ({ held, requested }: Story) => {
  await held();
  await requested();
};

test('nothing is found in reviews that went as they should', async () => {
  const approved = await tell(async (s) => {
    await asked(s);
    await s.decided(s.ben);
    await s.ran();
  });
  assert.deepEqual(approved, []);
  const byTwo = await tell(async (s) => {
    await asked(s);
    await s.decided(s.ben, { outcome: 'pending' });
    await s.decided(s.dan);
    await s.ran({ statement: 1 });
  }, 2);
  assert.deepEqual(byTwo, []);
  const rejected = await tell(async (s) => {
    await asked(s);
    await s.decided(s.ben, { decision: 'reject', outcome: 'rejected' });
    await s.ran({ verdict: 'deny' });
  });
  assert.deepEqual(rejected, []);
  const expired = await tell(async (s) => {
    await asked(s);
    await s.ended();
    await s.ran({ verdict: 'deny' });
  });
  assert.deepEqual(expired, []);
  const leftAtThatMoment = await tell(async (s) => {
    await asked(s);
    await s.decided(s.ben);
    await s.ended({ outcome: 'withdrawn', reason: 'cancelled' });
  });
  assert.deepEqual(leftAtThatMoment, []);
});

const faults: [string, string[], (story: Story) => Promise<unknown>][] = [
  ['a command that nobody approved', ['command-unapproved', 'review-unfinished'], (s) => s.ran()],
  [
    'a command that was rejected',
    ['command-unapproved'],
    async (s) => {
      await s.decided(s.ben, { decision: 'reject', outcome: 'rejected' });
      await s.ran();
    },
  ],
  [
    'a command whose review had expired',
    ['review-decision-invalid', 'command-unapproved'],
    async (s) => {
      await s.ended();
      await s.decided(s.ben);
      await s.ran();
    },
  ],
  [
    'a decision after the deadline',
    ['review-decision-invalid', 'command-unapproved', 'review-unfinished'],
    async (s) => {
      s.fixture.clock.ms += 700_000;
      await s.decided(s.ben);
      await s.ran();
    },
  ],
  [
    'the requester’s own approval',
    ['review-decision-invalid', 'command-unapproved', 'review-unfinished'],
    async (s) => {
      await s.decided(s.ana);
      await s.ran();
    },
  ],
  [
    'an approval for a group of others',
    ['review-decision-invalid', 'review-unfinished'],
    async (s) => {
      const eve = await s.fixture.signIn('eve', ['other']);
      await s.decided(eve);
    },
  ],
  [
    'an approval for a group that was not asked',
    ['review-decision-invalid', 'review-outcome-mismatch', 'review-unfinished'],
    (s) => s.decided(s.dan, { groups: ['other'] }),
  ],
  [
    'another text than was approved',
    ['review-mismatch'],
    async (s) => {
      await s.decided(s.ben);
      await s.ran({}, 'delete from customers');
    },
  ],
  [
    'other parameters than were approved',
    ['review-mismatch'],
    async (s) => {
      await s.decided(s.ben);
      await s.ran({ parameters: Buffer.from('0001', 'hex') });
    },
  ],
  [
    'another command than was approved',
    ['review-mismatch'],
    async (s) => {
      await s.decided(s.ben);
      await s.ran({ command: 2 });
    },
  ],
  [
    'the same command of another connection',
    ['review-mismatch'],
    async (s) => {
      await s.decided(s.ben);
      await s.ran({ connection: 2 });
    },
  ],
  [
    'one approval for two commands',
    ['review-reused'],
    async (s) => {
      await s.decided(s.ben);
      await s.ran();
      await s.ran();
    },
  ],
  [
    'a review that the log does not know',
    ['review-unknown', 'review-unfinished'],
    (s) => s.ran({ review: '01JD0000000000000000000009' }),
  ],
  [
    'a decision that was signed for something else',
    ['request-mismatch'],
    (s) => s.decided(s.ben, {}, { digest: '0'.repeat(64) }),
  ],
  [
    'a rejection that became an approval',
    ['request-mismatch'],
    (s) => s.decided(s.ben, {}, { decision: 'reject' }),
  ],
  [
    'a decision for another review',
    ['request-mismatch'],
    (s) => s.decided(s.ben, {}, { review: '01JD0000000000000000000009' }),
  ],
  [
    'a reason that was put into somebody’s mouth',
    ['request-mismatch'],
    (s) => s.decided(s.ben, {}, { reason: 'no idea' }),
  ],
  [
    'a signature by the key of somebody else',
    ['signature-invalid'],
    (s) => {
      const { review, digest } = s;
      const claims = { action: 'review.decide', review, decision: 'approve', digest, reason: 'seen' };
      return s.decided(s.ben, { request: s.dan.sign(claims) });
    },
  ],
  [
    'a login that the log does not know',
    ['login-unknown'],
    (s) => s.decided({ ...s.ben, login: '01JD0000000000000000000009' }),
  ],
  [
    'a decision on another digest',
    ['review-mismatch', 'review-unfinished'],
    (s) => s.decided(s.ben, { digest: '0'.repeat(64) }),
  ],
];

for (const [what, expected, work] of faults)
  test(`found: ${what}`, async () => {
    const found = await tell(async (s) => {
      await asked(s);
      await work(s);
    });
    assert.deepEqual(found, expected);
  });

test('found: one of two needed, or one person twice, passed off as enough', async () => {
  const one = await tell(async (s) => {
    await asked(s);
    await s.decided(s.ben);
    await s.ran();
  }, 2);
  assert.deepEqual(one, ['review-outcome-mismatch', 'command-unapproved', 'review-unfinished']);
  const twice = await tell(async (s) => {
    await asked(s);
    await s.decided(s.ben, { outcome: 'pending' });
    await s.decided(s.ben);
    await s.ran();
  }, 2);
  assert.deepEqual(twice, [
    'review-decision-invalid',
    'review-outcome-mismatch',
    'command-unapproved',
    'review-unfinished',
  ]);
});

test('found: a request about something else than was held, or for another person, or for nothing', async () => {
  const cases: [(story: Story) => Promise<unknown>, string[]][] = [
    [
      async (s) => {
        await s.held({ digest: sha256('select 1') });
        await s.requested();
      },
      ['review-mismatch', 'review-unfinished'],
    ],
    [
      async (s) => {
        await s.held();
        await s.requested({ expires: new Date(s.fixture.clock.ms + 900_000).toISOString() });
      },
      ['review-mismatch', 'review-unfinished'],
    ],
    [
      async (s) => {
        await s.held();
        await s.requested({ actor: s.dan.actor });
      },
      ['review-mismatch', 'review-unfinished'],
    ],
    [(s) => s.requested(), ['review-unknown']],
    [(s) => s.ended(), ['review-unknown']],
  ];
  for (const [work, expected] of cases) assert.deepEqual(await tell(work), expected);
});

test('a review that a killed relay left open is explained by its session; told afterwards it is no contradiction', async () => {
  for (const late of [false, true]) {
    await using fixture = await EvidenceFixture.create();
    const told = await story(fixture);
    await asked(told);
    await fixture.end(told.session, { outcome: 'interrupted' });
    if (late) await told.ended({ outcome: 'withdrawn', reason: 'interrupted' });
    await fixture.log.close();
    assert.deepEqual(await fixture.codes(), []);
  }
});

const agentFor = (fixture: EvidenceFixture, person: TestLogin): Promise<TestLogin> => {
  const { issuer, subject, email } = person.actor;
  const asked = { action: 'agent.delegate', agent: 'bot', durationSeconds: 3600 };
  return fixture.signIn('bot', ['dba-leads'], {
    actor: {
      kind: 'agent',
      issuer: 'https://relay.example',
      subject: `bot:${subject}`,
      email: null,
      actsFor: { issuer, subject, email },
    },
    proof: { kind: 'delegation', digest: '0'.repeat(64) },
    delegation: { login: person.login, request: person.sign(asked) },
  });
};

test('nobody approves for the person or the agent behind the request, and the two have one say', async () => {
  {
    await using fixture = await EvidenceFixture.create();
    const { ana, held, requested, decided, findings } = await story(fixture);
    await held();
    await requested();
    await decided(await agentFor(fixture, ana), { outcome: 'approved' });
    assert.deepEqual(await findings(), ['review-decision-invalid', 'review-unfinished']);
  }
  await using fixture = await EvidenceFixture.create();
  const { ben, dan, held, requested, decided, findings } = await story(fixture, 2);
  await held();
  await requested();
  await decided(ben, { outcome: 'pending' });
  await decided(await agentFor(fixture, ben), { outcome: 'pending' });
  await decided(dan, { outcome: 'approved' });
  assert.deepEqual(await findings(), ['review-decision-invalid']);
});
