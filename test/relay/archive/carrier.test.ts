/** Carrying a real history to an archive: in whatever order things fail, what arrives there is evidence that verifies. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { readEvents } from '../../../src/evidence/read/events.ts';
import type { Location } from '../../../src/evidence/location.ts';
import { readTranscript } from '../../../src/evidence/read/transcript.ts';
import { recordingOf } from '../../../src/evidence/read/sessions.ts';
import { originalsName, sealedName } from '../../../src/evidence/recording/layout.ts';
import type { LiveSession } from '../../evidence/verify/recorded-history.ts';
import { keyOf, kinds } from './stores.ts';
import { day, lock, people, root, World } from './world.ts';

async function eventsOf(evidence: Location): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const event of readEvents(evidence, {})) events.push(event);
  return events;
}

for (const kind of kinds) {
  test(`${kind}: what is carried is an evidence directory that verifies; what is here goes, and reads as before`, async () => {
    await using world = await World.create(kind, { lock });
    const sessions = await people(world);
    const [first, second, open] = sessions as [LiveSession, LiveSession, LiveSession];
    await world.carry();
    assert.deepEqual([world.lost, world.told], [0, []]);
    assert.deepEqual(await world.codesOf(await world.archive.asDirectory()), []);
    const before = await eventsOf(world.evidence);
    assert.ok(before.length > 10);
    assert.equal(await world.sweep(), 2);
    assert.deepEqual(
      sessions.map((each) => world.here(each)),
      [false, false, true],
    );
    assert.deepEqual(
      new Set(await world.codesOf(world.evidence)),
      new Set(['originals-missing', 'segment-missing']),
    );
    assert.deepEqual(await eventsOf(world.readable), before);
    const transcript = [];
    for await (const item of readTranscript(
      recordingOf(world.readable, {
        session: first.of.session,
        openedAt: new Date(first.of.openedAtMs).toISOString(),
      }),
    ))
      transcript.push(item);
    assert.ok(transcript.length > 3);

    // It comes back for whoever changes it, and only as the log names it.
    await world.copies().recall(second.of.session);
    assert.equal(world.here(second), true);
    const name = `${world.directory(first)}/${sealedName(0)}`;
    await world.archive.replace(name, Buffer.from('other bytes'));
    await assert.rejects(world.copies().recall(first.of.session), { code: 'archive-mismatch' });
    assert.equal(world.here(first), false);
    await world.copies().start();
    assert.equal(existsSync(path.join(world.evidence, 'recalling')), false);
    await world.history.close(open);
    await world.carry();
    assert.equal(await world.sweep(), 2);
  });

  test(`${kind}: nothing goes that the archive does not hold as it is here`, async () => {
    await using world = await World.create(kind, { lock });
    const [first, second] = (await people(world)) as [LiveSession, LiveSession];
    await world.carry();
    world.keepLocalMs = day;
    assert.equal(await world.sweep(), 0, 'too young');
    world.keepLocalMs = 0;
    const changed = path.join(world.evidence, world.directory(first), sealedName(0));
    const was = readFileSync(changed);
    writeFileSync(changed, 'not what the log names');
    writeFileSync(path.join(world.evidence, world.directory(second), 'notes.txt'), 'somebody’s');
    world.nowMs += 2000;
    assert.equal(await world.sweep(), 0);
    assert.deepEqual(world.told, ['archive differs']);
    writeFileSync(changed, was);
    await world.archive.replace(`${world.directory(first)}/${originalsName(0)}`, Buffer.from('x'));
    if (kind === 'directory') assert.equal(await world.sweep(), 0, 'the archive’s is not what is here');
    assert.ok(world.here(first) || kind === 's3');
    assert.equal(world.here(second), true);
  });

  test(`${kind}: what the archive has not yet at one look goes at the next`, async () => {
    await using world = await World.create(kind, { lock });
    await people(world);
    const copies = world.copies();
    const { signal } = new AbortController();
    assert.equal(await copies.sweep(signal), 0);
    await world.carry();
    assert.equal(await copies.sweep(signal), 2);
  });

  test(`${kind}: started again with its cursor, without it, and after an archive that was away`, async () => {
    await using world = await World.create(kind, { lock });
    const [, , open] = (await people(world)) as [LiveSession, LiveSession, LiveSession];
    await world.carry();
    const { next } = await world.cursor();
    assert.ok(next > 5);
    world.history.command(open, 'select 7', { masked: true });
    await world.history.close(open);
    await world.carry();
    const lostCursor = path.join(world.scratch, 'cursor.json');
    rmSync(lostCursor);
    await world.carry();
    assert.ok((await world.cursor()).next > next);
    if (world.archive.server !== null)
      for (const key of world.archive.server.keys().filter((each) => each.includes('recordings')))
        assert.equal(world.archive.server.object(key)!.versions, 1, 'put once');
    // What is there alone counts as carried.
    assert.equal(await world.sweep(), 3);
    rmSync(lostCursor);
    await world.carry();
    assert.deepEqual([world.lost, world.told.filter((event) => event.startsWith('evidence'))], [0, []]);
    assert.deepEqual(await world.codesOf(await world.archive.asDirectory()), []);
  });

  test(`${kind}: what is nowhere, or was changed here, is told and stops nothing`, async () => {
    await using world = await World.create(kind);
    const [first, second] = (await people(world)) as [LiveSession, LiveSession];
    rmSync(path.join(world.evidence, world.directory(first), sealedName(0)));
    writeFileSync(path.join(world.evidence, world.directory(second), sealedName(0)), 'changed');
    await world.carry();
    assert.deepEqual(world.told.toSorted(), ['evidence changed', 'evidence missing']);
    assert.equal(world.lost, 2);
    const codes = new Set(await world.codesOf(await world.archive.asDirectory()));
    assert.deepEqual(codes, new Set(['segment-missing']));
  });

  test(`${kind}: what was erased goes there too; what was erased before it was carried never comes there`, async () => {
    await using world = await World.create(kind);
    const [first, second, third] = (await people(world)) as [LiveSession, LiveSession, LiveSession];
    await world.history.fixture.log.checkpoint();
    await world.retention.erase({ session: second.of.session }, 'recording', root);
    await world.history.close(third);
    await world.carry();
    const names = async (session: LiveSession): Promise<string[]> => {
      const all: string[] = [];
      for await (const { name } of world.archive.store.list(world.directory(session))) all.push(name);
      return all;
    };
    assert.deepEqual(await names(second), []);
    assert.equal(world.lost, 0);
    await world.sweep();
    await world.retention.erase({ session: first.of.session }, 'originals', root);
    const originals = `${world.directory(first)}/${originalsName(0)}`;
    const { readable } = world;
    assert.ok(typeof readable !== 'string');
    assert.equal(await readable.files.read(originals, 1e6), null, 'gone for readers at once');
    await world.carry();
    assert.ok((await names(first)).every((name) => name.endsWith('.zst')));
    await world.retention.erase({ session: first.of.session }, 'recording', root);
    assert.deepEqual(await readable.files.list(world.directory(first)), []);
    await world.carry();
    assert.deepEqual(await names(first), []);
    assert.deepEqual(await world.codesOf(await world.archive.asDirectory()), []);
  });
}

test('s3: what the lock keeps is not erased, by age or on request, and goes when the lock has ended', async () => {
  const server = { ms: Date.now() };
  await using world = await World.create('s3', { lock }, { nowMs: () => server.ms });
  const [first, second] = (await people(world)) as [LiveSession, LiveSession];
  await world.carry();
  const refused = { code: 'evidence-locked' };
  await assert.rejects(world.retention.erase({ session: first.of.session }, 'recording', root), refused);
  await assert.rejects(world.retention.erase({ session: first.of.session }, 'originals', root), refused);
  const entries = await eventsOf(world.evidence);
  assert.ok(
    entries.every((event) => !JSON.stringify(event).includes('evidence.erased')),
    'the log says nothing of it',
  );
  assert.equal(world.here(first), true);
  // Somebody at the bucket opens one lock: that one goes.
  for (const key of world.archive.server!.keys().filter((each) => each.includes(second.of.session)))
    world.archive.server!.tamper.unlock(key);
  world.nowMs += 1000;
  const done = await world.retention.erase({ person: 'ben' }, 'recording', root);
  assert.deepEqual([done.erased, done.locked], [[second.of.session], []]);
  await world.carry();
  assert.equal(
    world.archive.server!.keys().some((key) => key.includes(second.of.session)),
    false,
  );
});

test('s3: every request may fail in any way: in the end all is there, nothing twice in vain, and it verifies', async () => {
  await using world = await World.create('s3', { lock });
  await people(world);
  await world.history.fixture.log.checkpoint();
  const faults = ['error-500', 'slow-down', 'cut', 'cut-after'] as const;
  // Two of three requests fail, each in its way: often all tries of one.
  let given = 0;
  world.archive.server!.fault = () => (Math.random() < 0.65 ? faults[given++ % 4]! : null);
  let failures = 0;
  let carrier = await world.carrier();
  for (let done = false; !done;) {
    try {
      await carrier.carry(true);
      done = true;
    } catch (error) {
      assert.ok(
        error instanceof Error && 'code' in error && error.code === 'archive-unreachable',
        String(error),
      );
      failures += 1;
      assert.ok(failures < 300);
      // A relay that was killed knows its cursor alone.
      if (failures % 2 === 0) carrier = await world.carrier();
    }
  }
  world.archive.server!.fault = null;
  assert.ok(given > 20, `${given}`);
  assert.deepEqual(await world.codesOf(await world.archive.asDirectory()), []);
  for (const key of world.archive.server!.keys())
    assert.ok(world.archive.server!.object(key)!.versions <= 12, key);
});

test('s3: a bucket that does not lock holds nothing up for removal', async () => {
  await using world = await World.create('s3', { lock });
  const [first] = (await people(world)) as [LiveSession];
  await world.carry();
  const name = `${world.directory(first)}/${sealedName(0)}`;
  world.archive.server!.tamper.unlock(keyOf(name));
  assert.equal(await world.sweep(), 1);
  assert.equal(world.here(first), true);
  assert.deepEqual(world.told, ['archive differs', 'recordings are in the archive alone']);
});

test('a share that is not mounted: nothing is taken for archived, and the evidence stays', async () => {
  await using world = await World.create('directory');
  const [first] = (await people(world)) as [LiveSession];
  await world.carry();
  const directory = await world.archive.asDirectory();
  cpSync(directory, `${directory}-away`, { recursive: true });
  rmSync(directory, { recursive: true });
  await mkdir(directory);
  await assert.rejects(world.sweep(), { code: 'archive-unreachable' });
  assert.equal(world.here(first), true);
  rmSync(directory, { recursive: true });
  cpSync(`${directory}-away`, directory, { recursive: true });
  assert.equal(await world.sweep(), 2);
});

test('who carries says whether the log is there now', async () => {
  await using world = await World.create('directory');
  const { fixture } = world.history;
  const checkpoint = path.join(world.evidence, 'log/checkpoint');
  const first = await world.carrier();
  assert.equal(await first.carry(false), false, 'it was not asked for');
  await fixture.log.checkpoint();
  assert.equal(await first.carry(true), true);
  const archived = path.join(await world.archive.asDirectory(), 'log/checkpoint');
  assert.ok(readFileSync(archived).equals(readFileSync(checkpoint)));
});
