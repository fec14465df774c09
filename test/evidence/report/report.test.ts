import { test } from 'node:test';
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { Entry } from '../../../src/evidence/entry.ts';
import type { Control } from '../../../src/evidence/report/control-counts.ts';
import { controlDefinitions } from '../../../src/evidence/report/controls.ts';
import { ControlCounts, controlsJson, controlsMarkdown } from '../../../src/evidence/report/index.ts';
import { namedOf } from '../../../src/evidence/report/person.ts';
import { ReportBuilder, type AuditReport } from '../../../src/evidence/report/report.ts';
import { shortened } from '../../../src/evidence/report/reviews.ts';
import { SpreadSample } from '../../../src/evidence/report/sample.ts';
import { TimelineCounter } from '../../../src/evidence/report/timeline.ts';
import type { EvidenceEvent } from '../../../src/evidence/read/event.ts';
import type { Report } from '../../../src/evidence/verify/index.ts';
import { EvidenceFixture } from '../verify/fixture.ts';
import { ana, event, history, lea, robot } from './events.ts';

function reportOf(events: readonly EvidenceEvent[]): AuditReport {
  const builder = new ReportBuilder();
  for (const each of events) builder.take(each);
  return builder.report({}, null);
}

function controlsOf(events: readonly EvidenceEvent[], verification: Report | null): Control[] {
  const counts = new ControlCounts();
  for (const each of events) counts.take(each);
  return counts.controls(verification);
}

test('people, targets, denials, reviews, kills and gaps are counted from the events', () => {
  const report = reportOf(history);
  assert.deepEqual(
    report.people.map(({ who, targets, lastAt, ...counts }) => ({
      who: who.subject,
      at: lastAt.slice(-7, -5),
      for: who.actsFor?.subject ?? null,
      targets: targets.join(),
      ...counts,
    })),
    [
      {
        who: 'ana',
        at: '40',
        for: null,
        targets: 'db-prod',
        ...none,
        signIns: 1,
        sessions: 1,
        commands: 2,
        reviewsAsked: 1,
        kills: 1,
      },
      { who: 'robot', at: '06', for: 'ana', targets: 'server', ...none, sessions: 1, commands: 1, failed: 1 },
      {
        who: 'lea',
        at: '31',
        for: null,
        targets: 'db-prod',
        ...none,
        sessions: 1,
        commands: 1,
        denied: 1,
        reviewsDecided: 1,
      },
    ],
  );
  assert.deepEqual(report.targets, [
    {
      target: 'db-prod',
      sessions: 2,
      commands: 3,
      failed: 0,
      denied: 1,
      held: 1,
      kills: 1,
      redactions: 2,
      people: 2,
      lastAt: history.at(-1)!.time,
    },
    {
      target: 'server',
      sessions: 1,
      commands: 1,
      failed: 1,
      denied: 0,
      held: 0,
      kills: 0,
      redactions: 0,
      people: 1,
      lastAt: history[8]!.time,
    },
  ]);
  assert.deepEqual(report.denials, [
    {
      by: namedOf(lea),
      target: 'db-prod',
      policies: ['no-drops'],
      count: 1,
      lastAt: history[11]!.time,
      text: 'drop table t',
      logIndex: 8,
    },
  ]);
  const [review] = report.reviews.listed;
  assert.deepEqual(review?.by, namedOf(ana));
  assert.deepEqual([review?.outcome, review?.seconds, review?.text], ['approved', 20, 'delete from t']);
  assert.deepEqual(review?.decisions, [
    { by: namedOf(lea), decision: 'approve', groups: ['leads'], time: history[9]!.time, reason: 'agreed' },
  ]);
  assert.deepEqual([report.reviews.medianSeconds, report.reviews.longestSeconds], [20, 20]);
  assert.deepEqual(
    report.kills.listed.map(({ by, reason }) => [by?.subject, reason]),
    [['ana', 'enough']],
  );
  assert.deepEqual(
    report.gaps.listed.map(({ reason, entries }) => [reason, entries]),
    [['ENOSPC', 3]],
  );
  assert.deepEqual(report.totals.commands, { succeeded: 2, failed: 1, blocked: 1 });
  assert.deepEqual(report.totals.endings, { killed: 1, ended: 1 });
  assert.deepEqual([report.from, report.to], [history[0]!.time, history.at(-1)!.time]);
});

const none = {
  signIns: 0,
  sessions: 0,
  commands: 0,
  failed: 0,
  denied: 0,
  reviewsAsked: 0,
  reviewsDecided: 0,
  kills: 0,
  reads: 0,
};

test('a review that was approved and then withdrawn is withdrawn; one without an end is pending', () => {
  const ended = event('review.ended', 26, {
    review: history[9]!.review,
    outcome: 'withdrawn',
    reason: 'disconnected',
  });
  assert.equal(reportOf([...history, ended]).reviews.listed[0]?.outcome, 'withdrawn');
  assert.equal(reportOf(history.slice(0, 9)).reviews.listed[0]?.outcome, 'pending');
});

test('an empty history is a report too', () => {
  const report = reportOf([]);
  assert.deepEqual([report.from, report.people, report.timeline.bins], [null, [], []]);
  assert.ok(report.controls.every(({ records }) => records.every(({ count }) => count === 0)));
});

const countOf = (controls: readonly Control[], id: string, shows: RegExp): number => {
  const record = controls.find((each) => each.id === id)?.records.find((each) => shows.test(each.shows));
  assert.ok(record, `${id} ${shows}`);
  return record.count;
};

test('controls count the records that bear on them, and refer to them', async () => {
  const controls = controlsOf(history, null);
  assert.equal(countOf(controls, 'AC-3', /policy stopped/), 1);
  assert.equal(countOf(controls, 'AC-6', /change data/), 1, 'what was blocked did not run');
  assert.equal(countOf(controls, 'AC-6', /review of other/), 1);
  assert.equal(countOf(controls, 'AU-3', /acts of an agent/), 2);
  assert.equal(countOf(controls, 'AU-2', /commands, all/), 4);
  assert.equal(countOf(controls, 'AU-12', /could not be written/), 1);
  const stopped = controls
    .find(({ id }) => id === 'AC-3')!
    .records.find(({ shows }) => /stopped/.test(shows))!;
  assert.deepEqual(stopped.samples, [
    {
      time: history[11]!.time,
      kind: 'command.blocked',
      logIndex: 8,
      session: history[11]!.session,
      connection: 1,
      command: 1,
      by: namedOf(lea),
    },
  ]);
  assert.ok(controls.every(({ proofs }) => proofs.every(({ holds }) => holds === null)));
  assert.deepEqual(JSON.parse(controlsJson(controls)).controls, controls);
});

test('the ten controls say what they ask, what shows it and what does not; each kind of entry bears on one', () => {
  assert.deepEqual(
    controlDefinitions.map(({ id }) => id),
    ['AC-2', 'AC-3', 'AC-6', 'AU-2', 'AU-3', 'AU-6', 'AU-9', 'AU-10', 'AU-12', 'SC-7'],
  );
  for (const { asks, records, notShown } of controlDefinitions)
    assert.ok(asks.length > 20 && records.length > 0 && notShown.length > 0);
  const mapped = new Set<string>(
    controlDefinitions.flatMap(({ records }) => records.flatMap(({ kinds }) => kinds)),
  );
  const kinds = Entry.options.map((option) => option.shape.kind.value).filter((kind) => kind !== 'segment');
  assert.deepEqual(
    kinds.filter((kind) => !mapped.has(kind)),
    [],
    'of no control: say in controls.ts what these show',
  );
});

test('proofs say what verification found: whole, damaged, or not asked for', async () => {
  await using fixture = await EvidenceFixture.create();
  const session = await fixture.open(await fixture.signIn('ana'));
  await fixture.segment(session);
  await fixture.end(session);
  await fixture.log.checkpoint();
  const holds = async () => {
    const controls = controlsOf(history, await fixture.verify());
    const held = (id: string, says: RegExp) =>
      controls.find((each) => each.id === id)?.proofs.find((each) => says.test(each.says))?.holds;
    return {
      checkpoint: held('AU-9', /under a checkpoint/),
      verified: held('AU-9', /nothing was changed|verification found/),
      segments: held('AU-12', /segments/),
      signatures: held('AU-10', /signatures of people/),
      sessions: held('AU-12', /sessions, of which/),
      attribution: held('AU-10', /identity provider were not followed/),
      witnesses: held('AU-9', /no witness was asked/),
    };
  };
  const asked = { attribution: null, witnesses: null };
  const whole = {
    checkpoint: true,
    verified: true,
    segments: true,
    signatures: true,
    sessions: true,
    ...asked,
  };
  assert.deepEqual(await holds(), whole);
  await writeFile(fixture.segmentPath(session, 0), 'something else');
  assert.deepEqual(await holds(), { ...whole, verified: false, segments: false });
  await rm(fixture.path('log', 'tile', 'entries'), { recursive: true });
  const broken = {
    ...whole,
    checkpoint: true,
    verified: false,
    segments: false,
    signatures: false,
    sessions: false,
  };
  const { checkpoint: _, ...found } = await holds();
  const { checkpoint: __, ...expected } = broken;
  assert.deepEqual(found, expected, 'where entries are missing nothing follows from them');
});

test('Markdown takes what people typed as data', async () => {
  const evil = { ...ana, email: '|<img src=x>`*[a](b)\n# x\u202e' };
  const text = [
    ...controlsMarkdown(controlsOf([event('login', 1, { principal: evil, logIndex: 1 })], null)),
  ].join('');
  assert.match(text, /^# Controls/);
  assert.doesNotMatch(text, /[^\\]<img|\u202e|^# x/m);
  assert.ok(text.includes('(\\|\\<img src=x\\>\\`\\*\\[a\\]\\(b\\)\ufffd\\# x\ufffd)'), text);
  for (const { id, title } of controlDefinitions) assert.ok(text.includes(`## ${id} ${title}\n`));
});

test('the timeline counts every event once, in at most 240 bins, whatever the history is long', () => {
  const times = fc.array(fc.nat({ max: 4_000_000_000 }), { maxLength: 300 });
  fc.assert(
    fc.property(times, fc.constantFrom('command', 'session.opened', 'session.killed'), (seconds, kind) => {
      const counter = new TimelineCounter();
      for (const second of seconds)
        counter.take({ ...event(kind, 0), time: new Date(second * 1000).toISOString() });
      const { bins, binSeconds } = counter.timeline();
      assert.ok(bins.length <= 240);
      assert.equal(
        bins.reduce((sum, bin) => sum + bin.commands + bin.sessions + bin.kills, 0),
        seconds.length,
      );
      for (const [at, bin] of bins.entries()) {
        const from = Date.parse(bin.from) / 1000;
        assert.equal(from, Date.parse(bins[0]!.from) / 1000 + at * binSeconds);
        const inside = seconds.filter((second) => second >= from && second < from + binSeconds).length;
        assert.equal(bin.commands + bin.sessions + bin.kills, inside);
      }
    }),
  );
});

test('a sample is spread evenly, and small', () => {
  for (const count of [0, 1, 4, 5, 8, 9, 1000]) {
    const sample = new SpreadSample<number>(4);
    for (let n = 0; n < count; n++) sample.offer(() => n);
    assert.equal(sample.count, count);
    assert.ok(sample.items.length <= 4 && sample.items.length >= Math.min(count, 2));
    const gaps = new Set(sample.items.slice(1).map((item, at) => item - sample.items[at]!));
    assert.ok(gaps.size <= 1, `${count}: ${sample.items.join()}`);
    assert.ok(count === 0 || (sample.items.at(-1)! + 1) * 2 >= count);
  }
});

test('a shortened text says that it is one', () => {
  assert.equal(shortened(' select\n\t1 '), 'select 1');
  assert.equal(shortened('x'.repeat(301)), `${'x'.repeat(300)}…`);
  assert.equal(shortened(`a${' '.repeat(5000)}b`), 'a…');
  assert.equal(shortened(null), null);
});

test('names that objects know are names like any other', () => {
  const report = reportOf([
    event('__proto__', 1),
    event('__proto__', 2),
    event('command', 3, { outcome: '__proto__' }),
  ]);
  assert.deepEqual(Object.entries(report.totals.events), [
    ['__proto__', 2],
    ['command', 1],
  ]);
  assert.deepEqual(Object.entries(report.totals.commands), [['__proto__', 1]]);
});

test('an agent for somebody else is a row of its own', () => {
  const other = { ...robot, actsFor: { issuer: 'https://id.example', subject: 'lea', email: null } };
  const { people } = reportOf([
    event('session.opened', 1, { principal: robot }),
    event('session.opened', 2, { principal: other }),
  ]);
  assert.deepEqual(
    people.map(({ who }) => who.actsFor?.subject),
    ['ana', 'lea'],
  );
});

test('a session that an operator ended at the relay’s machine says by which account', () => {
  const operator = { account: 'ana as hoop', reason: 'stuck' };
  const kill = event('session.killed-by-operator', 1, { session: 's', target: 'db', details: { operator } });
  const { kills, targets, timeline } = reportOf([kill]);
  const { time } = kill;
  assert.deepEqual(kills.listed, [
    { time, by: null, operator: 'ana as hoop', reason: 'stuck', session: 's', target: 'db' },
  ]);
  assert.deepEqual([targets[0]?.kills, timeline.bins[0]?.kills], [1, 1]);
});
