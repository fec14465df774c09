/** Who has the share or the bucket is no friend: links, pipes, names, answers without end. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { keep } from '../../../src/relay/archive/keep.ts';
import { memoryFile } from '../../../src/relay/archive/local-file.ts';
import { originalsName } from '../../../src/evidence/recording/layout.ts';
import type { LiveSession } from '../../evidence/verify/recorded-history.ts';
import { openArchive } from './stores.ts';
import { people, World } from './world.ts';

const session = 'recordings/2026/01/31/01JD0M3V6S9J2Q4W8X5Y7Z1ABC';
const name = `${session}/0.cbor.zst`;
const foreign = { code: 'archive-foreign' };

test('directory: a link in the place of a file is no file: it is neither shown nor confirmed', async () => {
  await using archive = await openArchive('directory');
  const directory = await archive.asDirectory();
  const secret = path.join(directory, '..', 'log.key');
  writeFileSync(secret, 'the relay’s key');
  mkdirSync(path.join(directory, session), { recursive: true });
  symlinkSync(secret, path.join(directory, name));
  const { sha256 } = memoryFile(name, readFileSync(secret));
  assert.equal(await archive.store.read(name, 1000), null);
  assert.deepEqual(await archive.store.holds({ name, sha256 }), { state: 'absent' });
  const file = memoryFile(name, Buffer.from('a segment'));
  await keep(archive.store, file);
  assert.deepEqual(await archive.store.holds(file), { state: 'held', lockedUntil: null });
  assert.equal(readFileSync(secret, 'utf8'), 'the relay’s key');
});

test('directory: a link in the place of an unfinished file is not written through', async () => {
  await using archive = await openArchive('directory');
  const directory = await archive.asDirectory();
  const victim = path.join(directory, '..', 'relay.yaml');
  writeFileSync(victim, 'configuration');
  mkdirSync(path.join(directory, session), { recursive: true });
  symlinkSync(victim, path.join(directory, `${name}.tmp`));
  await keep(archive.store, memoryFile(name, Buffer.from('a segment')));
  assert.equal(readFileSync(victim, 'utf8'), 'configuration');
});

test('directory: one that leads back to the evidence itself confirms nothing', async () => {
  await using world = await World.create('directory');
  const [first] = (await people(world)) as [LiveSession];
  await world.carry();
  const directory = await world.archive.asDirectory();
  rmSync(path.join(directory, 'recordings'), { recursive: true });
  symlinkSync(path.join(world.evidence, 'recordings'), path.join(directory, 'recordings'));
  await assert.rejects(world.sweep(), foreign);
  assert.equal(world.here(first), true);
  const { store } = world.archive;
  const [original] = [`${world.directory(first)}/${originalsName(0)}`];
  await assert.rejects(store.remove(original), foreign);
  await assert.rejects(store.put(memoryFile(original, Buffer.from('x'))), foreign);
  await assert.rejects(store.read(original, 10), foreign);
  assert.ok(existsSync(path.join(world.evidence, original)));
});

test('directory: a pipe in the place of a file holds nobody up', async () => {
  await using archive = await openArchive('directory');
  const directory = await archive.asDirectory();
  mkdirSync(path.join(directory, session), { recursive: true });
  execFileSync('mkfifo', [path.join(directory, name)]);
  const file = memoryFile(name, Buffer.from('a segment'));
  assert.deepEqual(await archive.store.holds(file), { state: 'absent' });
  assert.equal(await archive.store.read(name, 10), null);
  await keep(archive.store, file);
  assert.equal((await archive.store.read(name, 10))?.toString(), 'a segment');
});
