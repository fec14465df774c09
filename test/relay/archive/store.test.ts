/** The two stores: what they hold, what they refuse, and that neither takes a file for another. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DirectoryStore } from '../../../src/relay/archive/directory-store.ts';
import { keep } from '../../../src/relay/archive/keep.ts';
import { memoryFile } from '../../../src/relay/archive/local-file.ts';
import { credentialsOfProgram } from '../../../src/relay/archive/s3/credentials.ts';
import { keyOf, keys, kinds, openArchive } from './stores.ts';

const name = 'recordings/2026/01/31/01JD0M3V6S9J2Q4W8X5Y7Z1ABC/0.cbor.zst';
const unreachable = { code: 'archive-unreachable' };
const refusedWith = (what: string) => (error: unknown) =>
  error instanceof Error && 's3Code' in error && error.s3Code === what;

const listed = async (files: AsyncIterable<{ name: string; bytes: number }>) => {
  const all: { name: string; bytes: number }[] = [];
  for await (const file of files) all.push(file);
  return all;
};

for (const kind of kinds) {
  test(`${kind}: holds what was put, tells it from other bytes and from nothing, and gives it back`, async () => {
    await using archive = await openArchive(kind, {}, { pageSize: 3 });
    const { store } = archive;
    const file = memoryFile(name, Buffer.from('a segment'));
    assert.deepEqual(await store.holds(file), { state: 'absent' });
    assert.equal(await store.read(name, 100), null);
    assert.deepEqual(await keep(store, file), { bytes: 9 });
    assert.deepEqual(await keep(store, file), { bytes: 0 }, 'once');
    assert.deepEqual(await store.holds({ name, sha256: '0'.repeat(64) }), { state: 'other' });
    assert.equal((await store.read(name, 100))?.toString(), 'a segment');
    assert.equal((await store.read(name, 3))?.length, 4, 'these and one byte more');
    const newer = memoryFile(name, Buffer.from('sealed anew'));
    await keep(store, newer);
    assert.deepEqual(await store.holds(file), { state: 'other' });
    const directory = path.posix.dirname(name);
    for (let i = 1; i < 8; i++) await keep(store, memoryFile(`${directory}/${i}.cbor.zst`, Buffer.alloc(i)));
    await keep(store, memoryFile(`${directory}X/0.cbor.zst`, Buffer.alloc(1)));
    const files = await listed(store.list(directory));
    assert.deepEqual(
      files.map(({ bytes }) => bytes),
      [11, 1, 2, 3, 4, 5, 6, 7],
      'page by page, its own alone',
    );
    assert.deepEqual(await listed(store.list('recordings/1999')), []);
    await store.remove(name);
    await store.remove(name);
    assert.deepEqual(await store.holds(newer), { state: 'absent' });
    assert.equal(await store.lockedUntil(name), null);
  });

  test(`${kind}: a file that changes on its way is not confirmed`, async () => {
    await using archive = await openArchive(kind);
    const file = memoryFile(name, Buffer.from('as the log names it'));
    const changed = { ...file, read: async (at: number, length: number) => Buffer.alloc(length, at) };
    await assert.rejects(keep(archive.store, changed), { code: 'archive-mismatch' });
    assert.notEqual((await archive.store.holds(file)).state, 'held');
  });

  test(`${kind}: bytes that are not what they were are found by reading them back`, async () => {
    await using archive = await openArchive(kind);
    const file = memoryFile(name, Buffer.from('a segment'));
    await keep(archive.store, file);
    await archive.replace(name, Buffer.from('A segment'));
    assert.deepEqual(await archive.store.holds(file, true), { state: 'other' });
  });
}

test('directory: a share that is not mounted confirms nothing, and takes nothing', async () => {
  await using archive = await openArchive('directory');
  const file = memoryFile(name, Buffer.from('a segment'));
  await keep(archive.store, file);
  const directory = await archive.asDirectory();
  assert.equal(statSync(path.join(directory, name)).mode & 0o777, 0o400);
  renameSync(directory, `${directory}-away`);
  mkdirSync(directory);
  for (const ask of [
    () => archive.store.holds(file),
    () => archive.store.put(file),
    () => archive.store.read(name, 9),
    () => archive.store.remove(name),
  ])
    await assert.rejects(ask(), unreachable);
  assert.deepEqual(readdirSync(directory), []);
});

test('directory: of another log, or of something else, it is refused', async () => {
  await using archive = await openArchive('directory');
  const directory = await archive.asDirectory();
  const other = new DirectoryStore(directory, 'other.example/log');
  await assert.rejects(other.begin(), { code: 'archive-foreign' });
  await assert.rejects(other.put(memoryFile(name, Buffer.alloc(1))), { code: 'archive-foreign' });
  const full = path.join(directory, '..', 'full');
  mkdirSync(full);
  writeFileSync(path.join(full, 'thesis.doc'), 'x');
  await assert.rejects(new DirectoryStore(full, 'relay.example/log').begin(), { code: 'archive-foreign' });
});

const lock = { mode: 'compliance', retainMs: 86_400_000 } as const;

test('s3: each object is under the lock, encrypted as asked, and keeps its digest', async () => {
  await using archive = await openArchive('s3', { lock, encryption: { kind: 'aws:kms', keyId: 'key-7' } });
  const { store, server } = archive;
  const file = memoryFile(name, Buffer.from('a segment'));
  await keep(store, file);
  const object = server!.object(keyOf(name))!;
  assert.equal(object.mode, 'COMPLIANCE');
  assert.ok(Math.abs(object.retainUntil!.getTime() - Date.now() - lock.retainMs) < 60_000);
  assert.equal(object.headers['x-amz-server-side-encryption'], 'aws:kms');
  assert.equal(object.headers['x-amz-server-side-encryption-aws-kms-key-id'], 'key-7');
  const holding = await store.holds(file);
  assert.deepEqual(holding, { state: 'held', lockedUntil: object.retainUntil });
  assert.deepEqual(await store.lockedUntil(name), object.retainUntil);
  await assert.rejects(store.remove(name), { code: 'archive-locked' });
  assert.equal((await store.holds(file)).state, 'held');
  server!.tamper.unlock(keyOf(name));
  assert.deepEqual(await store.holds(file), { state: 'unlocked' });
  assert.deepEqual(await keep(store, file), { bytes: 0 }, 'locked anew, not put anew');
  assert.equal((await store.holds(file)).state, 'held');
  assert.equal(server!.object(keyOf(name))!.versions, 1);
});

test('s3: governance is less than compliance; it goes with its last version when all locks have ended', async () => {
  let nowMs = Date.now();
  await using archive = await openArchive(
    's3',
    { lock: { mode: 'governance', retainMs: 600_000 } },
    { nowMs: () => nowMs },
  );
  const { store, server } = archive;
  for (const text of ['first', 'second', 'third']) await keep(store, memoryFile(name, Buffer.from(text)));
  assert.equal(server!.object(keyOf(name))!.versions, 3);
  await assert.rejects(store.remove(name), { code: 'archive-locked' });
  await using strict = await openArchive('s3', { lock, endpoint: server!.url });
  assert.deepEqual(await strict.store.holds(memoryFile(name, Buffer.from('third'))), { state: 'unlocked' });
  nowMs += 601_000;
  await store.remove(name);
  assert.equal(server!.object(keyOf(name)), null);
  assert.deepEqual(server!.keys(), []);
});

test('s3: what is larger than a part goes in parts, and comes back whole', async () => {
  const partBytes = 5 * 1024 * 1024;
  await using archive = await openArchive('s3', { lock, partBytes });
  const { store, server } = archive;
  const content = randomBytes(2 * partBytes + 4711);
  const file = memoryFile('recordings/2026/01/31/01JD0M3V6S9J2Q4W8X5Y7Z1ABC/0.age', content);
  assert.deepEqual(await keep(store, file), { bytes: content.length });
  assert.equal(server!.requests.filter(({ query }) => query.includes('partNumber')).length, 3);
  assert.equal(server!.object(keyOf(file.name))!.mode, 'COMPLIANCE');
  assert.ok((await store.read(file.name, content.length))!.equals(content));
  const other = memoryFile(file.name, Buffer.concat([content.subarray(1), Buffer.alloc(1)]));
  assert.deepEqual(await store.holds(other), { state: 'other' }, 'by reading it back');
  // A part that fails leaves none behind.
  server!.fault = ({ query }) => (query.get('partNumber') === '2' ? 'error-500' : null);
  await assert.rejects(keep(store, other), unreachable);
  assert.ok(server!.requests.some(({ method, query }) => method === 'DELETE' && query.includes('uploadId')));
});

test('s3: what it refuses is told by its code and a hint, without the secret', async () => {
  await using archive = await openArchive('s3', { lock }, { objectLock: false });
  const file = memoryFile(name, Buffer.from('a segment'));
  await assert.rejects(keep(archive.store, file), refusedWith('InvalidRequest'));
  const of = async (
    credentials: typeof keys | { accessKeyId: string; secretAccessKey: string },
    more = {},
  ) => {
    await using wrong = await openArchive('s3', {
      endpoint: archive.server!.url,
      credentials: () => Promise.resolve(credentials),
      ...more,
    });
    return await wrong.store.read(name, 10);
  };
  const secret = 'planted-secret-4711';
  await assert.rejects(of({ ...keys, secretAccessKey: secret }), (error: unknown) => {
    assert.ok(refusedWith('SignatureDoesNotMatch')(error));
    assert.ok(error instanceof Error && 'hint' in error && /secret key/.test(String(error.hint)));
    assert.doesNotMatch(JSON.stringify([error, error.message, error.stack]), new RegExp(secret));
    return true;
  });
  await assert.rejects(of({ ...keys, accessKeyId: 'AKIDNOBODY' }), refusedWith('InvalidAccessKeyId'));
  await assert.rejects(of(keys, { bucket: 'nobodys' }), refusedWith('NoSuchBucket'));
  await assert.rejects(of(keys, { endpoint: 'http://127.0.0.1:9' }), unreachable);
});

for (const fault of ['error-500', 'slow-down', 'cut', 'cut-after'] as const)
  test(`s3: ${fault} at any request: it fails, and the next try confirms`, async () => {
    await using archive = await openArchive('s3', { lock });
    const { store, server } = archive;
    const file = memoryFile(name, Buffer.from('a segment'));
    for (let at = 1; at <= 3; at++) {
      let before = at - 1;
      server!.fault = () => (before-- > 0 ? null : fault);
      await assert.rejects(keep(store, memoryFile(`${name}.${at}`, Buffer.from('x'))), unreachable);
      server!.fault = null;
      await keep(store, memoryFile(`${name}.${at}`, Buffer.from('x')));
    }
    await keep(store, file);
    assert.equal((await store.holds(file)).state, 'held');
  });

/** A program that answers with credentials. */
const answer = (expiresMs: number, version = 1) => {
  const said = {
    Version: version,
    AccessKeyId: 'A',
    SecretAccessKey: 'planted-4711',
    Expiration: new Date(Date.now() + expiresMs).toISOString(),
  };
  return [process.execPath, '-e', `console.log(${JSON.stringify(JSON.stringify(said))})`];
};

test('s3: credentials of a program are asked for once, again before they expire, and never told', async () => {
  const lasting = credentialsOfProgram(answer(3_600_000));
  assert.equal(await lasting(), await lasting(), 'the same object');
  const short = credentialsOfProgram(answer(1000));
  assert.notEqual(await short(), await short());
  const now = { ms: Date.now() };
  const said = { Version: 1, AccessKeyId: 'A', SecretAccessKey: 'planted-4711' };
  const endless = credentialsOfProgram(
    [process.execPath, '-e', `console.log(${JSON.stringify(JSON.stringify(said))})`],
    () => now.ms,
  );
  const first = await endless();
  assert.equal(await endless(), first);
  now.ms += 900_001;
  assert.notEqual(await endless(), first, 'it may have been rotated');
  for (const argv of [
    answer(1000, 2),
    [process.execPath, '-e', 'console.error("planted-4711"); process.exit(3)'],
    ['/nowhere/program'],
  ])
    await assert.rejects(credentialsOfProgram(argv)(), (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'archive-refused');
      assert.doesNotMatch(JSON.stringify([error.message, error.stack, error.cause]), /planted/);
      return true;
    });
});
