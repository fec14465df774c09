/** Recordings that leave the disk and come back: whatever fails or stops in between, all of it is here or there, and reads the same. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { StoredAt, type Location } from '../../../src/evidence/location.ts';
import { readEvents } from '../../../src/evidence/read/events.ts';
import { originalsName, sealedName } from '../../../src/evidence/recording/layout.ts';
import { ArchivedEvidence } from '../../../src/relay/archive/archived-evidence.ts';
import { LocalCopies } from '../../../src/relay/archive/local-copies.ts';
import { durableFiles, type DurableFiles } from '../../../src/system/durable-file.ts';
import type { LiveSession } from '../../evidence/verify/recorded-history.ts';
import { kinds } from './stores.ts';
import { people, root, storeWith, World } from './world.ts';

async function eventsOf(evidence: Location): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const event of readEvents(evidence, {})) events.push(event);
  return events;
}

for (const kind of kinds) {
  test(`${kind}: erased originals do not come back, wherever the archive stands with erasing them`, async () => {
    await using world = await World.create(kind);
    const [first, second] = (await people(world)) as [LiveSession, LiveSession];
    await world.carry();
    assert.equal(await world.sweep(), 2);
    await world.retention.erase({ session: first.of.session }, 'originals', root);
    await world.copies().recall(first.of.session);
    const names = readdirSync(path.join(world.evidence, world.directory(first)));
    assert.ok(names.includes(sealedName(0)));
    assert.deepEqual(
      names.filter((name) => name.endsWith('.age')),
      [],
    );
    assert.equal(existsSync(path.join(world.evidence, world.directory(second))), false);
  });

  test(`${kind}: what is erased while it comes back stays away`, async () => {
    for (const what of ['originals', 'recording'] as const) {
      await using world = await World.create(kind);
      const [first] = (await people(world)) as [LiveSession];
      await world.carry();
      await world.sweep();
      let erased = false;
      const store = storeWith(world.archive.store, {
        read: async (name) => {
          if (erased || !name.endsWith(originalsName(0))) return;
          erased = true;
          await world.retention.erase({ session: first.of.session }, what, root);
        },
      });
      await world.copies({ store }).recall(first.of.session);
      assert.equal(erased, true);
      assert.equal(world.here(first), false);
      assert.deepEqual(readdirSync(path.join(world.evidence, 'recalling')), []);
    }
  });

  test(`${kind}: a recording of which the archive lost a file does not come back as half of it`, async () => {
    await using world = await World.create(kind);
    const [first] = (await people(world)) as [LiveSession];
    await world.carry();
    await world.sweep();
    await world.archive.store.remove(`${world.directory(first)}/${originalsName(0)}`);
    await assert.rejects(world.copies().recall(first.of.session), { code: 'archive-mismatch' });
    assert.equal(world.here(first), false);
    assert.deepEqual(readdirSync(path.join(world.evidence, 'recalling')), [], 'nor does it fill the disk');
  });

  test(`${kind}: asked for twice at once it comes back once, and whole; and stays for a while`, async () => {
    await using world = await World.create(kind);
    const [first] = (await people(world)) as [LiveSession];
    await world.carry();
    const before = readdirSync(path.join(world.evidence, world.directory(first)));
    await world.sweep();
    let reads = 0;
    const copies = world.copies({
      store: storeWith(world.archive.store, {
        read: async () => {
          reads += 1;
        },
      }),
    });
    await Promise.all([1, 2, 3].map(() => copies.recall(first.of.session)));
    assert.deepEqual(readdirSync(path.join(world.evidence, world.directory(first))), before);
    assert.equal(reads, before.length);
    assert.equal(await copies.sweep(new AbortController().signal), 0);
    world.nowMs += 30_001;
    assert.equal(await copies.sweep(new AbortController().signal), 1);
  });
}

test('a session that goes on, and one that is unknown, are left as they are', async () => {
  await using world = await World.create('directory');
  const ana = await world.history.fixture.signIn('ana');
  const session = await world.history.fixture.open(ana);
  await world.copies().recall(session.session);
  await world.copies().recall('01JD0M3V6S9J2Q4W8X5Y7Z1ABC');
  assert.equal(existsSync(path.join(world.evidence, 'recalling')), false);
});

test('one recording that cannot be read keeps no other here', async () => {
  await using world = await World.create('directory');
  const [first, second] = (await people(world)) as [LiveSession, LiveSession];
  await world.carry();
  const [broken] = [first, second].toSorted((a, b) => (a.of.session < b.of.session ? -1 : 1));
  await durableFiles.makeDirectory(path.join(world.evidence, world.directory(broken!), sealedName(999)));
  world.nowMs += 2000;
  assert.equal(await world.sweep(), 1);
  assert.equal(world.here(broken!), true);
  assert.deepEqual(world.told, ['recording not removed', 'recordings are in the archive alone']);
});

/** What a relay would find that was killed behind each step. */
async function photographed(
  world: World,
  work: (files: DurableFiles) => Promise<unknown>,
): Promise<{ readonly behind: string; readonly directory: string }[]> {
  const photographs: { readonly behind: string; readonly directory: string }[] = [];
  const step =
    <A extends unknown[], R>(behind: string, done: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const result = await done(...args);
      const directory = path.join(world.scratch, `killed-${photographs.length}`);
      cpSync(world.evidence, directory, { recursive: true, preserveTimestamps: true });
      photographs.push({ behind, directory });
      return result;
    };
  await work({
    ...durableFiles,
    create: step('create', async (file: string) => {
      const made = await durableFiles.create(file);
      const append = step('append', (bytes: Uint8Array) => made.append(bytes.subarray(0, 100)));
      return {
        append: async (bytes) => {
          await append(bytes);
          await made.append(bytes.subarray(100));
        },
        sync: step('sync', () => made.sync()),
        close: () => made.close(),
      };
    }),
    rename: step('rename', durableFiles.rename),
    syncDirectory: step('directory', durableFiles.syncDirectory),
    remove: step('remove', durableFiles.remove),
  });
  return photographs;
}

for (const kind of kinds)
  test(`${kind}: a relay that is killed behind any step of a removal or a recall has lost nothing`, async () => {
    await using world = await World.create(kind);
    const [first] = (await people(world)) as [LiveSession];
    await world.carry();
    const before = await eventsOf(world.evidence);
    const { signal } = new AbortController();
    const removal = await photographed(world, (files) => world.copies({ files }).sweep(signal));
    const each = ['remove', 'rename', 'directory', 'remove'];
    assert.deepEqual(
      removal.map(({ behind }) => behind),
      [...each, ...each],
    );
    const recall = await photographed(world, (files) => world.copies({ files }).recall(first.of.session));
    const file = ['create', 'append', 'sync', 'rename'];
    assert.deepEqual(
      recall.map(({ behind }) => behind).join(' '),
      ['remove', ...Array.from({ length: (recall.length - 5) / 4 }, () => file).flat(), 'directory', 'rename', 'directory', 'remove'].join(' '), // prettier-ignore
    );
    assert.ok(recall.length >= 13);
    assert.ok(existsSync(path.join(world.evidence, world.directory(first), originalsName(0))));
    for (const { behind, directory } of [...removal, ...recall]) {
      const { retention, keepLocalMs, logger } = world;
      const { store } = world.archive;
      const stands = new StoredAt(new ArchivedEvidence(directory, store, retention));
      assert.deepEqual(await eventsOf(stands), before, `as it stands behind ${behind}`);
      const clock = { wallMs: () => world.nowMs };
      const again = new LocalCopies({ evidence: directory, store, retention, keepLocalMs, logger, clock });
      await again.start();
      assert.deepEqual(
        readdirSync(directory).filter((name) => name.startsWith('re')),
        ['recordings'],
      );
      await again.recall(first.of.session);
      await again.sweep(signal);
      assert.deepEqual(await eventsOf(stands), before, `and goes on behind ${behind}`);
    }
  });

test('a disk that fills up while a recording comes back: none of it is left, and nothing else is lost', async () => {
  await using world = await World.create('directory');
  const [first] = (await people(world)) as [LiveSession];
  await world.carry();
  const before = await eventsOf(world.evidence);
  await world.sweep();
  for (let left = 0; left < 9; left++) {
    let appends = 0;
    const create = async (file: string) => {
      const made = await durableFiles.create(file);
      return {
        append: async (bytes: Uint8Array) => {
          if (appends++ === left) {
            await made.append(bytes.subarray(0, 100));
            throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
          }
          await made.append(bytes);
        },
        sync: () => made.sync(),
        close: () => made.close(),
      };
    };
    const files = { ...durableFiles, create };
    const came = await world
      .copies({ files })
      .recall(first.of.session)
      .then(
        () => true,
        () => false,
      );
    assert.equal(came, world.here(first));
    assert.deepEqual(readdirSync(path.join(world.evidence, 'recalling')), []);
    assert.deepEqual(await eventsOf(world.readable), before);
    if (came) return;
  }
  assert.fail('it never came back');
});
