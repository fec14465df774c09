import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { loadConfig } from '../../src/relay/config/config.ts';
import { Explainer } from '../../src/relay/explain.ts';
import { PolicyTestError } from '../../src/relay/policy-test-error.ts';
import { runPolicyTests } from '../../src/relay/policy-tests.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-policy-tests-'));
after(() => rmSync(directory, { recursive: true }));

function write(name: string, content: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, content);
  return file;
}

const yaml = write(
  'relay.yaml',
  `dataDir: .
policies: [policy.cedar]
targets:
  db-prod: { protocol: postgres, host: h, database: a, user: u, groups: [prod] }
  db-dev: { protocol: postgres, host: h, database: a, user: u, groups: [dev] }
`,
);
write(
  'policy.cedar',
  `@id("engineers")
permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource in TargetGroup::"prod");
@id("deletes") @review("dba-leads:2, security")
forbid (principal, action == Action::"execute", resource) when { context.effects.contains("delete") };
@id("no-schema")
forbid (principal, action == Action::"execute", resource) when { context.effects.contains("schema") };
@id("contractors-say-why")
forbid (principal in Group::"contractors", action == Action::"execute", resource) unless { context has reason };
`,
);
const config = await loadConfig(yaml);

/** The issuer that policies see. */
async function issuerOf(
  name: string,
  identity: string,
  kind: 'person' | 'service' | 'agent',
): Promise<string> {
  const issuers = ['https://relay.example', 'https://relay.example/idp', 'https://idp.example'];
  const policies = issuers.map(
    (issuer) =>
      `@id("${issuer}") permit (principal, action == Action::"connect", resource) when { principal.issuer == "${issuer}" };`,
  );
  write(`${name}.cedar`, policies.join('\n'));
  const file = write(
    `${name}.yaml`,
    `dataDir: .
publicUrl: https://relay.example
behindProxy: { trusted: [127.0.0.1] }
policies: [${name}.cedar]
${identity}
targets: { db: { protocol: postgres, host: h, database: a, user: u } }
`,
  );
  const explainer = await Explainer.open(await loadConfig(file));
  const { policies: spoke } = explainer.explain({ target: 'db', user: null, kind, from: '192.0.2.1' });
  explainer.close();
  return spoke.map(({ id }) => id).join();
}

test('who is asked about has the issuer that they have at this relay', async () => {
  const upstream = 'identity: { upstream: { kind: oidc, issuer: https://idp.example, clientId: hoop } }';
  const direct = 'identity: { issuer: https://idp.example, clientId: hoop }';
  assert.equal(await issuerOf('embedded', '', 'person'), 'https://relay.example/idp');
  assert.equal(await issuerOf('broker', upstream, 'person'), 'https://idp.example');
  assert.equal(await issuerOf('direct', direct, 'person'), 'https://idp.example');
  assert.equal(await issuerOf('service', direct, 'service'), 'https://relay.example');
  assert.equal(await issuerOf('agent', '', 'agent'), 'https://relay.example');
});

test('a command is explained: facts of each statement, the decision on the whole, its policies and reviewers', async () => {
  const explainer = await Explainer.open(config);
  const ask = (sql: string | undefined, group = ['engineering'], target = 'db-prod') =>
    explainer.explain({ target, user: null, kind: 'person', from: '192.0.2.1', group, sql });
  const read = ask('select * from customers');
  assert.deepEqual([read.action, read.decision, read.policies[0]?.id], ['execute', 'allow', 'engineers']);
  assert.deepEqual(read.command?.facts.relations, ['customers']);

  const held = ask('select 1; delete from public.orders where id = 7');
  assert.deepEqual(
    [held.decision, held.policies.map(({ id, line }) => [id, line])],
    ['review', [['deletes', 3]]],
  );
  assert.deepEqual(held.needed, [
    { group: 'dba-leads', count: 2 },
    { group: 'security', count: 1 },
  ]);
  assert.deepEqual(
    held.command?.statements.map(({ facts }) => facts.effects),
    [['read'], ['delete']],
  );
  assert.deepEqual(ask('drop table t; delete from t').decision, 'deny');
  assert.equal(ask('this is no sql').decision, 'allow');
  assert.deepEqual(ask('this is no sql').command?.facts.effects, ['unknown']);

  const outside = ask('select 1', ['engineering'], 'db-dev');
  assert.deepEqual([outside.action, outside.decision, outside.command], ['connect', 'deny', null]);
  assert.throws(() => ask('select 1', [], 'nowhere'), { code: 'target-unknown' });
  explainer.close();
});

test('expectations: what is as expected passes, each difference is told with its place', async () => {
  const file = write(
    'expectations.yaml',
    `tests:
  - { name: connect, groups: [engineering], target: db-prod, expect: allow, policies: [engineers] }
  - name: delete
    groups: [engineering]
    target: db-prod
    sql: delete from customers
    expect: review
    needed: { security: 1, dba-leads: 2 }
    policies: [deletes]
  - { groups: [], target: db-prod, sql: select 1, expect: allow }
  - { name: schema, groups: [engineering], target: db-prod, sql: drop table t, expect: review, policies: [deletes] }
  - { name: fewer, groups: [engineering], target: db-prod, sql: delete from t, expect: review, needed: { dba-leads: 2 } }
  - { name: nowhere, target: db-test, expect: deny }
  - name: contractors
    groups: [contractors, engineering]
    target: db-prod
    sql: select 1
    reason: ticket 4711
    expect: allow
`,
  );
  const results = await runPolicyTests(config, file);
  assert.deepEqual(
    results.map(({ name, line, passed, differences }) => [name, line, passed, differences]),
    [
      ['connect', 2, true, []],
      ['delete', 3, true, []],
      [`${file}:10`, 10, false, ['expected allow, got deny, already to connect (no policy)']],
      ['schema', 11, false, ['expected review, got deny (no-schema)', 'expected deletes, got no-schema']],
      ['fewer', 12, false, ['expected approval by dba-leads (2), got dba-leads (2), security (1)']],
      ['nowhere', 13, false, ['the configuration has no target db-test']],
      ['contractors', 14, true, []],
    ],
  );
});

test('a file that says something unknown is refused with every place: a misspelt expectation never passes', async () => {
  const refused = async (content: string): Promise<string> => {
    const file = write('wrong.yaml', content);
    try {
      await runPolicyTests(config, file);
    } catch (error) {
      assert.ok(error instanceof PolicyTestError);
      assert.equal(error.code, 'policy-test-invalid');
      return error.problems.map((line) => line.replace(`${file}:`, '')).join('\n');
    }
    return assert.fail('it was taken');
  };
  assert.match(
    await refused(
      'tests:\n  - { target: db-prod, expect: alow }\n  - { target: db-prod, expct: deny, expect: deny }\n',
    ),
    /^2:\d+: tests\.0\.expect: .*allow.*\n3:\d+: tests\.1: .*expct/,
  );
  assert.match(await refused('tests: []\n'), /^1:8: tests: /);
  assert.match(await refused('test:\n  - {}\n'), /tests/);
  assert.match(await refused('tests: [\n'), /^\d+:\d+: /);
  await assert.rejects(runPolicyTests(config, path.join(directory, 'none.yaml')), {
    code: 'policy-test-unreadable',
  });
});

test('the example of the documentation holds', async () => {
  const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/policy.md'), 'utf8');
  const [example] = /^tests:\n(?: .*\n|\n)+/m.exec(page) ?? assert.fail('docs/policy.md has no example');
  const [policies] = /```cedar\n([^]*?)```/.exec(page)?.slice(1) ?? assert.fail('no policies there');
  write('policy.cedar', policies!);
  const results = await runPolicyTests(config, write('documented.yaml', example));
  assert.deepEqual(
    results.flatMap(({ differences }) => differences),
    [],
  );
  assert.ok(results.length >= 3);
});
