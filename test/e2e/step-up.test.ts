/**
 * A policy that asks for a fresh sign-in, at the embedded provider: told with what to do, asked for in a terminal, and done
 * with what was begun; live sessions and their connections stay. A sign-in is made old in the relay's state.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { confirmDevice } from '../../src/cli/demo/browser.ts';
import { hoopBinary } from '../../src/cli/demo/hoop.ts';
import { readEntries } from '../../src/evidence/read/entries.ts';
import { missing } from '../support/programs.ts';
import { hoop, Running, startStage, type Person, type Stage } from '../support/relay.ts';

const policy = `
permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
permit (principal in Group::"leads", action == Action::"connect", resource);
permit (principal in Group::"leads", action in [Action::"kill", Action::"readEvidence"], resource)
when { context has authAgeSeconds && context.authAgeSeconds < 600 };

@id("fresh-to-connect")
forbid (principal in Group::"leads", action == Action::"connect", resource)
unless { context has authAgeSeconds && context.authAgeSeconds <= 600 };

@id("fresh-to-delete")
forbid (principal, action == Action::"execute", resource)
when { context.effects.contains("delete") }
unless { context has authAgeSeconds && context.authAgeSeconds <= 300 };

@id("never-here")
forbid (principal, action == Action::"execute", resource) when { context.relations.contains("pg_class") };
`;

const skip = missing('postgresql') || missing('script');
let stage: Stage;
before(async () => {
  if (skip !== false) return;
  stage = await startStage({ policy });
  await stage.lea.login(stage.installation.url);
});
after(() => stage?.close());

/** As if everybody had signed in so long ago. */
function age(seconds: number): void {
  const db = new DatabaseSync(path.join(stage.directory, 'relay', 'state.db'));
  db.exec('pragma busy_timeout = 5000');
  db.exec(`update logins set auth_time = ${Date.now() - seconds * 1000}, renewed_at = renewed_at + 1`);
  db.close();
}

/** In a terminal; the person confirms what it asks for. */
async function inTerminal(
  person: Person,
  ...args: string[]
): Promise<{ code: number | null; output: string }> {
  const words = [process.execPath, hoopBinary, ...args].map((word) => `'${word}'`).join(' ');
  const running = new Running('script', ['-qefc', words, '/dev/null'], person.env, 'pipe');
  await confirm(person, running);
  return { code: await running.ended, output: running.output };
}

async function confirm(person: Person, running: Running): Promise<void> {
  const [, uri, userCode] = await running.says(/(https?:\/\/\S+)[^\n]*?\b([A-Z]{4}-[A-Z]{4})\b/);
  const { email, password } = person;
  await confirmDevice(uri!, { email, password, userCode: userCode! }, stage.installation.fetch);
}

const checked = (...args: string[]) =>
  hoop(['policy', 'check', '--config', stage.installation.configFile, '--group', 'leads', ...args], {
    env: stage.installation.env,
  });

test('without a terminal: what is asked for, and the command that brings it', { skip }, async () => {
  age(3600);
  const refused = await stage.lea.hoop('connect', 'db', '--json');
  assert.equal(refused.code, 4, refused.output);
  const { error } = JSON.parse(refused.stdout);
  assert.equal(error.code, 'step-up-required');
  assert.match(error.hint, /hoop login --step-up/);
  // What is only out of reach for now is shown.
  assert.match((await stage.lea.hoop('targets')).stdout, /db/);
});

test('in a terminal: signs in again, and goes on with what was asked', { skip }, async () => {
  age(3600);
  const read = await inTerminal(stage.lea, 'audit', 'sessions');
  assert.match(read.output, /you have to sign in again/);
  assert.equal(read.code, 0, read.output);
});

test(
  'a command is refused for its age, in the client’s own words; after a step-up it runs in the same session',
  { skip },
  async () => {
    const { env, session, running } = await stage.connect();
    const psql = new Running('psql', ['-X', '-v', 'VERBOSITY=default'], { ...env, PGUSER: 'ana' }, 'pipe');
    const say = (sql: string): void => void psql.child.stdin?.write(`${sql}\n`);
    say('create table things (id int); insert into things values (1);');
    await psql.says(/INSERT 0 1/);
    age(3600);
    // The relay sees what others changed within half a second.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    say('delete from things where id = 1;');
    await psql.says(/fresh-to-delete\nHINT: .*hoop login --step-up/);
    // Nobody is sent to sign in where that would not help.
    say('delete from pg_class where relname = $$x$$;');
    await psql.says(/never-here\nHINT: {2}Ask/);
    const again = stage.ana.start('login', '--step-up', '--no-browser');
    await confirm(stage.ana, again);
    assert.equal(await again.ended, 0, again.output);
    say('delete from things where id = 1;');
    await psql.says(/DELETE 1/);
    psql.child.stdin?.end();
    await psql.ended;
    const listed = await stage.ana.hoop('sessions', 'list', '--json');
    assert.match(listed.stdout, new RegExp(session));
    await running.stop('SIGINT');
  },
);

test('the record says when and how somebody signed in, and each step-up; it verifies', { skip }, async () => {
  const told = [];
  for await (const { entry } of readEntries(stage.installation.evidence))
    if (entry.kind === 'login' && entry.actor.email === stage.ana.email) told.push(entry);
  assert.ok(told.length >= 2);
  const times = told.map(({ authTime }) => Date.parse(authTime ?? ''));
  assert.deepEqual(times.toSorted(), times);
  assert.ok(new Set(times).size > 1, 'the step-up is later than the sign-in');
  assert.ok(told.every(({ amr, acr }) => amr?.join() === 'pwd' && acr === null));
  assert.ok(new Set(told.map(({ login }) => login)).size === 1, 'it is the same sign-in');
  const verified = await stage.verify();
  assert.equal(verified.code, 0, verified.output);
});

test('hoop policy check: ages and classes', { skip }, async () => {
  assert.equal((await checked('--auth-age', '5m', 'db')).code, 0);
  const old = await checked('--auth-age', '11m', 'db');
  assert.equal(old.code, 3);
  assert.match(old.stdout, /a fresh sign-in lifts it: at most 600 s old/);
  assert.match((await checked('db')).stdout, /a fresh sign-in lifts it/);
});
