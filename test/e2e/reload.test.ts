/** Policies change under a running relay, as an operator changes them. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { hoop, run, startStage, type Finished } from '../support/relay.ts';

const permit = `@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads") permit (principal in Group::"leads", action == Action::"readEvidence", resource);
`;
const stage = await startStage({ policy: permit });
after(() => stage.close());
const { installation, lea } = stage;
await lea.login(installation.url);
const policyFile = path.join(stage.directory, 'policy.cedar');
const connected = await stage.connect();

const psql = (sql: string): Promise<Finished> => run('psql', ['-XAt', '-c', sql], { env: connected.env });
const operate = (...words: string[]): Promise<Finished> =>
  hoop([...words, '--config', installation.configFile], { env: installation.env });

test('the next command of a live session is decided by the new policies', async () => {
  assert.equal((await psql('select 1')).stdout, '1\n');
  const unchanged = await operate('relay', 'reload');
  assert.equal(unchanged.code, 0, unchanged.stderr);
  assert.match(unchanged.stdout, /Nothing has changed\n/);

  writeFileSync(
    policyFile,
    `${permit}@id("no-writes") forbid (principal, action == Action::"execute", resource) when { context.effects.contains("write") };\n`,
  );
  assert.equal((await psql('create table t (n int); insert into t values (1)')).code, 0);
  const reloaded = await operate('relay', 'reload', '--json');
  assert.equal(reloaded.code, 0, reloaded.stderr);
  const { changed, policies, sessionsEnded, digest } = JSON.parse(reloaded.stdout);
  assert.deepEqual([changed, policies, sessionsEnded], [true, 3, 0]);
  const denied = await psql('insert into t values (2)');
  assert.equal(denied.code, 1);
  assert.match(denied.stderr, /no-writes/);
  assert.equal((await psql('select count(*) from t')).stdout, '1\n');

  const told = await lea.hoop('audit', 'export', '--format', 'jsonl');
  assert.equal(told.code, 0, told.stderr);
  const changes = told.stdout.split('\n').filter((line) => line.includes('config.changed'));
  assert.equal(changes.length, 1);
  assert.ok(changes[0]!.includes(digest));
});

test('policies that cannot be used: every problem is shown, the old ones stay', async () => {
  writeFileSync(policyFile, 'permit (principal, acton, resource);\nforbid (principal, action, resourc);\n');
  const refused = await operate('relay', 'reload');
  assert.deepEqual([refused.code, refused.stdout], [2, '']);
  assert.match(refused.stderr, /policy\.cedar:1:20[^]*policy\.cedar:2:28/);
  installation.relay.child.kill('SIGHUP');
  await installation.relay.says(/policies not reloaded, the old ones stay/);
  assert.equal((await psql('select 2')).stdout, '2\n');
});

test('SIGHUP reloads; a session that could not be opened now ends', async () => {
  writeFileSync(policyFile, permit.replace('"engineering"', '"nobody"'));
  installation.relay.child.kill('SIGHUP');
  await installation.relay.says(/"access-ended"/);
  assert.notEqual((await psql('select 3')).code, 0);
  const denied = await stage.ana.hoop('connect', 'db', '--', 'true');
  assert.equal(denied.code, 3, denied.output);
});

test('the record proves it; no relay, no reload: its code says so', async () => {
  const verified = await stage.verify();
  assert.equal(verified.code, 0, verified.output);
  await installation.stop();
  const refused = await operate('relay', 'reload', '--json');
  assert.equal(refused.code, 5, refused.output);
  assert.equal(JSON.parse(refused.stdout).error.code, 'relay-not-running');
});
