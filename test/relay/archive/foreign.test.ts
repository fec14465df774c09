/** One place, two logs: neither is put over the other, whoever came first. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { signCheckpoint } from '../../../src/evidence/log/checkpoint.ts';
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { memoryFile } from '../../../src/relay/archive/local-file.ts';
import type { LiveSession } from '../../evidence/verify/recorded-history.ts';
import { keyOf, kinds } from './stores.ts';
import { people, problemsOf, World } from './world.ts';

const foreign = { code: 'archive-foreign' };

test('two relays with one bucket and the same prefix: the second does not touch the log of the first', async () => {
  await using one = await World.create('s3');
  await people(one);
  await one.carry();
  await using two = await World.create('s3', { endpoint: one.archive.server!.url });
  const [first] = (await people(two)) as [LiveSession];
  const ana = await two.history.fixture.signIn('ana');
  for (let i = 0; i < 50; i++) await two.history.fixture.read(ana);
  const before = one.archive.server!.object(keyOf('log/checkpoint'))!.bytes;
  await assert.rejects(two.carry(), foreign);
  await assert.rejects(two.carry(), foreign, 'nor at the next try');
  assert.ok(one.archive.server!.object(keyOf('log/checkpoint'))!.bytes.equals(before));
  assert.equal(two.here(first), true);
  assert.ok(one.archive.server!.keys().every((key) => !key.includes(first.of.session)));
  assert.deepEqual(await one.codesOf(await one.archive.asDirectory()), []);
  assert.ok((await problemsOf(two)).some(({ problem }) => problem === 'archive-foreign'));
  // The first one goes on.
  await one.history.close(one.history.live[0]!);
  await one.carry();
  assert.deepEqual(await one.codesOf(await one.archive.asDirectory()), []);
});

for (const kind of kinds)
  test(`${kind}: a log of another name, and one that was set back, are told`, async () => {
    await using world = await World.create(kind);
    await people(world);
    const carrier = await world.carrier();
    await world.history.fixture.log.checkpoint();
    await carrier.carry(true);
    const checkpoint = path.join(world.evidence, 'log/checkpoint');
    const mine = memoryFile('log/checkpoint', readFileSync(checkpoint));
    const { store } = world.archive;
    const root = Buffer.alloc(32);
    for (const [origin, size] of [
      ['other.example/log', 3],
      ['relay.example/log', 1_000_000],
      ['relay.example/log', 3],
    ] as const) {
      const signer = NoteSigner.generate(origin);
      const note = Buffer.from(signCheckpoint({ origin, size, root }, signer));
      await store.put(memoryFile('log/checkpoint', note));
      await world.history.close(world.history.live[0] ?? (await people(world))[2]!);
      await world.history.fixture.log.checkpoint();
      // Also of a relay that knew better before.
      await assert.rejects(carrier.carry(true), foreign);
      await assert.rejects((await world.carrier()).carry(true), foreign);
      assert.ok((await store.read('log/checkpoint', 10_000))!.equals(note));
    }
    await store.put(mine);
    await carrier.carry(true);
    assert.deepEqual(await world.codesOf(await world.archive.asDirectory()), []);
  });
