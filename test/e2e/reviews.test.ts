/** Reviews as people meet them: psql waits, a reviewer reads and decides from another terminal. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { Running, startStage, type Connected } from '../support/relay.ts';

const policy = `
@id("engineers") permit (principal in Group::"engineering", action in [Action::"connect", Action::"execute"], resource);
@id("leads-review") permit (principal in Group::"leads", action == Action::"review", resource);
@id("deletes") @review("leads")
forbid (principal, action == Action::"execute", resource) when { context.effects.contains("delete") };
`;
const stage = await startStage({ policy });
after(() => stage.close());
const { ana, lea, mallory, installation } = stage;
await Promise.all([lea.login(installation.url), mallory.login(installation.url)]);

const connected = await stage.connect();

function psql(sql: string, { env }: Connected = connected): Running {
  return new Running('psql', ['-X', '-v', 'ON_ERROR_STOP=1', '-c', sql], env);
}

assert.equal(await psql('CREATE TABLE notes (id int PRIMARY KEY, body text)').ended, 0);

/** The id, as the NOTICE that psql shows says it. */
async function held(client: Running): Promise<string> {
  const [, review] = await client.says(/hoop approve ([0-7][0-9A-HJKMNP-TV-Z]{25})/);
  return review!;
}

test('listed, shown, approved: psql goes on', async () => {
  const client = psql("DELETE FROM notes WHERE body = 'old' -- \u202etidy\u001b[2J");
  const review = await held(client);

  const listed = await lea.hoop('reviews');
  assert.equal(listed.code, 0, listed.stderr);
  const [heads, row, ...rest] = listed.stdout.trimEnd().split('\n');
  assert.equal(heads, 'review\tstate\tperson\ttarget\teffects\tneeds\tuntil\tcommand');
  assert.match(
    row!,
    new RegExp(`^${review}\tpending\tana@example\\.com\tdb\tdelete\tleads 0/1\t\\S+\tDELETE FROM notes`),
  );
  assert.deepEqual(rest, []);

  const shown = await lea.hoop('reviews', 'show', review.toLowerCase().slice(0, 20));
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, / {2}1 │ DELETE FROM notes WHERE body = 'old' -- \\u202etidy\\x1b\[2J\n/);
  assert.match(shown.stdout, /effects {4}delete\n.*relations {2}notes\n/);
  assert.match(shown.stdout, new RegExp(`hoop approve ${review}\n`));
  for (const { stdout } of [listed, shown]) assert.doesNotMatch(stdout, /[^\P{Cc}\t\n]|\p{Cf}/u);

  const approved = await lea.hoop('approve', review.slice(0, 22), '--reason', 'change 4711');
  assert.equal(approved.code, 0, approved.stderr);
  assert.match(approved.stdout, new RegExp(`Approved ${review}: the command runs\n$`));
  assert.equal(await client.ended, 0, client.output);
  assert.match(client.stdout, /^DELETE 0$/m);

  const again = await lea.hoop('approve', review, '--json');
  assert.equal(again.code, 2);
  assert.equal(JSON.parse(again.stdout).error.code, 'review-not-pending');
});

test('rejected with a reason that the client reads; the connection lives on', async () => {
  const client = new Running(
    'psql',
    ['-X', '-c', 'DELETE FROM notes', '-c', "SELECT 'still ' || 'here'"],
    connected.env,
  );
  const review = await held(client);
  const silent = await lea.hoop('reject', review);
  assert.equal(silent.code, 2, 'a reason is required');
  assert.match(silent.stderr, /reason/);
  const rejected = await lea.hoop('reject', review, '--reason', 'name the rows', '--json');
  assert.equal(rejected.code, 0, rejected.stderr);
  assert.equal(JSON.parse(rejected.stdout).state, 'rejected');
  await client.ended;
  assert.match(client.stderr, /name the rows/);
  assert.match(client.stdout, /still here/);
  assert.match((await lea.hoop('reviews', '--state', 'rejected')).stdout, new RegExp(review));
});

test('one’s own, somebody else’s, one that is not there: refused, and each says what to do', async () => {
  const client = psql('DELETE FROM notes');
  const review = await held(client);
  const own = await ana.hoop('approve', review);
  assert.equal(own.code, 3, own.output);
  assert.match(own.stderr, /review-own-request/);
  const foreign = await mallory.hoop('approve', review);
  assert.equal(foreign.code, 2, foreign.output);
  assert.match(foreign.stderr, /review-unknown[^]*hoop reviews/);
  const none = await mallory.hoop('reviews', '--json');
  assert.deepEqual(JSON.parse(none.stdout), { reviews: [] });
  const mine = await ana.hoop('reviews', '--mine');
  assert.match(mine.stdout, new RegExp(review));
  assert.match((await ana.hoop('reviews', 'show', review)).stdout, /your own request: somebody else decides/);
  const wrong = await lea.hoop('reviews', 'show', '01');
  assert.deepEqual([wrong.code, wrong.stdout], [2, '']);
  assert.match(wrong.stderr, /at least 6[^]*hoop reviews/);
  assert.equal((await lea.hoop('reject', review, '--reason', 'no')).code, 0);
  assert.notEqual(await client.ended, 0);
});

test('watching: each new one with the commands that decide it, each change, Ctrl-C ends it in order', async () => {
  const early = psql('DELETE FROM notes WHERE id = 1');
  const first = await held(early);
  const watch = lea.start('reviews', '--watch');
  const lines = lea.start('reviews', '--watch', '--json');
  await watch.says(new RegExp(`hoop approve ${first}`));
  await lines.says(new RegExp(`"review":"${first}"`));
  const late = psql('DELETE FROM notes WHERE id = 2');
  const second = await held(late);
  await watch.says(new RegExp(`hoop approve ${second}\n[^]*hoop reject ${second} --reason`));
  assert.equal((await lea.hoop('approve', first)).code, 0);
  await watch.says(new RegExp(`${first} {2}(approved|used) · lea@example\\.com`));
  // The client gives up: whoever watches is told as well.
  await late.stop('SIGINT');
  await watch.says(new RegExp(`${second} {2}withdrawn`));
  await lines.says(new RegExp(`"review":"${second}","state":"withdrawn"`));
  assert.equal(await early.ended, 0, early.output);
  assert.deepEqual(await Promise.all([watch.stop('SIGINT'), lines.stop('SIGINT')]), [0, 0]);
  for (const line of lines.stdout.trimEnd().split('\n')) assert.match(line, /^\{.*\}$/);
});

test('the record proves it', async () => {
  const verified = await stage.verify();
  assert.equal(verified.code, 0, verified.output);
});
