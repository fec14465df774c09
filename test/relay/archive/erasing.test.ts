/** Erasures while evidence is on its way: what the log says was erased never comes under a lock, and nobody waits for it in vain. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { originalsName, sealedName } from '../../../src/evidence/recording/layout.ts';
import type { LiveSession } from '../../evidence/verify/recorded-history.ts';
import { kinds } from './stores.ts';
import { lock, people, root, storeWith, World } from './world.ts';

const locked = { code: 'evidence-locked' };

test('s3: what is on its way under a lock is not erased: it could not be any more', async () => {
  await using world = await World.create('s3', { lock });
  const [first] = (await people(world)) as [LiveSession];
  await world.history.fixture.log.checkpoint();
  let asked = false;
  const store = storeWith(world.archive.store, {
    put: async (name) => {
      if (asked || !name.includes(first.of.session)) return;
      asked = true;
      const erased = world.retention.erase({ session: first.of.session }, 'recording', root);
      await assert.rejects(erased, locked);
    },
  });
  await (await world.carrier(undefined, store)).carry(true);
  assert.equal(asked, true);
  assert.deepEqual([world.lost, world.told], [0, []]);
  await assert.rejects(world.retention.erase({ session: first.of.session }, 'recording', root), locked);
});

for (const kind of kinds)
  test(`${kind}: what is being erased is not put any more, and who reads does not wait for it`, async () => {
    await using world = await World.create(kind, kind === 's3' ? { lock } : {});
    const [first, second] = (await people(world)) as [LiveSession, LiveSession];
    await world.history.fixture.log.checkpoint();
    // The log's key does not sign for a while.
    const covered = Promise.withResolvers<void>();
    world.retention = world.openRetention({ size: Infinity, covered: () => covered.promise });
    const erasing = world.retention.erase({ session: first.of.session }, 'recording', root);
    for (;;) {
      const session = await world.retention.session(first.of.session);
      if (session?.erased.has('recording') === true) break;
    }
    assert.equal(world.here(first), true, 'nothing goes without a signed checkpoint');
    const { readable } = world;
    assert.ok(typeof readable !== 'string');
    assert.equal(await readable.files.size(`${world.directory(second)}/${sealedName(9)}`), null);
    const asks = Promise.withResolvers<void>();
    const undisturbed: typeof world.retention.undisturbed = (id, work) => {
      if (id === first.of.session) asks.resolve();
      return real(id, work);
    };
    const real = world.retention.undisturbed.bind(world.retention);
    world.retention.undisturbed = undisturbed;
    const carrying = (await world.carrier()).carry(true);
    await Promise.race([asks.promise, carrying]);
    covered.resolve();
    assert.deepEqual((await erasing).erased, [first.of.session]);
    await carrying;
    await world.carry();
    assert.equal(world.here(first), false);
    for await (const name of world.archive.store.names(world.directory(first))) assert.fail(name);
    assert.deepEqual([world.lost, world.told.filter((event) => event !== 'evidence erased')], [0, []]);
  });

for (const kind of kinds)
  test(`${kind}: sealed anew, removed here, and the cursor lost: nothing is called missing`, async () => {
    await using world = await World.create(kind);
    const [first] = (await people(world)) as [LiveSession];
    await world.carry();
    await world.history.reseal(first.of, 0, first.by);
    await world.carry();
    world.nowMs += 600_000;
    assert.equal(await world.sweep(), 2);
    rmSync(path.join(world.scratch, 'cursor.json'));
    await world.carry();
    assert.deepEqual([world.lost, world.told], [0, ['recordings are in the archive alone']]);
  });

test('directory: what a killed relay left unfinished there is erased, too', async () => {
  await using world = await World.create('directory');
  const [first] = (await people(world)) as [LiveSession];
  await world.history.fixture.log.checkpoint();
  const place = path.join(await world.archive.asDirectory(), world.directory(first));
  mkdirSync(place, { recursive: true });
  writeFileSync(path.join(place, `${sealedName(0)}.tmp`), 'half of it');
  writeFileSync(path.join(place, `${originalsName(0)}.tmp`), 'half of it');
  await world.retention.erase({ session: first.of.session }, 'originals', root);
  await world.carry();
  assert.deepEqual(readdirSync(place), [sealedName(0)]);
  writeFileSync(path.join(place, `${sealedName(0)}.tmp`), 'half of it');
  await world.retention.erase({ session: first.of.session }, 'recording', root);
  await world.carry();
  assert.deepEqual(readdirSync(place), []);
});
