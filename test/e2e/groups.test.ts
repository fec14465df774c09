/** A person who is in other groups than when their session opened: it follows them with the next renewal of the sign-in. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { confirmDevice } from '../../src/cli/demo/browser.ts';
import { readEntries } from '../../src/evidence/read/entries.ts';
import { missing } from '../support/programs.ts';
import { hoop, Running, startStage, type Stage } from '../support/relay.ts';

const policy = `
permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("trainees-do-not-delete")
forbid (principal in Group::"trainees", action == Action::"execute", resource)
when { context.effects.contains("delete") };
`;

const skip = missing('postgresql');
let stage: Stage;
before(async () => {
  if (skip === false) stage = await startStage({ policy });
});
after(() => stage?.close());

/** The operator changes the groups, and the sign-in is renewed: by hand, as it would be within `tokens.lifetime`. */
async function isNowIn(...groups: string[]): Promise<void> {
  const { ana, installation } = stage;
  const flags = groups.length === 0 ? ['--none'] : groups.flatMap((group) => ['--group', group]);
  const args = ['admin', 'users', 'groups', ana.email, ...flags, '--config', installation.configFile];
  const changed = await hoop(args, { env: installation.env });
  assert.equal(changed.code, 0, changed.output);
  const again = ana.start('login', '--step-up', '--no-browser');
  const [, uri, userCode] = await again.says(/(https?:\/\/\S+)[^\n]*?\b([A-Z]{4}-[A-Z]{4})\b/);
  const { email, password } = ana;
  await confirmDevice(uri!, { email, password, userCode: userCode! }, installation.fetch);
  assert.equal(await again.ended, 0, again.output);
}

test(
  'the next command is decided by the new groups; who could not open the session any more loses it',
  { skip },
  async () => {
    const { env, session, running } = await stage.connect();
    const psql = new Running('psql', ['-X'], { ...env, PGUSER: 'ana' }, 'pipe');
    const say = (sql: string): void => void psql.child.stdin?.write(`${sql}\n`);
    say('create table things (id int); insert into things values (1), (2);');
    await psql.says(/INSERT 0 2/);
    say('delete from things where id = 1;');
    await psql.says(/DELETE 1/);
    await isNowIn('engineering', 'trainees');
    say('delete from things where id = 2;');
    await psql.says(/trainees-do-not-delete/);
    say('select count(*) as still from things;');
    await psql.says(/still/);
    await isNowIn();
    say('select 1;');
    assert.notEqual(await psql.ended, 0, psql.output);
    const refused = await stage.ana.hoop('connect', 'db', '--json');
    assert.match(refused.stdout, /connect-denied/);
    await running.ended;
    const ends: string[] = [];
    for await (const { entry } of readEntries(stage.installation.evidence))
      if (entry.kind === 'session.closed' && entry.session === session) ends.push(entry.outcome);
    assert.deepEqual(ends, ['access-ended']);
    const verified = await stage.verify();
    assert.equal(verified.code, 0, verified.output);
  },
);
