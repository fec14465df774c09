/** Policy on commands: allowed, denied, or held for people. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { unknownAuthentication } from '../../src/model/authentication.ts';
import { ExecuteDecision } from '../../src/policy/execute-decision.ts';
import { ExecutePolicy } from '../../src/policy/execute-policy.ts';
import { Policies } from '../../src/policy/policies.ts';
import type { TargetResource } from '../../src/policy/entities.ts';
import { unknownFacts } from '../../src/model/command-facts.ts';
import type { CommandFacts, Effect } from '../../src/model/command-facts.ts';
import { isTargetName } from '../../src/model/ids.ts';
import type { Principal } from '../../src/model/principal.ts';

const ana: Principal = {
  kind: 'person',
  issuer: 'https://idp.example',
  subject: 'u1',
  email: 'ana@example.com',
  groups: ['engineering'],
  actsFor: null,
};
const name = 'db-prod';
assert.ok(isTargetName(name));
const target: TargetResource = { name, protocol: 'postgres', groups: ['prod'] };
const noon = Date.UTC(2026, 10, 20, 12);
const circumstances = {
  timeMs: noon,
  sourceAddress: '192.0.2.7',
  authentication: unknownAuthentication,
  reason: null,
  task: null,
};

const parse = (text: string): Policies => Policies.parse([{ name: 'p.cedar', text }]);
const permit = `@id("engineers") permit(principal in Group::"engineering", action == Action::"execute", resource);\n`;

function facts(effects: readonly Effect[], more: Partial<CommandFacts> = {}): CommandFacts {
  return { effects, relations: [], functions: [], programs: [], ...more };
}

function ask(text: string, asked: CommandFacts, more: Partial<typeof circumstances> = {}) {
  const decision = parse(text).execute(ana, target, { ...circumstances, ...more, facts: asked });
  const needed = decision.needed.map(({ group, count }) => `${group}:${count}`);
  return [decision.kind, decision.policies.join(), needed.join(), decision.errors.join()];
}

test('nothing runs that no permit names: connect is not execute', () => {
  assert.deepEqual(ask('', facts(['read'])), ['deny', '', '', '']);
  assert.deepEqual(ask(`permit(principal, action == Action::"connect", resource);`, facts(['read'])), [
    'deny',
    '',
    '',
    '',
  ]);
  assert.deepEqual(ask(permit, facts(['read'])), ['allow', 'engineers', '', '']);
  assert.deepEqual(ask(permit, unknownFacts), ['allow', 'engineers', '', '']);
});

test('facts decide: effects, relations, functions, programs, unbounded; reason and task of the session', () => {
  const forbid = (condition: string): string =>
    `${permit} @id("no") forbid(principal, action == Action::"execute", resource) when { ${condition} };`;
  const cases: [string, CommandFacts, CommandFacts][] = [
    [
      'context.effects.containsAny(["delete", "unknown"])',
      facts(['delete', 'read']),
      facts(['read', 'write']),
    ],
    ['context.unbounded', facts(['delete', 'unbounded']), facts(['delete'])],
    [
      'context.relations.contains("public.customers")',
      facts(['read'], { relations: ['customers', 'public.customers'] }),
      facts(['read'], { relations: ['customers'] }),
    ],
    [
      'context.functions.contains("dblink")',
      facts(['code'], { functions: ['dblink'] }),
      facts(['code'], { functions: ['f'] }),
    ],
    [
      'context.programs.contains("sh")',
      facts(['file'], { programs: ['sh'] }),
      facts(['file'], { programs: ['gzip'] }),
    ],
    ['["delete"] == context.effects', facts(['delete']), facts(['delete', 'read'])],
  ];
  for (const [condition, denied, allowed] of cases) {
    assert.deepEqual(ask(forbid(condition), denied), ['deny', 'no', '', ''], condition);
    assert.deepEqual(ask(forbid(condition), allowed), ['allow', 'engineers', '', ''], condition);
  }
  const unless = `${permit} @id("no") forbid(principal, action == Action::"execute", resource)
    unless { context has reason && context.reason like "ticket *" && context has task && context.task == "t" };`;
  assert.equal(ask(unless, facts(['read']))[0], 'deny');
  const session = parse(unless).execute(ana, target, {
    ...circumstances,
    reason: 'ticket 4711',
    task: 't',
    facts: facts(['read']),
  });
  assert.equal(session.kind, 'allow');
});

const forbidDelete = (annotation: string, id: string, condition = 'context.effects.contains("delete")') =>
  `@id("${id}") ${annotation} forbid(principal, action == Action::"execute", resource) when { ${condition} };\n`;

test('@review holds instead of denying; a number that is not given is 1; blanks do not matter', () => {
  const text =
    permit + forbidDelete('@review("security ,  dba-leads:2, CN/DBA Leads@corp.example:1")', 'del');
  assert.deepEqual(ask(text, facts(['delete'])), [
    'review',
    'del',
    'CN/DBA Leads@corp.example:1,dba-leads:2,security:1',
    '',
  ]);
  assert.deepEqual(ask(text, facts(['read'])), ['allow', 'engineers', '', '']);
});

test('several reviews: every group of any, with the highest number', () => {
  const text =
    permit +
    forbidDelete('@review("dba:2, security")', 'a') +
    forbidDelete('@review("dba, audit:3")', 'b') +
    forbidDelete('@review("legal")', 'c', 'context.unbounded');
  assert.deepEqual(ask(text, facts(['delete'])), ['review', 'a,b', 'audit:3,dba:2,security:1', '']);
  assert.deepEqual(ask(text, facts(['delete', 'unbounded'])), [
    'review',
    'a,b,c',
    'audit:3,dba:2,legal:1,security:1',
    '',
  ]);
});

test('a plain forbid means never: it outweighs every review, and is named with those that spoke', () => {
  const text =
    permit +
    forbidDelete('@review("dba")', 'held') +
    forbidDelete('', 'never', 'context.effects.contains("delete")');
  assert.deepEqual(ask(text, facts(['delete'])), ['deny', 'held,never', '', '']);
});

const permitForward = `@id("ways") permit(principal, action == Action::"forward", resource);\n`;

test('a way through the server is its own action; a command that makes one beside what else it does needs both', () => {
  const way = facts(['forward'], { destinations: ['db:5432'] });
  const command = facts(['delete', 'forward', 'network', 'unbounded'], { programs: ['rm', 'ssh'] });
  assert.deepEqual(ask(permitForward, way), ['allow', 'ways', '', '']);
  assert.deepEqual(ask(permit, way), ['deny', '', '', '']);
  assert.deepEqual(ask(permitForward, command), ['deny', '', '', '']);
  assert.deepEqual(ask(permit, command), ['deny', '', '', '']);
  assert.deepEqual(ask(permit + permitForward, command), ['allow', 'engineers,ways', '', '']);
  const toTheDatabase =
    '@id("db") permit(principal, action == Action::"forward", resource) when { ["db:5432"].containsAll(context.destinations) };\n';
  assert.deepEqual(ask(permit + toTheDatabase, way), ['allow', 'db', '', '']);
  assert.deepEqual(ask(permit + toTheDatabase, command), ['deny', '', '', '']);
  const never = permit + permitForward + forbidDelete('', 'never');
  assert.deepEqual(ask(never, command), ['deny', 'never', '', '']);
  assert.deepEqual(ask(never, way), ['allow', 'ways', '', '']);
  const forbidWays =
    '@id("no-ways") @review("net:2, dba") forbid(principal, action == Action::"forward", resource);\n';
  assert.deepEqual(ask(permit + permitForward + forbidWays, command), [
    'review',
    'no-ways',
    'dba:1,net:2',
    '',
  ]);
  const both = permit + permitForward + forbidWays + forbidDelete('@review("dba:3")', 'held');
  assert.deepEqual(ask(both, command), ['review', 'held,no-ways', 'dba:3,net:2', '']);
});

test('people are not asked about what would be denied anyway: default deny', () => {
  assert.deepEqual(ask(forbidDelete('@review("dba")', 'held'), facts(['delete'])), ['deny', '', '', '']);
});

test('a policy that fails to evaluate denies, whatever the others say', () => {
  const overflow = 'context.effects.contains("delete") && 9223372036854775807 + 1 > 0';
  for (const annotation of ['', '@review("dba")']) {
    const alone = permit + forbidDelete(annotation, 'overflow', overflow);
    assert.deepEqual(ask(alone, facts(['delete'])), ['deny', '', '', 'overflow']);
    assert.equal(ask(alone, facts(['read']))[0], 'allow');
    const beside = permit + forbidDelete('@review("dba")', 'held') + forbidDelete(annotation, 'o', overflow);
    assert.deepEqual(ask(beside, facts(['delete'])), ['deny', 'held', '', 'o']);
  }
  assert.deepEqual(ask(permit, facts(['read']), { sourceAddress: 'nowhere' }), ['deny', '', '', 'engine']);
});

test('a decision cannot be made by hand, nor changed', () => {
  assert.throws(
    () => ExecuteDecision.mint(Symbol('execute decision'), { kind: 'allow', policies: [] }),
    /only policy\/ decides/,
  );
  const decision = parse(permit).execute(ana, target, { ...circumstances, facts: facts(['delete']) });
  assert.throws(() => Object.assign(decision, { kind: 'deny' }), TypeError);
  assert.throws(() => Object.assign(decision.policies, ['x']), TypeError);
});

function session(policies: () => Policies, wallMs = () => noon, principal = ana): ExecutePolicy {
  return new ExecutePolicy({
    policies,
    principal,
    target,
    sourceAddress: '192.0.2.7',
    authentication: unknownAuthentication,
    reason: null,
    task: null,
    wallMs,
  });
}

test('commands are decided by the groups of now', () => {
  const policies = parse(permit);
  const policy = session(() => policies);
  const read = facts(['read']);
  assert.equal(policy.decide(read).kind, 'allow');
  policy.standing({ ...ana, groups: ['sales'] }, unknownAuthentication);
  assert.equal(policy.decide(read).kind, 'deny');
  policy.standing({ ...ana, groups: ['engineering', 'sales'] }, unknownAuthentication);
  assert.equal(policy.decide(read).kind, 'allow');
});

test('a session asks once for the same facts; facts that no policy looks at make no difference', () => {
  const policies = parse(permit + forbidDelete('@review("dba")', 'held'));
  const policy = session(() => policies);
  const [read, drop] = [facts(['read']), facts(['delete'])];
  const first = policy.decide(read);
  assert.equal(policy.decide(read), first);
  assert.equal(session(() => policies).decide(read), first);
  assert.equal(policy.decide(facts(['read'], { relations: ['t'] })), first);
  assert.equal(policy.decide(drop).kind, 'review');
  const mallory = session(() => policies, undefined, { ...ana, subject: 'u2', groups: [], actsFor: null });
  assert.equal(mallory.decide(read).kind, 'deny');
  assert.equal(policy.decide(read), first);
});

test('what policies look at is never taken for the same', () => {
  const policies = parse(
    `${permit} forbid(principal, action, resource) when { context.sourceAddress.isLoopback() };
    forbid(principal, action == Action::"execute", resource) when { context.relations.contains("t") };`,
  );
  const policy = session(() => policies);
  assert.equal(policy.decide(facts(['read'])).kind, 'allow');
  assert.equal(policy.decide(facts(['read'], { relations: ['t'] })).kind, 'deny');
  assert.equal(policy.decide(facts(['read'], { relations: ['u'] })).kind, 'allow');
});

test('a reload counts from the next command on; a set that is closed denies', () => {
  let policies = parse(permit);
  const policy = session(() => policies);
  const read = facts(['read']);
  assert.equal(policy.decide(read).kind, 'allow');
  const before = policies;
  policies = parse(forbidDelete('', 'x'));
  before.close();
  assert.equal(policy.decide(read).kind, 'deny');
  policies = parse(permit);
  assert.equal(policy.decide(read).kind, 'allow');
  policies.close();
  assert.equal(session(() => policies).decide(read).kind, 'deny');
});

test('policies that read the time are asked again each second; the others never look at the clock', () => {
  const untilSix = parse(
    `${permit} forbid(principal, action == Action::"execute", resource) unless { context.time < datetime("2026-11-20T18:00:00Z") };`,
  );
  let now = Date.UTC(2026, 10, 20, 17, 59, 59, 1);
  const policy = session(
    () => untilSix,
    () => now,
  );
  const read = facts(['read']);
  const first = policy.decide(read);
  assert.equal(first.kind, 'allow');
  now += 998;
  assert.equal(policy.decide(read), first);
  now += 1;
  assert.equal(policy.decide(read).kind, 'deny');

  const elsewhere = parse(
    `${permit} forbid(principal, action == Action::"connect", resource) unless { context.time < datetime("2026-11-20T18:00:00Z") };`,
  );
  const timeless = session(
    () => elsewhere,
    () => assert.fail('the clock was read'),
  );
  assert.equal(timeless.decide(read).kind, 'allow');
});

test('more kinds of commands than a session keeps: still right', () => {
  const policies = parse(permit + forbidDelete('', 'no', 'context.relations.contains("t7")'));
  const policy = session(() => policies);
  const kinds = Array.from({ length: 4200 }, (_, index) =>
    facts(['read'], { relations: [`t${index % 20}`] }),
  );
  for (const [index, kind] of kinds.entries())
    assert.equal(policy.decide(kind).kind, index % 20 === 7 ? 'deny' : 'allow');
});

test('commands that name very much are asked about each time and not kept', () => {
  const policies = parse(permit + forbidDelete('', 'no', 'context.relations.contains("t7")'));
  const policy = session(() => policies);
  const many = facts(['read'], { relations: Array.from({ length: 3000 }, (_, index) => `u${index}`) });
  const first = policy.decide(many);
  assert.equal(first.kind, 'allow');
  assert.notEqual(policy.decide(many), first);
  assert.equal(policy.decide(facts(['read'], { relations: [...many.relations, 't7'] })).kind, 'deny');
});
