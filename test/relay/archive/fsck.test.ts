/** `fsck`: each thing that can be wrong between the log, this machine and the archive is found by name, and mended if it can be. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { memoryFile } from '../../../src/relay/archive/local-file.ts';
import {
  fsck,
  type FsckCounts,
  type FsckFinding,
  type FsckProblem,
} from '../../../src/relay/archive/fsck.ts';
import { originalsName, sealedName } from '../../../src/evidence/recording/layout.ts';
import type { LiveSession } from '../../evidence/verify/recorded-history.ts';
import { keyOf, kinds } from './stores.ts';
import { lock, people, root, World } from './world.ts';

async function check(
  world: World,
  { repair = false, readBack = false, session = undefined as string | undefined } = {},
): Promise<{ problems: string[]; findings: FsckFinding[]; counts: FsckCounts }> {
  const archive = { store: world.archive.store, next: (await world.cursor()).next };
  const checking = fsck({ evidence: world.evidence, archive, repair, readBack, session });
  const findings: FsckFinding[] = [];
  let next = await checking.next();
  for (; next.done !== true; next = await checking.next()) findings.push(next.value);
  return {
    problems: findings.map(({ problem, repair: how }) => `${problem} ${how}`),
    findings,
    counts: next.value,
  };
}

interface Case {
  readonly problem: FsckProblem;
  readonly only?: 's3' | 'directory';
  readonly repair: FsckFinding['repair'];
  /** Only reading back finds it. */
  readonly readBack?: true;
  readonly done: (world: World, first: LiveSession, name: string, file: string) => Promise<void> | void;
}

const cases: readonly Case[] = [
  {
    problem: 'archive-missing',
    repair: 'repaired',
    done: (world, _, name) => world.archive.store.remove(name),
  },
  {
    problem: 'archive-differs',
    repair: 'repaired',
    done: (world, _, name) => world.archive.store.put(memoryFile(name, Buffer.from('somebody’s'))),
  },
  {
    problem: 'archive-differs',
    repair: 'repaired',
    readBack: true,
    done: (world, _, name) => world.archive.replace(name, Buffer.from('rotten')),
  },
  {
    problem: 'archive-unlocked',
    only: 's3',
    repair: 'repaired',
    done: (world, _, name) => world.archive.server!.tamper.unlock(keyOf(name)),
  },
  {
    problem: 'archive-unnamed',
    repair: 'impossible',
    done: async (world, first) => {
      await world.archive.store.put(memoryFile(`${world.directory(first)}/99.cbor.zst`, Buffer.from('x')));
    },
  },
  { problem: 'local-missing', repair: 'repaired', done: (_, __, ___, file) => rmSync(file) },
  { problem: 'local-damaged', repair: 'repaired', done: (_, __, ___, file) => writeFileSync(file, 'rotten') },
  {
    problem: 'lost',
    repair: 'impossible',
    done: async (world, _, name, file) => {
      rmSync(file);
      await world.archive.store.remove(name);
    },
  },
  {
    problem: 'lost',
    repair: 'impossible',
    done: async (world, _, name, file) => {
      writeFileSync(file, 'rotten');
      await world.archive.replace(name, Buffer.from('rotten'));
      await world.archive.store.put(memoryFile(name, Buffer.from('rotten')));
    },
  },
];

for (const kind of kinds) {
  for (const [at, { problem, only, repair, readBack = false, done }] of cases.entries()) {
    if (only !== undefined && only !== kind) continue;
    test(`${kind}: ${problem} (${at}) is found, ${repair === 'repaired' ? 'and mended' : 'and stays'}`, async () => {
      // Without a lock where the case removes something; a lock of the past is none.
      await using world = await World.create(kind, problem === 'archive-unlocked' ? { lock } : {});
      const [first] = (await people(world)) as [LiveSession];
      await world.carry();
      assert.deepEqual((await check(world)).problems, []);
      const name = `${world.directory(first)}/${sealedName(0)}`;
      const file = path.join(world.evidence, name);
      const before = readFileSync(file);
      await done(world, first, name, file);
      if (readBack && kind === 's3')
        assert.deepEqual((await check(world)).problems, [], 'its digests say nothing of it');
      const found = await check(world, { readBack });
      assert.deepEqual(found.problems, [
        `${problem} ${repair === 'impossible' ? 'impossible' : 'not-asked'}`,
      ]);
      if (problem !== 'archive-unnamed')
        assert.deepEqual([found.findings[0]!.file, found.findings[0]!.session], [name, first.of.session]);
      const mended = await check(world, { repair: true, readBack });
      assert.deepEqual(mended.problems, [`${problem} ${repair}`]);
      const after = await check(world, { readBack });
      assert.deepEqual(after.problems, repair === 'repaired' ? [] : [`${problem} ${repair}`]);
      if (repair === 'repaired') assert.ok(readFileSync(file).equals(before));
    });
  }

  test(`${kind}: what waits, what is in the archive alone and what was erased is no problem`, async () => {
    await using world = await World.create(kind);
    const [first, second, third] = (await people(world)) as [LiveSession, LiveSession, LiveSession];
    await world.history.fixture.log.checkpoint();
    const waiting = await check(world);
    assert.deepEqual([waiting.problems, waiting.counts.archived], [[], 0]);
    assert.ok(waiting.counts.waiting > 2 && waiting.counts.waiting === waiting.counts.here);
    await world.carry();
    await world.sweep();
    const alone = await check(world);
    assert.deepEqual(
      [alone.problems, alone.counts.waiting, alone.counts.archived],
      [[], 0, alone.counts.files],
    );
    assert.ok(alone.counts.here < alone.counts.files);
    await world.retention.erase({ session: second.of.session }, 'recording', root);
    assert.deepEqual(
      new Set((await check(world)).problems),
      new Set(['not-erased not-asked']),
      'until it is carried there',
    );
    assert.deepEqual((await check(world, { session: first.of.session })).problems, []);
    await world.carry();
    const erased = await check(world);
    assert.deepEqual([erased.problems, erased.counts.erased > 0], [[], true]);
    await world.retention.erase({ session: first.of.session }, 'originals', root);
    assert.deepEqual(
      new Set((await check(world, { repair: true })).problems),
      new Set(['not-erased repaired']),
    );
    assert.deepEqual((await check(world)).problems, []);
    assert.equal(world.here(third), true);
  });
}

test('the log in the archive: a tile that is missing, and an archive that has more of it than is here', async () => {
  await using world = await World.create('directory');
  const ana = await world.history.fixture.signIn('ana');
  for (let i = 0; i < 300; i++) await world.history.fixture.read(ana);
  await world.carry();
  const directory = await world.archive.asDirectory();
  rmSync(path.join(directory, 'log/tile/entries/000'));
  assert.deepEqual((await check(world, { repair: true })).problems, ['archive-missing repaired']);
  assert.deepEqual(await world.codesOf(directory), []);
  // The evidence directory was restored from an older copy.
  const checkpoint = path.join(world.evidence, 'log/checkpoint');
  const older = readFileSync(checkpoint);
  for (let i = 0; i < 20; i++) await world.history.fixture.read(ana);
  await world.carry();
  await world.history.fixture.log.checkpoint();
  const archived = readFileSync(path.join(directory, 'log/checkpoint'), 'utf8');
  assert.ok(Number(archived.split('\n')[1]) > Number(older.toString().split('\n')[1]));
  mkdirSync(path.join(world.scratch, 'restored'));
  writeFileSync(checkpoint, older);
  assert.deepEqual((await check(world)).problems, ['archive-ahead impossible']);
});

test('s3: an archive that does not answer is no finding: nothing is said of it', async () => {
  await using world = await World.create('s3', { lock });
  await people(world);
  await world.carry();
  await world.archive.server!.stop();
  await assert.rejects(check(world), { code: 'archive-unreachable' });
});

test('originals are compared like segments', async () => {
  await using world = await World.create('directory');
  const [first] = (await people(world)) as [LiveSession];
  await world.carry();
  const file = path.join(world.evidence, world.directory(first), originalsName(0));
  writeFileSync(file, 'not what the log names');
  const { problems } = await check(world, { repair: true });
  assert.deepEqual(problems, ['local-damaged repaired']);
});
