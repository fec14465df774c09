import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { unknownAuthentication } from '../../src/model/authentication.ts';
import { Policies } from '../../src/policy/policies.ts';
import { PolicyError } from '../../src/policy/error.ts';
import { Decision } from '../../src/policy/decision.ts';
import type { ConnectCircumstances } from '../../src/policy/request.ts';
import type { Principal } from '../../src/model/principal.ts';
import type { TargetResource } from '../../src/policy/entities.ts';
import { isSessionId, isTargetName } from '../../src/model/ids.ts';

const ana: Principal = {
  kind: 'person',
  issuer: 'https://idp.example',
  subject: 'u1',
  email: 'ana@example.com',
  groups: ['engineering'],
  actsFor: null,
};

function target(name = 'db-prod', groups: string[] = ['prod']): TargetResource {
  assert.ok(isTargetName(name));
  return { name, protocol: 'postgres', groups };
}

const noon: ConnectCircumstances = {
  timeMs: Date.UTC(2026, 10, 20, 12),
  sourceAddress: '192.0.2.7',
  authentication: unknownAuthentication,
  durationSeconds: 3600,
  reason: null,
  task: null,
};

const parse = (text: string): Policies => Policies.parse([{ name: 'p.cedar', text }]);
const engineers = `@id("engineers")\npermit(principal in Group::"engineering", action == Action::"connect", resource in TargetGroup::"prod");\n`;

test('no policy: everybody is denied everything, and no policy is named', () => {
  const decision = Policies.parse([]).connect(ana, target(), noon);
  assert.deepEqual(
    [decision.decision, decision.policies, decision.errors, decision.allows('connect', ana, 'db-prod')],
    ['deny', [], [], false],
  );
});

test('a permit allows those that it names, there, for that action, and is named', () => {
  const policies = parse(engineers);
  const decision = policies.connect(ana, target(), noon);
  assert.deepEqual([decision.decision, decision.policies], ['allow', ['engineers']]);
  assert.equal(policies.connect({ ...ana, groups: ['sales'] }, target(), noon).decision, 'deny');
  assert.equal(policies.connect({ ...ana, groups: [] }, target(), noon).decision, 'deny');
  assert.equal(policies.connect(ana, target('db-dev', ['dev']), noon).decision, 'deny');
  assert.equal(policies.administer(ana, noon).decision, 'deny');
});

test('forbid wins over every permit, whatever the order', () => {
  const forbid = `@id("no-contractors") forbid(principal in Group::"contractors", action, resource);\n`;
  const contractor = { ...ana, groups: ['contractors', 'engineering'] };
  for (const text of [engineers + forbid, forbid + engineers]) {
    const decision = parse(text).connect(contractor, target(), noon);
    assert.deepEqual([decision.decision, decision.policies], ['deny', ['no-contractors']]);
    assert.equal(parse(text).connect(ana, target(), noon).decision, 'allow');
  }
});

test('a decision answers for its own principal, action and resource only, and cannot be made by hand', () => {
  const decision = parse(engineers).connect(ana, target(), noon);
  assert.equal(decision.allows('connect', ana, 'db-prod'), true);
  assert.equal(decision.allows('connect', { ...ana, subject: 'u2' }, 'db-prod'), false);
  assert.equal(decision.allows('connect', { ...ana, issuer: 'https://other.example' }, 'db-prod'), false);
  assert.equal(decision.allows('connect', ana, 'db-dev'), false);
  assert.equal(decision.allows('execute', ana, 'db-prod'), false);
  const forged = { principal: ana, action: 'connect', resource: 'db-prod' } as const;
  assert.throws(
    () =>
      Decision.mint(Symbol('decision'), forged, {
        decision: 'allow',
        policies: [],
        errors: [],
        stepUp: null,
      }),
    /only policy\/ decides/,
  );
  assert.throws(() => Object.assign(decision, { decision: 'allow' }), TypeError);
});

test('the same subject of another issuer is another person, and e-mail is no identity', () => {
  const policies = parse(
    `permit(principal == Person::"https://idp.example#u1", action == Action::"connect", resource);`,
  );
  assert.equal(policies.connect(ana, target(), noon).decision, 'allow');
  assert.equal(policies.connect({ ...ana, email: null }, target(), noon).decision, 'allow');
  assert.equal(policies.connect({ ...ana, issuer: 'https://evil.example' }, target(), noon).decision, 'deny');
  assert.equal(policies.connect({ ...ana, kind: 'agent' }, target(), noon).decision, 'deny');
  const glued = { ...ana, issuer: 'https://idp.example#u1', subject: '' };
  assert.equal(policies.connect(glued, target(), noon).decision, 'deny');
  const shifted = { ...ana, issuer: 'https://idp.example#u', subject: '1' };
  assert.deepEqual(policies.connect(shifted, target(), noon).errors, ['engine']);
});

test('context: reason, duration, address and time decide, and time is never served from the cache', () => {
  const policies = parse(`
    permit(principal, action == Action::"connect", resource) when {
      context has reason && context.durationSeconds <= 3600 && context.sourceAddress.isInRange(ip("192.0.2.0/24"))
    };
    forbid(principal, action, resource) unless { context.time < datetime("2026-11-20T18:00:00Z") };`);
  const good = { ...noon, reason: 'ticket 4711' };
  const decide = (circumstances: ConnectCircumstances) =>
    policies.connect(ana, target(), circumstances).decision;
  assert.equal(decide(good), 'allow');
  assert.equal(decide(noon), 'deny');
  assert.equal(decide({ ...good, durationSeconds: 3601 }), 'deny');
  assert.equal(decide({ ...good, sourceAddress: '198.51.100.1' }), 'deny');
  assert.equal(decide({ ...good, sourceAddress: '::ffff:192.0.2.9' }), 'allow');
  assert.equal(decide({ ...good, timeMs: Date.UTC(2026, 10, 20, 18) }), 'deny');
});

test('sessions: their owner, those who look after the target, and nobody else', () => {
  const policies = parse(`
    @id("own") permit(principal, action in [Action::"kill", Action::"readEvidence"], resource is Session) when { context.own };
    @id("leads") permit(principal in Group::"leads", action == Action::"kill", resource in TargetGroup::"prod");
    @id("reviewers") permit(principal in Group::"leads", action in [Action::"review", Action::"unseal"], resource is Session) unless { context.own };
    @id("auditors") permit(principal in Group::"auditors", action == Action::"readEvidence", resource);`);
  const id = '01JD0000000000000000000000';
  assert.ok(isSessionId(id));
  const session = { session: id, target: target(), owner: ana };
  const bob: Principal = { ...ana, subject: 'u2', email: 'ana@example.com', groups: [], actsFor: null };
  const seen = (principal: Principal) =>
    [
      policies.kill(principal, session, noon),
      policies.readEvidence(principal, session, noon),
      policies.readEvidence(principal, null, noon),
      policies.review(principal, session, noon),
      policies.unseal(principal, session, noon),
    ].map((decision) => decision.policies.join() || decision.decision);
  assert.deepEqual(seen(ana), ['own', 'own', 'deny', 'deny', 'deny']);
  assert.deepEqual(seen({ ...ana, groups: ['leads'] }).slice(3), ['deny', 'deny']);
  assert.deepEqual(seen(bob), ['deny', 'deny', 'deny', 'deny', 'deny']);
  assert.deepEqual(seen({ ...bob, groups: ['leads'] }), ['leads', 'deny', 'deny', 'reviewers', 'reviewers']);
  assert.deepEqual(seen({ ...bob, groups: ['auditors'] }), ['deny', 'auditors', 'auditors', 'deny', 'deny']);
});

test('a policy that fails to evaluate denies, even when it is a forbid that Cedar would skip', () => {
  const policies = parse(`
    permit(principal, action == Action::"connect", resource);
    @id("overflow") forbid(principal, action == Action::"connect", resource) when {
      context.durationSeconds * 9223372036854775807 > 0
    };`);
  const decision = policies.connect(ana, target(), noon);
  assert.deepEqual([decision.decision, decision.errors], ['deny', ['overflow']]);
  assert.equal(policies.connect(ana, target(), { ...noon, durationSeconds: 0 }).decision, 'allow');
});

test('what the engine refuses is denied: values that do not fit, a set that is gone', () => {
  const policies = parse('permit(principal, action, resource);');
  for (const circumstances of [
    { ...noon, sourceAddress: 'not an address' },
    { ...noon, durationSeconds: 1.5 },
    { ...noon, timeMs: Number.NaN },
  ]) {
    const decision = policies.connect(ana, target(), circumstances);
    assert.deepEqual([decision.decision, decision.errors], ['deny', ['engine']]);
  }
  assert.equal(policies.connect(ana, target(), noon).decision, 'allow');
  policies.close();
  assert.equal(policies.connect(ana, target(), noon).decision, 'deny');
});

test('the cache keeps decisions apart by everything that a policy can see', () => {
  const policies = parse(
    `permit(principal, action == Action::"connect", resource) when { principal has email && principal.email like "*@example.com" };`,
  );
  assert.equal(
    policies.connect(ana, target(), noon),
    policies.connect({ ...ana }, target(), { ...noon, timeMs: 1 }),
  );
  assert.equal(policies.connect({ ...ana, email: 'ana@evil.example' }, target(), noon).decision, 'deny');
  assert.equal(policies.connect({ ...ana, email: null }, target(), noon).decision, 'deny');
  assert.equal(policies.connect(ana, target(), noon).decision, 'allow');
});

test('more shapes than the cache holds: still right', () => {
  const policies = parse(engineers);
  for (let subject = 0; subject < 10_050; subject++) {
    const person = { ...ana, subject: `u${subject}`, groups: subject % 2 === 0 ? ['engineering'] : [] };
    if (subject > 9_990 || subject < 10)
      assert.equal(policies.connect(person, target(), noon).decision, subject % 2 === 0 ? 'allow' : 'deny');
    else policies.connect(person, target(), noon);
  }
  assert.equal(policies.connect({ ...ana, subject: 'u0' }, target(), noon).decision, 'allow');
});

const head = `forbid(principal, action == Action::"execute", resource)`;
const review = (text: string): string => `// @review\n @id("é") @review("${text}")\n${head};`;
const wrongReviews: [string, string, RegExp][] = [
  ['review of nobody', review(''), /^p\.cedar:2:11: @review names who approves/],
  ['review without text', `@review\n${head};`, /^p\.cedar:1:1: @review names who approves/],
  ['review by zero', review('dba:0'), /^p\.cedar:2:11: @review: "0" is no number of people from 1 to 99/],
  ['review by many', review('dba:100'), /^p\.cedar:2:11: @review: "100"/],
  ['review by a fraction', review('dba:1.5'), /^p\.cedar:2:11: @review: "1\.5"/],
  ['two numbers', review('dba:1:2'), /^p\.cedar:2:11: .*is no group, or group:number/],
  ['empty group', review('dba,,security'), /^p\.cedar:2:11: @review: "" is no group/],
  ['odd group', review("dba' or 1"), /^p\.cedar:2:11: .*is no group/],
  ['invisible in a group', review('dba\u200bleads'), /^p\.cedar:2:11: .*is no group/],
  ['group twice', review('dba:1, dba:2'), /^p\.cedar:2:11: @review names dba twice/],
  [
    'review on a permit',
    `@review("dba")\npermit(principal, action == Action::"execute", resource);`,
    /^p\.cedar:1:1: @review stands on a forbid/,
  ],
  [
    'review of something else',
    `@review("dba") forbid(principal, action == Action::"connect", resource);`,
    /^p\.cedar:1:1: @review holds commands/,
  ],
  [
    'review of everything',
    `@review("dba") forbid(principal, action, resource);`,
    /^p\.cedar:1:1: @review holds commands/,
  ],
  ['review misspelt', `@Reviewers("dba")\n${head};`, /^p\.cedar:1:1: did you mean @review\?/],
  [
    'unknown effect',
    `${head}\n  when { context.effects.contains("deletes") };`,
    /^p\.cedar:2:35: unknown effect "deletes"; known are code, /,
  ],
  [
    'unknown effect among others',
    `${head} when { ["read", "reed"].containsAll(context.effects) };`,
    /^p\.cedar:1:74: unknown effect "reed"/,
  ],
  ['unknown effect compared', `${head} when { context.effects == ["raed"] };`, /unknown effect "raed"/],
];

/** Each wrong text, and where and what is said about it. */
const wrong: [string, string, RegExp][] = [
  [
    'misspelt action',
    `// é\npermit(principal, action == Action::"conect", resource);`,
    /^p\.cedar:2:29: unrecognized action .*did you mean/,
  ],
  [
    'unknown attribute',
    `permit(principal, action == Action::"connect", resource)\nwhen { principal.mail == "x" };`,
    /^p\.cedar:2:8: .*`mail`.*not found/,
  ],
  [
    'unknown context',
    `permit(principal, action == Action::"connect", resource)\n  when { context.ip == "x" };`,
    /^p\.cedar:2:10: .*`ip`/,
  ],
  [
    'optional attribute unguarded',
    `permit(principal, action == Action::"connect", resource) when { principal.email == "x" };`,
    /^p\.cedar:1:65: .*email/,
  ],
  [
    'wrong type',
    `permit(principal, action == Action::"connect", resource) when { context.durationSeconds == "1h" };`,
    /^p\.cedar:1:65: .*types/,
  ],
  ['unknown entity type', `permit(principal in Team::"x", action, resource);`, /^p\.cedar:1:21: .*Team/],
  [
    'not for this action',
    `forbid(principal, action == Action::"connect", resource is Session);`,
    /^p\.cedar:1:1: .*(applicable action|impossible)/,
  ],
  [
    'never true',
    `@id("x")\nforbid(principal, action == Action::"connect", resource) when { false };`,
    /^p\.cedar:1:1: .*impossible/,
  ],
  [
    'syntax',
    `permit(principal, action, resource);\n\npermit(principal, action resource);`,
    /^p\.cedar:3:26: unexpected token/,
  ],
  ['no end', `permit(principal, action, resource)`, /^p\.cedar:1:36: unexpected end/],
  ['stray text', `permit(principal, action, resource);\nhello`, /^p\.cedar:2:/],
  ['template', `permit(principal == ?principal, action, resource);`, /^p\.cedar:1:21: .*template/],
  ['bad id', `\n @id("a b") permit(principal, action, resource);`, /^p\.cedar:2:2: @id must be/],
  [
    'repeated id',
    `@id("a") permit(principal, action, resource);\n@id("a") forbid(principal, action, resource);`,
    /^p\.cedar:2:1: the id a is already used at p\.cedar:1$/,
  ],
  ['unknown function', `permit(principal, action, resource) when { exec("x") };`, /^p\.cedar:1:/],
  ...wrongReviews,
];

for (const [name, text, expected] of wrong)
  test(`refused with its place: ${name}`, () => {
    assert.throws(
      () => parse(text),
      (error: unknown) => {
        assert.ok(error instanceof PolicyError);
        assert.equal(error.code, 'policy-invalid');
        const { file, line, column, message } = error.problems[0]!;
        assert.match(`${file}:${line}:${column}: ${message}`, expected);
        assert.ok(error.message.includes(`${file}:${line}:${column}`));
        return true;
      },
    );
  });

test('all problems of all files are told at once', () => {
  assert.throws(
    () =>
      Policies.parse([
        { name: 'a.cedar', text: 'permit(principal, acton, resource);\nforbid(principal, action, resourc);' },
        { name: 'b.cedar', text: 'permit;' },
      ]),
    (error: unknown) => {
      assert.ok(error instanceof PolicyError);
      assert.deepEqual(
        error.problems.map(({ file, line }) => `${file}:${line}`),
        ['a.cedar:1', 'a.cedar:2', 'b.cedar:1'],
      );
      return true;
    },
  );
});

test('semicolons, slashes and quotes inside strings and comments do not cut a policy', () => {
  const policies = parse(`
// a comment; with "quotes" and ;
@id("one") // another ; one
permit(principal, action == Action::"connect", resource) when { // "
  context has reason && context.reason == "a;b // c \\"; \\\\"
};
permit(principal in Group::"x//y;", action == Action::"kill", resource);`);
  assert.deepEqual(policies.ids, ['one', 'p.cedar:7']);
  const reason = 'a;b // c "; \\';
  assert.equal(policies.connect(ana, target(), { ...noon, reason }).decision, 'allow');
  assert.equal(policies.policy('p.cedar:7')?.effect, 'permit');
  assert.equal(policies.policy('nobody'), null);
});

test('files are read from disk; one that is missing stops the start', (context) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-policy-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const file = path.join(directory, 'a.cedar');
  writeFileSync(file, engineers);
  assert.equal(Policies.load([file]).connect(ana, target(), noon).decision, 'allow');
  assert.throws(() => Policies.load([file, `${file}.gone`]), { code: 'policy-unreadable' });
  const latin = path.join(directory, 'latin.cedar');
  writeFileSync(latin, Buffer.from('// \xe9\n', 'latin1'));
  assert.throws(() => Policies.load([latin]), /is not UTF-8/);
  assert.deepEqual(Policies.load([file]).files, [
    { name: file, sha256: createHash('sha256').update(engineers).digest('hex') },
  ]);
});

test('whoever may connect and run nothing is a likely mistake: a warning, not an error', () => {
  const both = 'action in [Action::"connect", Action::"execute"]';
  assert.match(parse(engineers).warnings.join(), /none permits execute/);
  assert.deepEqual(parse(`permit(principal, ${both}, resource);`).warnings, []);
  assert.deepEqual(parse('permit(principal, action, resource);').warnings, []);
  assert.deepEqual(parse('forbid(principal, action == Action::"connect", resource);').warnings, []);
});

test('an agent is in its own groups, the person for whom it acts in theirs, and policy tells them apart', () => {
  const { issuer, subject, email, groups } = ana;
  const agent: Principal = {
    kind: 'agent',
    issuer: 'https://relay.example',
    subject: 'assistant:1',
    email: null,
    groups: ['assistants'],
    actsFor: { issuer, subject, email, groups },
  };
  const policies = Policies.parse([
    {
      name: 'p.cedar',
      text: `
    @id("people") permit(principal in Group::"engineering", action == Action::"connect", resource);
    @id("agents") permit(principal is Agent in Group::"assistants", action == Action::"connect", resource)
      when { principal has actsFor && principal.actsFor in Group::"engineering" };
    @id("delegate") permit(principal in Group::"engineering", action == Action::"delegate", resource in Group::"assistants")
      when { context.durationSeconds <= 1800 };
    @id("own") permit(principal, action == Action::"kill", resource is Session) when { context.own };`,
    },
  ]);
  const by = (who: Principal) => policies.connect(who, target(), noon).policies;
  assert.deepEqual(by(ana), ['people']);
  assert.deepEqual(by(agent), ['agents'], 'never by the rule for people');
  assert.deepEqual(by({ ...agent, actsFor: null }), []);
  assert.deepEqual(by({ ...agent, groups: [] }), []);
  assert.deepEqual(by({ ...agent, actsFor: { issuer, subject, email, groups: ['sales'] } }), []);
  const alone = { ...agent, actsFor: null };
  const delegates = (who: Principal, to: Principal, durationSeconds: number) =>
    policies.delegate(who, to, { ...noon, durationSeconds }).decision;
  assert.equal(delegates(ana, alone, 1800), 'allow');
  assert.equal(delegates(ana, alone, 3600), 'deny');
  assert.equal(delegates(ana, { ...alone, groups: [] }, 60), 'deny');
  assert.equal(delegates({ ...agent, groups: ['engineering'] }, alone, 60), 'deny', 'an agent has no agent');
  const id = '01JD0000000000000000000001';
  assert.ok(isSessionId(id));
  const kills = (who: Principal) =>
    policies.kill(who, { session: id, target: target(), owner: agent }, noon).decision;
  assert.equal(kills(agent), 'allow');
  assert.equal(kills(ana), 'allow', 'what her agent does is hers to end');
  const forBen = { issuer, subject: 'ben', email: null, groups: [] };
  assert.equal(kills({ ...agent, actsFor: forBen }), 'deny', 'the same agent for somebody else');
  const decision = policies.connect(agent, target(), noon);
  assert.ok(decision.allows('connect', agent, 'db-prod'));
  assert.ok(!decision.allows('connect', { ...agent, actsFor: forBen }, 'db-prod'));
});
