/** Ages and classes of sign-ins in policies: what they decide, what is remembered of it, and what a fresh sign-in would lift. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Authentication } from '../../src/model/authentication.ts';
import { unknownFacts } from '../../src/model/command-facts.ts';
import { isTargetName } from '../../src/model/ids.ts';
import type { Principal } from '../../src/model/principal.ts';
import { ExecutePolicy } from '../../src/policy/execute-policy.ts';
import { Policies } from '../../src/policy/policies.ts';

const name = 'db-prod';
assert.ok(isTargetName(name));
const target = { name, protocol: 'postgres', groups: ['prod'] } as const;
const noon = Date.UTC(2026, 10, 20, 12);
const ana: Principal = {
  kind: 'person',
  issuer: 'https://id.example',
  subject: 'u1',
  email: null,
  groups: ['engineering'],
  actsFor: null,
};

const aged = (
  seconds: number | null,
  acr: string | null = null,
  amr: readonly string[] = [],
): Authentication => ({
  timeMs: seconds === null ? null : noon - seconds * 1000,
  acr,
  amr,
});
const parse = (text: string): Policies => Policies.parse([{ name: 'p.cedar', text }]);
const permit = 'permit(principal, action, resource);\n';
const unless = (condition: string, action = 'connect'): string =>
  `${permit}forbid(principal, action == Action::"${action}", resource) unless { ${condition} };`;

const connect = (policies: Policies, authentication: Authentication, principal = ana, timeMs = noon) =>
  policies.connect(principal, target, {
    timeMs,
    sourceAddress: '192.0.2.7',
    authentication,
    durationSeconds: 60,
    reason: null,
    task: null,
  });
const execute = (policies: Policies, authentication: Authentication) =>
  policies.execute(ana, target, {
    timeMs: noon,
    sourceAddress: '192.0.2.7',
    authentication,
    facts: unknownFacts,
    reason: null,
    task: null,
  });

const tenMinutes = 'context has authAgeSeconds && context.authAgeSeconds <= 600';

test('ten minutes: younger may, older and unknown may after a fresh sign-in', () => {
  const policies = parse(unless(tenMinutes));
  assert.equal(connect(policies, aged(0)).decision, 'allow');
  assert.equal(connect(policies, aged(600)).decision, 'allow');
  // A provider whose clock is ahead.
  assert.equal(connect(policies, aged(-30)).decision, 'allow');
  for (const old of [aged(601), aged(86_400), aged(null)]) {
    const denied = connect(policies, old);
    assert.equal(denied.decision, 'deny');
    assert.deepEqual(denied.stepUp, { maxAgeSeconds: 600, acr: null });
  }
});

test('an age is never answered from memory past the second in which it changes the answer', () => {
  const policies = parse(unless(tenMinutes));
  const signedIn = aged(590);
  assert.equal(connect(policies, signedIn).decision, 'allow');
  assert.equal(connect(policies, signedIn, ana, noon + 10_000).decision, 'allow');
  assert.equal(connect(policies, signedIn, ana, noon + 11_000).decision, 'deny');
  let now = noon;
  const executing = parse(unless(tenMinutes, 'execute'));
  const session = new ExecutePolicy({
    policies: () => executing,
    principal: ana,
    target,
    sourceAddress: '192.0.2.7',
    reason: null,
    task: null,
    authentication: aged(590),
    wallMs: () => now,
  });
  assert.equal(session.decide(unknownFacts).kind, 'allow');
  assert.equal(session.decide(unknownFacts), session.decide(unknownFacts));
  now = noon + 11_000;
  const denied = session.decide(unknownFacts);
  assert.equal(denied.kind, 'deny');
  assert.deepEqual(denied.stepUp, { maxAgeSeconds: 600, acr: null });
  session.standing(ana, { ...aged(0), timeMs: now });
  assert.equal(session.decide(unknownFacts).kind, 'allow');
  session.standing(ana, aged(null));
  assert.equal(session.decide(unknownFacts).kind, 'deny');
});

test('where no policy reads the age, neither the clock is read nor anything asked twice', () => {
  const policies = parse(unless('context.amr.contains("otp")', 'execute'));
  const session = new ExecutePolicy({
    policies: () => policies,
    principal: ana,
    target,
    sourceAddress: '192.0.2.7',
    reason: null,
    task: null,
    authentication: aged(10, null, ['otp']),
    wallMs: () => assert.fail('the clock was read'),
  });
  assert.equal(session.decide(unknownFacts).kind, 'allow');
  assert.equal(session.decide(unknownFacts), session.decide(unknownFacts));
  assert.equal(execute(policies, aged(10, null, ['otp'])), execute(policies, aged(999, null, ['otp'])));
  assert.equal(execute(policies, aged(10, null, ['pwd'])).kind, 'deny');
});

test('a class of authentication is named when it, and not the age, is what is missing', () => {
  const policies = parse(unless('context has acr && ["urn:mfa", "urn:hw"].contains(context.acr)'));
  assert.equal(connect(policies, aged(9999, 'urn:hw')).decision, 'allow');
  const denied = connect(policies, aged(0, 'urn:pwd'));
  assert.deepEqual(denied.stepUp, { maxAgeSeconds: null, acr: 'urn:mfa' });
  const both = parse(unless(`${tenMinutes} && context has acr && context.acr == "urn:mfa"`));
  assert.deepEqual(connect(both, aged(0, null)).stepUp, { maxAgeSeconds: 600, acr: 'urn:mfa' });
  assert.deepEqual(connect(both, aged(601, 'urn:mfa')).stepUp, { maxAgeSeconds: 600, acr: null });
  // What cannot stand in acr_values is asked of nobody.
  const odd = parse(unless('context has acr && context.acr == "two words"'));
  assert.equal(connect(odd, aged(0)).stepUp, null);
});

test('nobody is sent to sign in where that would not help', () => {
  const never = parse(`${unless(tenMinutes)}\n forbid(principal, action, resource);`);
  assert.equal(connect(never, aged(9999)).stepUp, null);
  // The younger the worse.
  const odd = parse(unless('context has authAgeSeconds && context.authAgeSeconds > 60'));
  assert.equal(connect(odd, aged(1)).stepUp, null);
  for (const kind of ['service', 'agent'] as const)
    assert.equal(connect(parse(unless(tenMinutes)), aged(null), { ...ana, kind }).stepUp, null);
  const failing = parse(`${unless(tenMinutes)}\n forbid(principal, action == Action::"connect", resource)
    when { context has authAgeSeconds && context.authAgeSeconds + 9223372036854775807 > 0 };`);
  const denied = connect(failing, aged(9999));
  assert.equal(denied.decision, 'deny');
  assert.equal(denied.stepUp, null);
});

test('`<` and sums: what is asked for is what the policies let through', () => {
  assert.deepEqual(
    connect(parse(unless('context has authAgeSeconds && context.authAgeSeconds < 600')), aged(600)).stepUp,
    { maxAgeSeconds: 599, acr: null },
  );
  assert.deepEqual(
    connect(parse(unless('context has authAgeSeconds && context.authAgeSeconds + 10 <= 70')), aged(600))
      .stepUp,
    { maxAgeSeconds: 0, acr: null },
  );
});

test('a command that a fresh sign-in would bring before people is told to sign in first', () => {
  const policies = parse(
    `${unless(tenMinutes, 'execute')}\n @review("dba") forbid(principal, action == Action::"execute", resource);`,
  );
  assert.deepEqual(execute(policies, aged(601)).stepUp, { maxAgeSeconds: 600, acr: null });
  assert.equal(execute(policies, aged(1)).kind, 'review');
});
