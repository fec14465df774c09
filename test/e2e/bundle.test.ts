/** Bundles by the real binary: from a relay and from a directory, interrupted, verified by somebody without an account. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { hoop, Running, startStage } from '../support/relay.ts';

const skip = missing('postgresql') || missing('zip');
const stage = skip ? null : await startStage();
after(() => stage?.close());

interface Verified {
  readonly verified: boolean;
  readonly findings: readonly { readonly code: string }[];
  readonly counts: { readonly sessions: number; readonly segments: number };
  readonly bundle: { readonly sessions: number | null; readonly exported: number | null };
  readonly attribution: { readonly broken: object } | null;
}

test(
  'one file of a relay: filters, attribution, an interruption, a directory of one’s own',
  { skip },
  async () => {
    const { ana, lea, mallory, installation, postgres, directory } = stage!;
    await Promise.all([lea, mallory].map((person) => person.login(installation.url)));
    const psql = path.join(postgres.binDir, 'psql');
    for (const task of ['T-1', 'T-2']) {
      const ran = await ana.hoop('connect', 'db', '--task', task, '--', psql, '-Xc', 'select 1');
      assert.equal(ran.code, 0, ran.stderr);
    }
    const file = (name: string) => path.join(directory, name);
    const vkey = file('relay.vkey');
    const discovery = await installation.fetch(new URL('/.well-known/hoop', installation.url));
    writeFileSync(vkey, JSON.parse(await discovery.text()).log.vkey);
    const nobody = { PATH: process.env['PATH'], HOME: file('nobody'), XDG_CONFIG_HOME: file('nobody') };
    const verify = async (name: string, ...more: string[]): Promise<Verified> => {
      const args = ['audit', 'verify', file(name), '--vkey-file', vkey, '--json', ...more];
      const { code, stdout, stderr } = await hoop(args, { env: nobody });
      assert.equal(code, 0, stdout + stderr);
      return JSON.parse(stdout) as Verified;
    };

    const exported = await lea.hoop('audit', 'export', '--out', file('all.zip'));
    assert.equal(exported.code, 0, exported.stderr);
    assert.equal(exported.stderr, '', 'no bar where there is no terminal');
    const all = await verify('all.zip', '--attribution');
    assert.deepEqual([all.counts.sessions, all.bundle.sessions], [2, null]);
    assert.notEqual(all.bundle.exported, null);
    assert.deepEqual(all.attribution?.broken, {});
    // Whoever took it is in the relay's log, where the bundle says.
    const reads = (await lea.hoop('audit', 'export', '--format', 'jsonl')).stdout.trim().split('\n');
    const taken = reads
      .map((line) => JSON.parse(line))
      .find(({ logIndex }) => logIndex === all.bundle.exported);
    assert.deepEqual([taken.kind, taken.principal.email], ['evidence.read', 'lea@example.com']);
    const again = await lea.hoop('audit', 'export', '--out', file('all.zip'));
    assert.deepEqual([again.code, /export-exists/.test(again.stderr)], [2, true]);

    // The same commands read the file where it lies.
    const offline = (...args: string[]) => hoop(args, { env: nobody });
    const report = await offline('audit', 'report', file('all.zip'), '--vkey-file', vkey, '--json');
    assert.equal(report.code, 0, report.stderr);
    assert.equal(JSON.parse(report.stdout).targets[0].sessions, 2);
    const ocsf = await offline('audit', 'export', '--dir', file('all.zip'), '--format', 'ocsf');
    assert.equal(
      ocsf.stdout,
      spawnSync('unzip', ['-p', file('all.zip'), 'events.ocsf.jsonl']).stdout.toString(),
    );
    assert.match(ocsf.stdout, /"class_uid":6005,.*"query_string":"select 1"/);
    const [session] = JSON.parse(
      (await offline('audit', 'sessions', '--dir', file('all.zip'), '--json')).stdout,
    ).sessions;
    assert.match(
      (await offline('audit', 'replay', session.session, '--dir', file('all.zip'))).stdout,
      /select 1/,
    );
    const search = await offline('audit', 'search', 'select', '--dir', file('all.zip'));
    assert.match(search.stderr, /one file: this needs a directory[\s\S]*unzip/);

    const one = await lea.hoop('audit', 'export', '--out', file('one.zip'), '--task', 'T-1', '--json');
    assert.equal(JSON.parse(one.stdout).sessions.length, 1);
    const part = await verify('one.zip');
    assert.deepEqual([part.counts.sessions, part.bundle.sessions], [2, 1]);
    const told = await hoop(['audit', 'verify', file('one.zip'), '--vkey-file', vkey], { env: nobody });
    assert.match(told.stdout, /inside {6}the log, and the recordings of 1 sessions \(task T-1\)/);
    assert.match(told.stdout, /not inside {2}the recordings of 1 other sessions/);

    const denied = await mallory.hoop('audit', 'export', '--out', file('denied.zip'));
    assert.deepEqual([denied.code, existsSync(file('denied.zip.partial'))], [3, false]);

    const killed = Running.hoop(['audit', 'export', '--out', file('killed.zip')], lea.env);
    await eventually(
      'it has begun to write',
      () => existsSync(file('killed.zip.partial')) || existsSync(file('killed.zip')),
    );
    await killed.stop('SIGKILL');
    if (!existsSync(file('killed.zip'))) {
      const resumed = await lea.hoop('audit', 'export', '--out', file('killed.zip'));
      assert.equal(resumed.code, 0, resumed.stderr);
    }
    assert.deepEqual((await verify('killed.zip')).findings, []);
    assert.equal(existsSync(file('killed.zip.partial')), false);

    const local = await hoop(
      ['audit', 'export', '--dir', installation.evidence, '--out', file('local.zip')],
      {
        env: nobody,
      },
    );
    assert.equal(local.code, 0, local.stderr);
    assert.deepEqual(
      (await verify('local.zip')).findings.map(({ code }) => code),
      ['manifest-unsigned'],
    );
    assert.equal(spawnSync('unzip', ['-tq', file('local.zip')]).status, 0);

    writeFileSync(file('cut.zip'), 'PK\u0003\u0004');
    const cut = await hoop(['audit', 'verify', file('cut.zip'), '--vkey-file', vkey], { env: nobody });
    assert.deepEqual([cut.code, /bundle-malformed/.test(cut.stderr)], [6, true], cut.stderr);
  },
);
