/** What an operator does beside the relay, with the real binary. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hoop, hoopBinary, stopAll, type Finished } from '../../src/cli/demo/hoop.ts';
import { environmentOf } from '../../src/cli/demo/installation.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-operator-'));
after(async () => {
  await stopAll();
  rmSync(directory, { recursive: true });
});
const env = environmentOf(directory);
const relayDirectory = path.join(directory, 'data/hoop/relay');

const run = (line: string, input = ''): Promise<Finished> => hoop(line.split(' '), { env, input });

async function json(line: string, input = ''): Promise<unknown> {
  const { code, stdout, stderr } = await run(`${line} --json`, input);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

test('people: added, listed, changed, disabled, removed; passwords only by pipe or shown once', async () => {
  const added = await run('admin users add Ana@Example.com --group leads --group engineering');
  assert.equal(added.code, 0, added.stderr);
  assert.match(
    added.stdout,
    /^ {2}Added ana@example\.com \(engineering, leads\)\n {2}Password, shown this once: \S{29}\n$/,
  );

  const again = await run('admin users add ana@example.com --json');
  assert.equal(again.code, 2);
  assert.deepEqual(Object.keys(JSON.parse(again.stdout)), ['error']);
  assert.equal(JSON.parse(again.stdout).error.code, 'user-exists');

  const piped = await run('admin users add bob@example.com --password-stdin', 'correct horse battery\n');
  assert.equal(piped.code, 0, piped.stderr);
  assert.equal(piped.stdout, '  Added bob@example.com (no groups)\n');
  assert.equal((await run('admin users passwd bob@example.com --password-stdin', '\n')).code, 2);
  assert.equal((await run('admin users passwd bob@example.com --password-stdin', 'short\n')).code, 2);

  assert.equal((await run('admin users disable bob@example.com')).code, 0);
  assert.equal((await run('admin users groups bob@example.com --group engineering')).code, 0);
  const listed = await run('admin users list');
  assert.match(listed.stdout, /^ana@example\.com\tengineering, leads\tenabled\t/m);
  assert.match(listed.stdout, /^bob@example\.com\tengineering\tdisabled\t/m);
  assert.equal((await run('admin users remove bob@example.com')).code, 0);
  const gone = await run('admin users remove bob@example.com');
  assert.deepEqual([gone.code, gone.stdout], [2, '']);
  assert.match(gone.stderr, /^ {2}data directory: \/.*\n/);
  assert.match(gone.stderr, /user-unknown/);
  assert.equal(statSync(path.join(relayDirectory, 'state.db')).mode & 0o777, 0o600);
});

/** Types on a terminal of its own: each answer when its prompt has come. Resolves with all that the terminal showed. */
async function type(
  line: string,
  answers: readonly (readonly [prompt: RegExp, text: string])[],
): Promise<string> {
  const command = [process.execPath, hoopBinary, ...line.split(' ')].join(' ');
  const child = spawn('script', ['-qec', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  let shown = '';
  let answered = 0;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk;
    const next = answers[answered];
    if (next === undefined || !next[0].test(shown)) return;
    answered += 1;
    child.stdin.write(next[1]);
  });
  await once(child, 'close');
  return shown;
}

test('a password that is typed is never shown', async () => {
  const shown = await type('admin users add eve@example.com', [
    [/made\): /, 'correct horse batterx\u007fy\r'],
    [/Again: /, 'correct horse battery\r'],
  ]);
  assert.match(shown, /Added eve@example\.com/);
  assert.doesNotMatch(shown, /correct|battery|once/);
});

test('policy is explained by the policies themselves; exit code 3 says deny', async () => {
  const yaml = path.join(relayDirectory, 'relay.yaml');
  writeFileSync(
    yaml,
    'dataDir: .\npolicies: [policy.cedar]\ntargets:\n  db: { protocol: postgres, host: h, database: a, user: u, groups: [prod] }\n',
  );
  appendFileSync(
    path.join(relayDirectory, 'policy.cedar'),
    `@id("engineers")
permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource in TargetGroup::"prod");
@id("with-reason")
forbid (principal in Group::"contractors", action == Action::"connect", resource) unless { context has reason };
`,
  );
  const allowed = await run('policy check --as ana@example.com db');
  assert.equal(allowed.code, 0, allowed.stderr);
  assert.match(
    allowed.stdout,
    /^ {2}allow: ana@example\.com \(engineering, leads\) → db\n\n {2}permit engineers \(.*policy\.cedar:\d+\)\n/,
  );
  assert.match(allowed.stdout, /permit \(principal in Group::"engineering"/);

  const none = await run('policy check --group sales db');
  assert.equal(none.code, 3);
  assert.match(none.stdout, /default deny/);

  const groups = '--group engineering --group contractors';
  const forbidden = await run(`policy check ${groups} db --json`);
  assert.equal(forbidden.code, 3);
  const { decision, policies } = JSON.parse(forbidden.stdout);
  assert.deepEqual([decision, policies.map(({ id }: { id: string }) => id)], ['deny', ['with-reason']]);
  assert.equal((await run('policy check --group engineering nowhere')).code, 2);
});

const check = (sql: string, ...flags: string[]) =>
  hoop(['policy', 'check', '--group', 'engineering', 'db', ...flags, '--', ...sql.split(' ')], { env });

test('policy on a command is explained, and a file of expectations compared', async () => {
  appendFileSync(
    path.join(relayDirectory, 'policy.cedar'),
    `@id("deletes") @review("leads:2")
forbid (principal, action == Action::"execute", resource) when { context.effects.contains("delete") };
`,
  );
  const allowed = await check('select * from t');
  assert.equal(allowed.code, 0, allowed.stderr);
  assert.match(
    allowed.stdout,
    /^ {2}allow: .*\n\n {2}1 │ select \* from t\n {4}effects +read\n {4}relations +t\n/,
  );
  const held = await check('delete from t where id = 1', '--json');
  assert.equal(held.code, 3, held.stderr);
  const { decision, needed, command } = JSON.parse(held.stdout);
  assert.deepEqual([decision, needed], ['review', [{ group: 'leads', count: 2 }]]);
  assert.deepEqual(command.facts.effects, ['delete']);
  assert.match((await check('delete from t')).stdout, /waits for: leads \(2\)[^]*forbid deletes/);

  const file = path.join(directory, 'expectations.yaml');
  const one =
    '- { groups: [engineering], target: db, sql: delete from t, expect: review, needed: { leads: 2 } }\n';
  writeFileSync(file, `tests:\n  ${one}`);
  const passed = await run(`policy test ${file}`);
  assert.deepEqual([passed.code, passed.stdout.endsWith('  1 as expected\n')], [0, true], passed.stderr);
  writeFileSync(file, `tests:\n  ${one}  - { target: db, sql: select 1, expect: allow }\n`);
  const failed = await run(`policy test ${file} --json`);
  assert.equal(failed.code, 6, failed.stderr);
  assert.deepEqual(
    JSON.parse(failed.stdout).tests.map(({ passed: ok, line }: { passed: boolean; line: number }) => [
      ok,
      line,
    ]),
    [
      [true, 2],
      [false, 3],
    ],
  );
  writeFileSync(file, 'tests:\n  - { taget: db }\n');
  const wrong = await run(`policy test ${file}`);
  assert.deepEqual([wrong.code, wrong.stdout], [2, '']);
  assert.match(wrong.stderr, /expectations\.yaml:2:\d+: tests\.0/);
});

test('relay check: data on stdout, every problem with its place on stderr, exit code 2', async () => {
  const result = await json('relay check');
  assert.ok(typeof result === 'object' && result !== null && 'ok' in result && result.ok === true);
  appendFileSync(path.join(relayDirectory, 'relay.yaml'), 'lisen: 1\nx: 2\n');
  for (const line of ['relay start', 'policy check db']) {
    const broken = await run(line);
    assert.deepEqual([broken.code, broken.stdout], [2, ''], line);
    assert.match(broken.stderr, /relay\.yaml:5:1: lisen: unknown key; did you mean listen\?\n/);
    assert.match(broken.stderr, /relay\.yaml:6:1: x: unknown key; known are/);
  }
  const asJson = await run('relay check --json');
  assert.equal(JSON.parse(asJson.stdout).error.code, 'config-invalid');
});
