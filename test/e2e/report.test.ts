/** What an auditor is told: the report and the tasks, through the real binary, of a relay and of what was exported from it. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
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

    const recordings = path.join(out, 'recordings');
    const segment = readdirSync(recordings, { recursive: true, encoding: 'utf8' }).find((file) =>
      file.endsWith('.zst'),
    )!;
    const bytes = readFileSync(path.join(recordings, segment));
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path.join(recordings, segment), bytes);
    const changed = await lea.hoop('audit', 'report', out, ...key);
    assert.equal(changed.code, 6);
    assert.match(changed.stdout, /NOT verified/);
    const unverified = await lea.hoop('audit', 'report', out, '--no-verify');
    assert.equal(unverified.code, 0);
    assert.match(unverified.stdout, /not verified: what follows/);
    assert.equal((await ana.hoop('audit', 'report', '--no-verify')).code, 3);
  },
);
