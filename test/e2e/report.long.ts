/** What an auditor is told: the report and the tasks, through the real binary, of a relay and of what was exported from it. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { AuditReport } from '../../src/evidence/report/index.ts';
import { environmentOf } from '../../src/cli/demo/installation.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { hoop, Running, startStage } from '../support/relay.ts';

const skip = missing('postgresql');
const policy = `
@id("engineers-connect") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("no-drops") forbid (principal, action == Action::"execute", resource) when { context.effects.contains("schema") };
@id("no-deletes") @review("leads") forbid (principal, action == Action::"execute", resource) when { context.effects.contains("delete") };
@id("agents") permit (principal is Agent in Group::"agents", action in [Action::"connect", Action::"execute"], resource);
@id("delegate") permit (principal in Group::"engineering", action == Action::"delegate", resource in Group::"agents");
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"review", Action::"kill"], resource);
`;
const stage = skip ? null : await startStage({ policy });
after(() => stage?.close());
await stage?.lea.login(stage.installation.url);

test(
  'a report of the relay and of its export say the same, and a changed one does not verify',
  { skip },
  async () => {
    const { ana, lea, directory } = stage!;
    const run = (task: string, sql: string) => ana.hoop('exec', 'db', '--task', task, '--', sql);
    assert.equal((await run('move', 'select 1')).code, 0);
    assert.notEqual((await run('move/drop', 'drop table if exists "<b>t</b>"')).code, 0);

    const online = await lea.hoop('audit', 'report', '--json');
    assert.equal(online.code, 0, online.stderr);
    const report = JSON.parse(online.stdout) as AuditReport;
    const person = report.people.find(({ who }) => who.email === 'ana@example.com');
    assert.deepEqual(
      [person?.sessions, person?.commands, person?.denied, person?.targets],
      [2, 2, 1, ['db']],
    );
    assert.deepEqual(
      report.denials.map(({ policies, count }) => [policies, count]),
      [[['no-drops'], 1]],
    );
    assert.equal(report.verification?.verified, true);
    const proofs = report.controls.flatMap((control) => control.proofs);
    assert.ok(proofs.some(({ holds }) => holds === true) && !proofs.some(({ holds }) => holds === false));

    const out = path.join(directory, 'export');
    assert.equal((await lea.hoop('audit', 'export', '--out', out)).code, 0);
    const key = ['--vkey-file', path.join(out, 'vkey')];
    const offline = await lea.hoop('audit', 'report', out, ...key, '--json');
    assert.equal(offline.code, 0, offline.stderr);
    const copied = JSON.parse(offline.stdout) as AuditReport;
    assert.deepEqual(copied.denials, report.denials);
    assert.deepEqual(copied.timeline, report.timeline);
    assert.deepEqual(copied.targets, report.targets);
    assert.equal((await lea.hoop('audit', 'report', '--no-verify', '--task', 'nothing')).code, 0);
    const events = await lea.hoop('audit', 'export', '--format', 'jsonl', '--person', 'lea@example.com');
    const read = /"kind":"evidence\.read".*"filters":\{"task":"nothing"\}/;
    assert.match(events.stdout, read, 'making a report is a read, and is recorded');

    const text = await lea.hoop('audit', 'report', out, ...key, '--target', 'db');
    assert.equal(text.code, 0, text.stderr);
    assert.match(text.stdout, /verified: nothing was changed/);
    assert.match(text.stdout, /^1\tana@example\.com\tdb\tno-drops\t/m);
    for (const id of ['AC-2', 'AC-3', 'AC-6', 'AU-2', 'AU-3', 'AU-6', 'AU-9', 'AU-10', 'AU-12', 'SC-7'])
      assert.match(text.stdout, new RegExp(`^${id}  `, 'm'));

    const page = path.join(directory, 'report.html');
    const written = await lea.hoop('audit', 'report', out, ...key, '--html', page);
    assert.equal(written.code, 0, written.stderr);
    assert.match(readFileSync(page, 'utf8'), /✓ Verified[^]*drop table if exists &quot;&lt;b&gt;t/);
    assert.equal(statSync(page).mode & 0o777, 0o600);
    assert.equal(
      (await lea.hoop('audit', 'report', out, ...key, '--html', page)).code,
      2,
      'never over a file',
    );

    const recordings = path.join(out, 'recordings');
    const segment = readdirSync(recordings, { recursive: true, encoding: 'utf8' }).find((file) =>
      file.endsWith('.zst'),
    )!;
    const original = readFileSync(path.join(recordings, segment));
    const bytes = Buffer.from(original);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path.join(recordings, segment), bytes);
    const changed = await lea.hoop('audit', 'report', out, ...key);
    assert.equal(changed.code, 6);
    assert.match(changed.stdout, /NOT verified/);
    const unverified = await lea.hoop('audit', 'report', out, '--no-verify');
    assert.equal(unverified.code, 0);
    assert.match(unverified.stdout, /not verified: what follows/);
    writeFileSync(path.join(recordings, segment), original);
    assert.equal((await ana.hoop('audit', 'report', '--no-verify')).code, 3);
  },
);

test('tasks are listed and shown as a tree, with their sub-tasks, online and offline', { skip }, async () => {
  const { lea, directory } = stage!;
  const listed = await lea.hoop('audit', 'tasks');
  assert.equal(listed.code, 0, listed.stderr);
  assert.match(listed.stdout, /^move\t2\t2\tana@example\.com\tdb\t.*2 ended$/m);
  assert.match(listed.stdout, /^move\/drop\t1\t1\tana@example\.com\tdb\t/m);
  const shown = await lea.hoop('audit', 'task', 'move');
  assert.equal(shown.code, 0, shown.stderr);
  const [root, session, step, below, ...rest] = shown.stdout.split('\n');
  assert.match(root!, /^move  2 sessions, 1 succeeded, 1 blocked$/);
  assert.match(session!, /^ {2}01\w{24}  .*  ana@example\.com  at db  ended$/);
  assert.match(step!, /^ {4}✓ 1  .*  succeeded SELECT 1  select 1$/);
  assert.match(below!, /^ {2}move\/drop  1 session, 1 blocked$/);
  assert.match(
    rest.join('\n'),
    /^ {4}01\w{24}[^\n]*\n {6}⊘ 1  .*  blocked 42501  drop table if exists "<b>t<\/b>"\n$/,
  );

  const out = path.join(directory, 'export');
  const json = await lea.hoop('audit', 'task', 'move/drop', '--dir', out, '--json');
  assert.equal(json.code, 0, json.stderr);
  const { tasks, steps } = JSON.parse(json.stdout);
  assert.deepEqual(
    [tasks.length, tasks[0].task, steps.length, steps[0].by.email],
    [1, 'move/drop', 1, 'ana@example.com'],
  );
  const unknown = await lea.hoop('audit', 'task', 'mov', '--dir', out);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /hoop audit tasks/);
});

test('an agent is shown with the person for whom it acts, a review with who decided', { skip }, async () => {
  const { ana, lea, installation, directory } = stage!;
  const config = ['--config', installation.configFile];
  const made = [
    'admin',
    'service-accounts',
    'create',
    'assistant',
    '--kind',
    'agent',
    '--group',
    'agents',
    ...config,
  ];
  const created = await hoop(made, { env: installation.env });
  assert.equal(created.code, 0, created.stderr);
  const delegated = await ana.hoop('delegate', 'assistant', '--target', 'db');
  assert.equal(delegated.code, 0, delegated.stderr);
  const home = path.join(directory, 'assistant');
  mkdirSync(home);
  const env = { ...environmentOf(home), HOOP_RELAY: installation.url, HOOP_TOKEN: delegated.stdout.trim() };
  const deletion = 'delete from held_here';
  const held = Running.hoop(['exec', 'db', '--task', 'tidy/agent', '--', deletion], env);
  const review = await eventually('it is held', async () => {
    const { stdout } = await lea.hoop('reviews', '--json');
    return JSON.parse(stdout).reviews?.find((each: { state: string }) => each.state === 'pending')?.review;
  });
  assert.equal((await lea.hoop('approve', review, '--reason', 'agreed')).code, 0);
  await held.ended;

  const shown = await lea.hoop('audit', 'task', 'tidy');
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(
    shown.stdout,
    /^tidy  1 session, .*\n {2}tidy\/agent  1 session, .*\n {4}01\w{24}  .*  assistant:\w+ for ana@example\.com  at db  ended\n/,
  );
  assert.match(
    shown.stdout,
    new RegExp(
      `  delete from held_here\n {10}review ${review}  approved\n {12}approved by lea@example\\.com  .*  agreed\n`,
    ),
  );
  const report = JSON.parse(
    (await lea.hoop('audit', 'report', '--task', 'tidy', '--json')).stdout,
  ) as AuditReport;
  const agent = report.people.find(({ who }) => who.kind === 'agent');
  assert.equal(agent?.who.actsFor?.email, 'ana@example.com');
  assert.equal(report.reviews.listed[0]?.decisions[0]?.by?.email, 'lea@example.com');
  assert.ok(report.reviews.medianSeconds! > 0);
});
