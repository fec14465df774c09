/** What an auditor is told: the report and the tasks, through the real binary, of a relay and of what was exported from it. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { AuditReport } from '../../src/evidence/report/index.ts';
import { missing } from '../support/programs.ts';
import { startStage } from '../support/relay.ts';

const skip = missing('postgresql');
const policy = `
@id("engineers-connect") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("no-drops") forbid (principal, action == Action::"execute", resource) when { context.effects.contains("schema") };
@id("leads") permit (principal in Group::"leads", action in [Action::"readEvidence", Action::"kill"], resource);
`;
const stage = skip ? null : await startStage({ policy });
after(() => stage?.close());

test(
  'a report of the relay and of its export say the same, and a changed one does not verify',
  { skip },
  async () => {
    const { ana, lea, installation, directory } = stage!;
    await lea.login(installation.url);
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
    const events = await lea.hoop(
      'audit',
      'export',
      '--dir',
      out,
      '--format',
      'jsonl',
      '--person',
      'lea@example.com',
    );
    assert.match(
      events.stdout,
      /"kind":"evidence\.read".*"action":"export"/,
      'making a report is a read, and is recorded',
    );

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
