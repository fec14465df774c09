/** Who has the share or the bucket is no friend: links, pipes, names, answers without end. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import path from 'node:path';
import { ArchivedEvidence } from '../../../src/relay/archive/archived-evidence.ts';
import { keep } from '../../../src/relay/archive/keep.ts';
import { memoryFile } from '../../../src/relay/archive/local-file.ts';
import { originalsName } from '../../../src/evidence/recording/layout.ts';
import type { LiveSession } from '../../evidence/verify/recorded-history.ts';
import { encodeKey, RawClient } from '../../support/s3/raw-client.ts';
import { keyOf, keys, openArchive } from './stores.ts';
import { day, lock, people, problemsOf, root, World } from './world.ts';

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

test('s3: an erasure takes nothing outside its session, whatever names somebody put there', async () => {
  await using world = await World.create('s3', {}, { objectLock: false });
  const [first] = (await people(world)) as [LiveSession];
  await world.carry();
  const server = world.archive.server!;
  const raw = new RawClient(server.url, { region: 'eu-test-1', ...keys });
  const up = '/..'.repeat(6);
  const strange = [
    `${keyOf(world.directory(first))}${up}/${keyOf('log/checkpoint')}`,
    `${keyOf(world.directory(first))}/x?versionId=null`,
    `${keyOf(world.directory(first))}/%2e%2e/%2e%2e/0.age`,
    `${keyOf(world.directory(first))}/sub/0.age`,
  ];
  for (const key of strange)
    assert.equal((await raw.send('PUT', `/evidence/${encodeKey(key)}`, {}, 'x')).status, 200, key);
  const before = server.keys();
  const { readable } = world;
  assert.ok(typeof readable !== 'string');
  await world.sweep();
  assert.deepEqual(
    (await readable.files.list(world.directory(first))).map((file) => file.name),
    ['0.age', '0.cbor.zst'],
  );
  await world.retention.erase({ session: first.of.session }, 'recording', root);
  await world.carry();
  const mine = (key: string): boolean => key.startsWith(keyOf(`${world.directory(first)}/`));
  assert.deepEqual(
    server.keys().filter((key) => mine(key)),
    strange.slice(0, 3).toSorted(),
  );
  assert.deepEqual(
    before.filter((key) => !mine(key) && server.object(key) === null),
    [],
  );
});

test('s3: what a removal hides is erased too, and kept by its lock', async () => {
  await using world = await World.create('s3', { lock });
  const [first, second] = (await people(world)) as [LiveSession, LiveSession];
  await world.carry();
  await world.sweep();
  const server = world.archive.server!;
  const raw = new RawClient(server.url, { region: 'eu-test-1', ...keys });
  for (const session of [first, second])
    for (const key of server.keys().filter((each) => each.startsWith(keyOf(world.directory(session)))))
      assert.equal((await raw.send('DELETE', `/evidence/${encodeKey(key)}`)).status, 204);
  await assert.rejects(world.retention.erase({ session: first.of.session }, 'recording', root), {
    code: 'evidence-locked',
  });
  world.nowMs += 31 * day;
  for (const key of server.hiddenKeys()) server.tamper.unlock(key);
  await world.retention.erase({ session: first.of.session }, 'recording', root);
  const found = await problemsOf(world);
  assert.ok(found.some(({ problem, session }) => problem === 'not-erased' && session === first.of.session));
  await world.carry();
  assert.deepEqual(
    server.hiddenKeys().filter((key) => key.includes(first.of.session)),
    [],
  );
  assert.deepEqual(
    new Set((await problemsOf(world)).map(({ problem }) => problem)),
    new Set(['archive-hidden']),
  );
  assert.ok((await problemsOf(world, true)).every(({ repair }) => repair === 'repaired'));
  assert.deepEqual(await problemsOf(world), []);
  assert.deepEqual(await world.codesOf(await world.archive.asDirectory()), []);
});

test('s3: newer bytes do not take the place of those that the lock keeps', async () => {
  await using world = await World.create('s3', { lock });
  const [first] = (await people(world)) as [LiveSession];
  await world.carry();
  await world.sweep();
  const file = `${world.directory(first)}/${originalsName(0)}`;
  await world.archive.store.put(memoryFile(file, Buffer.from('somebody’s')));
  const found = await problemsOf(world);
  assert.deepEqual(
    found.map(({ problem, file: of }) => [problem, of]),
    [['archive-hidden', file]],
  );
  await problemsOf(world, true);
  assert.deepEqual(await problemsOf(world), []);
  await world.copies().recall(first.of.session);
  assert.equal(world.here(first), true);
});

/** Answers every request in the same way. */
async function answering(xml: (at: number) => string): Promise<{ url: string } & AsyncDisposable> {
  let asked = 0;
  const server = createServer((_, response) => response.end(xml(asked++)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return {
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const object = (key: string): string => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`;
const page = (contents: string, token: number): string =>
  `<ListBucketResult><IsTruncated>true</IsTruncated>${contents}<NextContinuationToken>${token}</NextContinuationToken></ListBucketResult>`;

const endless: Readonly<Record<string, (at: number) => string>> = {
  'the same page': () => page(object(keyOf(name)), 1),
  'empty pages': (at) => page('', at),
  'other keys backwards': (at) => page(object(`relay-1/${1000 - at}`), at),
  'the same versions': () =>
    `<ListVersionsResult><IsTruncated>true</IsTruncated><Version><Key>${keyOf(name)}</Key><VersionId>1</VersionId></Version><NextKeyMarker>${keyOf(name)}</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker></ListVersionsResult>`,
  'entities in entities': () =>
    `<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><ListBucketResult>&b;</ListBucketResult>`,
  'elements in elements': () => '<a>'.repeat(1_000_000),
  'a page without end': () => page(object('x').repeat(100_000), 1),
};

for (const [what, xml] of Object.entries(endless))
  test(`s3: a listing that does not end is refused: ${what}`, { timeout: 30_000 }, async () => {
    await using server = await answering(xml);
    await using archive = await openArchive('s3', { endpoint: server.url });
    await assert.rejects(
      async () => {
        const found = what.includes('versions') ? archive.store.names(session) : archive.store.list(session);
        for await (const each of found) void each;
      },
      { code: 'archive-refused' },
    );
  });

test('s3: names without end in a session’s directory do not fill the memory of who reads', async () => {
  const names = (at: number): string =>
    Array.from({ length: 900 }, (_, i) => object(keyOf(`${session}/${1e9 + at * 1000 + i}.cbor.zst`))).join(
      '',
    );
  await using server = await answering((at) => page(names(at), at));
  await using archive = await openArchive('s3', { endpoint: server.url });
  await using world = await World.create('directory');
  const [first] = (await people(world)) as [LiveSession];
  const kept = await world.retention.session(first.of.session);
  const evidence = new ArchivedEvidence(world.evidence, archive.store, {
    session: () => Promise.resolve(kept),
  });
  await assert.rejects(evidence.list(session), { code: 'evidence-unavailable' });
});
