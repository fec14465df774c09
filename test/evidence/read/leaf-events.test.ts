/** The history by the log's own order: from wherever a reader begins it is told the same, each thing once. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { eventId } from '../../../src/evidence/export/event-id.ts';
import { LeafReader, type LeafEvents } from '../../../src/evidence/read/leaf-events.ts';
import { readEvents } from '../../../src/evidence/read/events.ts';
import { EvidenceFixture } from '../verify/fixture.ts';

async function told(reader: LeafReader): Promise<LeafEvents[]> {
  const leaves: LeafEvents[] = [];
  for await (const leaf of reader.published()) leaves.push(leaf);
  return leaves;
}

test('from every leaf on: the same leaves, the same events, groups and commands of what began before included', async () => {
  await using fixture = await EvidenceFixture.create();
  await fixture.history();
  await fixture.start();
  await fixture.history(260);
  await fixture.start();
  const ana = await fixture.signIn('ana');
  const open = await fixture.open(ana);
  for (let i = 0; i < 3; i++) await fixture.segment(open, `select ${i}`);
  await fixture.log.checkpoint();
  const read = (from: number) => told(new LeafReader(fixture.directory, {}, from));
  const all = await read(0);
  assert.deepEqual(
    all.map(({ index }) => index),
    Array.from({ length: fixture.log.size }, (_, index) => index),
  );
  for (let from = 0; from <= fixture.log.size; from += from < 290 && from > 30 ? 37 : 1)
    assert.deepEqual(await read(from), all.slice(from), `from ${from}`);

  // Everything that an export has, but what goes on.
  const ids = new Set(all.flatMap(({ events }) => events.map(eventId)));
  for await (const event of readEvents(fixture.directory, {}))
    assert.ok(ids.has(eventId(event)) || event.outcome === 'unfinished', eventId(event));
});

test('only what a checkpoint names is told, once, and it goes on from there', async () => {
  await using fixture = await EvidenceFixture.create();
  await fixture.log.checkpoint();
  const reader = new LeafReader(fixture.directory, {}, 0);
  assert.equal((await told(reader)).length, 1);
  const ana = await fixture.signIn('ana');
  const session = await fixture.open(ana);
  await fixture.segment(session, 'select 1');
  await fixture.log.checkpoint();
  const more = await told(reader);
  assert.deepEqual(
    more.map(({ index, events }) => [index, events.map(({ kind }) => kind)]),
    [
      [1, ['login']],
      [2, ['session.opened']],
      [3, []],
    ],
  );
  await fixture.end(session);
  await fixture.log.checkpoint();
  const last = await told(reader);
  // It never said how it ended.
  assert.deepEqual(
    last.flatMap(({ events }) => events.map(({ kind, outcome }) => [kind, outcome])),
    [
      ['command', 'unfinished'],
      ['session.closed', 'ended'],
    ],
  );
  assert.deepEqual(await told(reader), []);
});

test('filters: of one person, of one target', async () => {
  await using fixture = await EvidenceFixture.create();
  await fixture.history();
  await fixture.log.checkpoint();
  const events = async (filter: object) =>
    (await told(new LeafReader(fixture.directory, filter, 0))).flatMap((leaf) => leaf.events);
  const ofBen = await events({ person: 'ben' });
  assert.ok(ofBen.every(({ principal, session }) => principal?.subject === 'ben' || session !== null));
  assert.deepEqual(
    ofBen.filter(({ kind }) => kind === 'login').map(({ principal }) => principal?.subject),
    ['ben'],
  );
  assert.ok(ofBen.some(({ kind }) => kind === 'command'));
  assert.deepEqual(await events({ target: 'elsewhere' }), []);
});

test('a cursor ahead of the log is refused: the log is not the one that was told from', async () => {
  await using fixture = await EvidenceFixture.create();
  await fixture.history();
  await fixture.log.checkpoint();
  const { size } = fixture.log;
  await assert.rejects(told(new LeafReader(fixture.directory, {}, size + 1)), { code: 'log-shorter' });
  // All of it was told: nothing is missing, and it goes on with the next.
  const reader = new LeafReader(fixture.directory, {}, size);
  assert.deepEqual(await told(reader), []);
  await fixture.signIn('cy');
  await fixture.log.checkpoint();
  assert.deepEqual(
    (await told(reader)).map(({ index }) => index),
    [size],
  );
});
