/** What is erased and what is not, over a real log: by age, on request, on hold, and when the relay dies in the middle. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { relayActor } from '../../src/evidence/entry.ts';
import { verify } from '../../src/evidence/verify/index.ts';
import { resolveRetention, RetentionFile } from '../../src/relay/config/retention.ts';
import { Retention, type RetentionOptions } from '../../src/relay/retention/retention.ts';
import { EvidenceFixture, type TestSession } from '../evidence/verify/fixture.ts';

const day = 86_400_000;
const root = { account: 'root', reason: 'case 4711' };
const quiet = {
  info: () => undefined,
  warn: (event: string) => assert.fail(event),
  error: (event: string) => assert.fail(event),
};

async function start(rules: object, more: Partial<RetentionOptions> = {}) {
  const fixture = await EvidenceFixture.create();
  const sessions = await fixture.history();
  const at = { ms: fixture.clock.ms };
  const open = () =>
    new Retention({
      directory: fixture.directory,
      rules: resolveRetention(RetentionFile.parse(rules)),
      append: (entry) => fixture.log.append(entry),
      log: fixture.log,
      clock: { wallMs: () => at.ms, monotonicMs: () => at.ms },
      logger: quiet,
      ...more,
    });
  const there = (of: TestSession): boolean => existsSync(fixture.segmentPath(of, 0));
  const codes = async (): Promise<string[]> => {
    await fixture.log.checkpoint();
    return fixture.codes();
  };
  return { fixture, sessions, at, open, there, codes };
}

test('by age: nothing before it, everything after it; the log verifies, and counts what is gone', async () => {
  const { fixture, sessions, at, open, there, codes } = await start({ recordings: '30d' });
  await using _ = fixture;
  const retention = open();
  assert.deepEqual(await retention.sweep(), { erased: [], held: [], locked: [] });
  at.ms += 29 * day;
  assert.deepEqual(await retention.sweep(), { erased: [], held: [], locked: [] });
  at.ms += 2 * day;
  const { erased } = await retention.sweep();
  assert.deepEqual(erased.toSorted(), sessions.map(({ session }) => session).toSorted());
  assert.ok(sessions.every((session) => !there(session)));
  assert.deepEqual(await codes(), []);
  const { counts } = await fixture.verify();
  assert.deepEqual(counts.erased, { segments: 6, originals: 0 });
  assert.deepEqual(await retention.sweep(), { erased: [], held: [], locked: [] }, 'once');
  await retention.close();
});

test('a target has rules of its own; a session that is open is never too old', async () => {
  const { fixture, at, open, there, codes } = await start({
    recordings: '1d',
    targets: { 'db-prod': { recordings: '9d' } },
  });
  await using _ = fixture;
  const ana = await fixture.signIn('cleo');
  const live = await fixture.open(ana, {
    target: 'db-test',
    request: ana.sign({ action: 'session.open', target: 'db-test', reason: 'incident 7' }),
  });
  await fixture.segment(live);
  at.ms += 5 * day;
  const retention = open();
  assert.deepEqual((await retention.sweep()).erased, []);
  await fixture.end(live);
  at.ms = fixture.clock.ms + 5 * day;
  assert.deepEqual((await retention.sweep()).erased, [live.session]);
  assert.equal(there(live), false);
  assert.deepEqual(await codes(), []);
  await retention.close();
});

test('a clock that goes ahead erases nothing by age for a day; back again, nothing was lost', async () => {
  const told: string[] = [];
  const monotonic = { ms: 0 };
  const { fixture, sessions, at, there } = await start({});
  await using _ = fixture;
  const retention = new Retention({
    directory: fixture.directory,
    rules: resolveRetention(RetentionFile.parse({ recordings: '30d' })),
    append: (entry) => fixture.log.append(entry),
    log: fixture.log,
    clock: { wallMs: () => at.ms, monotonicMs: () => monotonic.ms },
    logger: { ...quiet, warn: (event) => void told.push(event) },
  });
  const pass = (wallMs: number, monotonicMs = wallMs) => {
    at.ms += wallMs;
    monotonic.ms += monotonicMs;
    return retention.sweep();
  };
  const nothing = { erased: [], held: [], locked: [] };
  assert.deepEqual(await pass(0), nothing);
  assert.deepEqual(await pass(400 * day, 3_600_000), nothing);
  assert.deepEqual(told, ['clock went ahead']);
  assert.deepEqual(await pass(3_600_000), nothing, 'still on that day');
  assert.deepEqual(await pass(-399 * day, 3_600_000), nothing, 'set right');
  assert.deepEqual(await pass(day), nothing);
  assert.ok(sessions.every(there));
  // On request it goes at once; by age when the day is over and they are old in earnest.
  await retention.erase({ session: sessions[0]!.session }, 'recording', root);
  assert.equal((await pass(40 * day)).erased.length, 2);
  await retention.close();
});

test('a hold forbids it, whatever asks; released, it goes', async () => {
  const { fixture, sessions, at, open, there, codes } = await start({ recordings: '1d' });
  await using _ = fixture;
  at.ms += 2 * day;
  const retention = open();
  const [first, second] = sessions as [TestSession, TestSession];
  const { hold } = await retention.placeHold({ person: 'ana@example.com' }, root);
  await assert.rejects(retention.erase({ session: first.session }, 'recording', root), {
    code: 'evidence-held',
  });
  const swept = await retention.sweep();
  assert.deepEqual([swept.erased, swept.held.length], [[second.session], 2]);
  assert.equal(there(first), true);
  // Holds are in the log alone: another relay process knows them.
  const other = open();
  assert.deepEqual((await other.sweep()).erased, []);
  await assert.rejects(other.releaseHold('01JD0000000000000000000000', root), { code: 'hold-unknown' });
  await other.releaseHold(hold, root);
  assert.equal((await other.sweep()).erased.length, 2);
  assert.deepEqual(await codes(), []);
  await retention.close();
  await other.close();
});

test('on request: of a person, of a session; of nothing and of what is open it is refused', async () => {
  const { fixture, sessions, open, there, codes } = await start({});
  await using _ = fixture;
  const retention = open();
  const nothing = { code: 'erasure-impossible' };
  await assert.rejects(retention.erase({ person: 'nobody' }, 'recording', root), nothing);
  await assert.rejects(retention.erase({ person: 'ana' }, 'originals', root), nothing);
  const done = await retention.erase({ person: 'ana' }, 'recording', root);
  assert.equal(done.erased.length, 2);
  assert.deepEqual(sessions.map(there), [false, true, false]);
  await assert.rejects(retention.erase({ person: 'ana' }, 'recording', root), nothing);
  assert.deepEqual(await codes(), []);
  await retention.close();
});

test('killed between the entry and the files: the next start removes them, and says nothing twice', async () => {
  const never = {
    size: Infinity,
    covered: (signal: AbortSignal) =>
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
  };
  const { fixture, sessions, open, there, codes } = await start({}, { log: never });
  await using _ = fixture;
  const [first] = sessions as [TestSession];
  const dying = open();
  const erasing = dying.erase({ session: first.session }, 'recording', root);
  while (!(await codes().then(() => true)) || fixture.log.size < 25) {
    if (await entries(fixture, 'evidence.erased')) break;
  }
  assert.equal(there(first), true, 'no signed checkpoint was seen: nothing is removed');
  assert.deepEqual(await codes(), [], 'a file that is still there harms nothing');
  void erasing.catch(() => undefined);
  const next = new Retention({ directory: fixture.directory, rules: resolveRetention(RetentionFile.parse({})), append: (entry) => fixture.log.append(entry), log: fixture.log, clock: fixture.clock, logger: quiet }); // prettier-ignore
  assert.deepEqual(await next.sweep(), { erased: [], held: [], locked: [] });
  assert.equal(there(first), false);
  assert.equal(await entries(fixture, 'evidence.erased'), 1);
  assert.deepEqual(await codes(), []);
  await next.close();
  await dying.close();
});

async function entries(fixture: EvidenceFixture, kind: string): Promise<number> {
  const { readEntries } = await import('../../src/evidence/read/entries.ts');
  let count = 0;
  for await (const { entry } of readEntries(fixture.directory)) if (entry.kind === kind) count++;
  return count;
}

test('verify: gone without a word, under a hold, of an open session, or by the word of nobody who signs', async () => {
  const erased = {
    kind: 'evidence.erased',
    actor: relayActor,
    what: 'recording',
    cause: 'retention',
  } as const;
  const { fixture, sessions, codes } = await start({});
  await using _ = fixture;
  const [first, second, third] = sessions as [TestSession, TestSession, TestSession];
  rmSync(fixture.segmentPath(first, 0));
  assert.match((await codes()).join(), /^segment-missing@\d+$/);
  await fixture.log.append({ ...erased, session: second.session });
  assert.match((await codes()).join(), /^segment-missing@\d+$/, 'another session’s word');
  const before = await fixture.log.append({ ...erased, session: first.session, what: 'originals' });
  assert.match((await codes()).join(), /^segment-missing@\d+$/, 'its originals’ word');
  assert.ok(before.index > 0);
  await fixture.log.append({ kind: 'hold.placed', actor: relayActor, hold: '01JD0000000000000000000001', scope: { session: third.session }, operator: root }); // prettier-ignore
  const { index } = await fixture.log.append({ ...erased, session: third.session });
  assert.match((await codes()).join(), new RegExp(`^segment-missing@\\d+,erased-under-hold@${index}$`));
  const ana = await fixture.signIn('ana');
  const said = { session: third.session, segment: 0, from: '0'.repeat(64), to: '1'.repeat(64), recipients: [`age1${'q'.repeat(58)}`] }; // prettier-ignore
  const resealed = await fixture.log.append({ kind: 'originals.resealed', actor: ana.actor, ...said, login: ana.login, request: ana.sign({ action: 'originals.reseal', ...said }) }); // prettier-ignore
  assert.ok((await codes()).includes(`resealed-under-hold@${resealed.index}`));
  const open = await fixture.open(ana);
  const invalid = await fixture.log.append({ ...erased, session: open.session });
  assert.ok((await codes()).includes(`erasure-invalid@${invalid.index}`));
  // Told in the journal alone, which nobody has signed.
  const unsigned = await EvidenceFixture.create();
  await using __ = unsigned;
  const [one] = (await unsigned.history()) as [TestSession];
  await unsigned.log.checkpoint();
  rmSync(unsigned.segmentPath(one, 0));
  const report = verify({ directory: unsigned.directory, vkey: unsigned.vkey });
  assert.ok((await report).findings.some(({ code }) => code === 'segment-missing'));
});
