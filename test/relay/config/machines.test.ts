/** `identity.machines`: what a rule means, and rules that would let in others than meant. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { parseConfig } from '../../../src/relay/config/config.ts';
import { ConfigError } from '../../../src/relay/config/error.ts';

const parse = (rule: string, identity = '') =>
  parseConfig('/etc/hoop/relay.yaml', `dataDir: .\nidentity:\n${identity}  machines: [${rule}]\n`).machines;

test('a rule with its defaults; values are texts, and a slash at the end of an issuer counts', () => {
  const rules = parse(
    '{ name: ci, issuer: https://ci.example/, conditions: { project_path: [acme/a, acme/b], ref_protected: true, project_id: 7 }, groups: [jobs] }',
  );
  const [rule] = rules;
  assert.deepEqual([rule?.issuer, rule?.audience], ['https://ci.example/', 'http://localhost:7443']);
  assert.deepEqual(
    [rule?.kind, rule?.subject, rule?.actor, rule?.lifetimeMs],
    ['service', null, null, 3_600_000],
  );
  const texts = rule?.conditions.map(({ claim, anyOf }) => [claim, anyOf.map(({ text }) => text)]);
  assert.deepEqual(texts, [
    ['project_path', ['acme/a', 'acme/b']],
    ['ref_protected', ['true']],
    ['project_id', ['7']],
  ]);
});

const whole = 'name: ci, issuer: https://ci.example, groups: [jobs]';
const wrong: readonly (readonly [rule: string, path: string, message: RegExp, identity?: string])[] = [
  [`{ ${whole} }`, 'identity.machines.0.conditions', /other customers/],
  [`{ ${whole}, subject: "**" }`, 'identity.machines.0.subject', /other customers/],
  [
    `{ ${whole}, conditions: { repository: ["*/*", acme/shop] } }`,
    'identity.machines.0.conditions',
    /other customers/,
  ],
  [`{ ${whole}, subject: "repo:acme**" }`, 'identity.machines.0.subject', /as a whole part/],
  [
    `{ name: ci, issuer: http://ci.example, groups: [jobs], subject: a }`,
    'identity.machines.0.issuer',
    /https/,
  ],
  [
    `{ name: ci, issuer: https://ci.example, groups: [], subject: a }`,
    'identity.machines.0.groups',
    /at least one group/,
  ],
  [`{ ${whole}, subject: a, lifetime: 2h }`, 'identity.machines.0.lifetime', /1h/],
  [`{ ${whole}, subject: a, kind: person }`, 'identity.machines.0.kind', /service or agent/],
  [`{ ${whole}, subject: a, actor: bot }`, 'identity.machines.0.actor', /kind must be agent/],
  [`{ ${whole}, kind: agent, subject: a, actor: "*" }`, 'identity.machines.0.actor', /name the agents/],
  [`{ ${whole}, subject: a }, { ${whole}, subject: b }`, 'identity.machines.1.name', /two rules/],
  [
    `{ ${whole}, kind: agent, actor: bot }`,
    'identity.machines.0.issuer',
    /identity\.issuer/,
    '  issuer: https://login.example\n  clientId: hoop\n',
  ],
];

for (const [rule, where, message, identity] of wrong)
  test(`refused: ${rule}`, () => {
    assert.throws(
      () => parse(rule, identity),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        const problem = error.problems.find(({ path }) => path === where);
        assert.match(problem?.message ?? `nothing at ${where}: ${error.message}`, message);
        return true;
      },
    );
  });
