/** PostgreSQL's own JDBC driver in each of its query modes: prepared on the server, cursors, batches, COPY, reviews, masking. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { missing } from '../support/programs.ts';
import { Running, startStage } from '../support/relay.ts';

const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads") permit (principal in Group::"leads", action == Action::"review", resource);
@id("deletes") @review("leads")
forbid (principal, action == Action::"execute", resource) when { context.effects.contains("delete") };
`;
const skip = missing('postgresql') || missing('jdbc');
const stage = skip
  ? null
  : await startStage({
      policy,
      config: {
        evidence: { seal: { recipients: [await identityToRecipient(await generateIdentity())] } },
        masking: { rules: [{ name: 'personal', detect: ['email'], mode: 'redact' }] },
      },
    });
after(() => stage?.close());

const modes = ['simple', 'extended', 'extendedForPrepared', 'extendedCacheEverything'];

test(
  'each query mode: values parse, none leaks, an approved and a rejected command in one transaction',
  {
    skip,
    timeout: 300_000,
  },
  async () => {
    const { lea, installation, postgres, connect, verify } = stage!;
    await postgres.sql(`
    create table people (id int primary key, email text, born date, amount numeric, tags text[], doc jsonb, body bytea);
    insert into people select i, 'bonnie' || i || '@customers.example', date '2001-02-03' + i, i * 1.25,
      array['a', 'tag' || i || '@customers.example'], jsonb_build_object('to', 'doc' || i || '@customers.example'),
      convert_to('body of ' || i, 'UTF8') from generate_series(1, 50) i;
    create table notes (id int primary key, body text);
    grant all on people, notes to app;`);
    await lea.login(installation.url);
    const { port, env } = await connect();
    const flows = new Running(
      'java',
      ['-cp', '/usr/share/java/postgresql.jar', path.join(import.meta.dirname, 'jdbc', 'Flows.java')],
      { ...env, JDBC_URL: `jdbc:postgresql://127.0.0.1:${port}/app?user=ana&sslmode=disable` },
    );
    for (const [at] of modes.entries())
      for (const verb of ['approve', 'reject']) {
        const told = new RegExp(`(?:notice\\t[^\\n]*hoop approve ([0-7][0-9A-HJKMNP-TV-Z]{25})[\\s\\S]*?){${at * 2 + (verb === 'approve' ? 1 : 2)}}`); // prettier-ignore
        const [, id] = await flows.says(told);
        const done = await lea.hoop(verb, id!, '--reason', 'seen');
        assert.equal(done.code, 0, done.output);
      }
    assert.equal(await flows.ended, 0, flows.output);
    assert.doesNotMatch(flows.output, /@customers\.example/);
    const said = new Map(flows.stdout.split('\n').map((line) => line.split('\t') as [string, string]));
    for (const mode of modes) {
      assert.match(
        said.get(`${mode} row 4`)!,
        /^4 \S+ 2001-02-07 5(\.00)? \[a, [^\]]+\] \{"to": "[^"]+"\} body of 4$/,
      );
      const given = ['cursor', 'batch', 'approved', 'rejected', 'left'].map((step) =>
        said.get(`${mode} ${step}`),
      );
      assert.deepEqual(given, ['50', '20', '5', '42501', '15'], mode);
      assert.match(said.get(`${mode} copy`)!, /^copied\|\*+/);
    }
    const verified = await verify();
    assert.equal(verified.code, 0, verified.output);
  },
);
