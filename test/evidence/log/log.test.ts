/** What the log promises its callers. Crashes and full disks have files of their own. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  decodeEntry,
  encodeEntry,
  maxEntryBytes,
  relayActor,
  type NewEntry,
} from '../../../src/evidence/entry.ts';
import { openCheckpoint } from '../../../src/evidence/log/checkpoint.ts';
import { createSigner, readSigner } from '../../../src/evidence/log/key-file.ts';
import { Log, type LogOptions } from '../../../src/evidence/log/log.ts';
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { publishedSize, readEntries, unfinishedSessions } from '../../../src/evidence/log/read.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { durableFiles, type DurableFiles } from '../../../src/system/durable-file.ts';
import { EvidenceFixture } from '../verify/fixture.ts';

const signer = NoteSigner.generate('relay.example/log');
const entry: NewEntry = {
  kind: 'relay.started',
  actor: relayActor,
  version: '1',
  configDigest: '0'.repeat(64),
};

async function withDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'hoop-log-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const openLog = (directory: string, more: Partial<LogOptions> = {}) =>
  Log.open({ directory: path.join(directory, 'log'), signer, clock: systemClock, ...more });

test('entries stand in the order of the calls, with times that never decrease while the clock goes back', () =>
  withDirectory(async (directory) => {
    let ms = Date.UTC(2026, 0, 1);
    const clock = { wallMs: () => (ms -= 1000), monotonicMs: () => 0 };
    const told = new Set<number>();
    let log = await openLog(directory, { clock });
    log.subscribe((index) => told.add(index));
    const first = await Promise.all(Array.from({ length: 300 }, () => log.append(entry)));
    assert.deepEqual(
      first.map(({ index }) => index),
      Array.from({ length: 300 }, (_, i) => i),
    );
    assert.equal(told.size, 300);
    await log.close();
    ms = 0;
    log = await openLog(directory, { clock });
    const last = await log.append(entry);
    assert.equal(last.index, 300);
    assert.equal(last.time, first.at(-1)!.time, 'also across a restart');
    await log.close();
  }));

test('one fdatasync for all that waited while the one before was in flight; at once when idle', () =>
  withDirectory(async (directory) => {
    let syncs = 0;
    const files: DurableFiles = {
      ...durableFiles,
      async create(file) {
        const real = await durableFiles.create(file);
        return {
          append: (b) => real.append(b),
          close: () => real.close(),
          sync: () => ((syncs += 1), real.sync()),
        };
      },
    };
    const log = await openLog(directory, { files, checkpointMs: 60_000 });
    syncs = 0;
    await log.append(entry);
    assert.equal(syncs, 1);
    await Promise.all(Array.from({ length: 100 }, () => log.append(entry)));
    assert.equal(syncs, 3, 'the first of them went alone, the others together');
    await log.close();
  }));

test('a checkpoint follows by itself, and closing publishes the rest', () =>
  withDirectory(async (directory) => {
    const checkpoint = path.join(directory, 'log/checkpoint');
    const log = await openLog(directory, { checkpointMs: 5 });
    await log.append(entry);
    while (log.published === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(openCheckpoint(await readFile(checkpoint), signer.verifier).checkpoint.size, 1);
    await log.append(entry);
    await log.close();
    assert.equal(openCheckpoint(await readFile(checkpoint), signer.verifier).checkpoint.size, 2);
    await assert.rejects(log.append(entry), { code: 'log-closed' });
    await log.close();
  }));

test('who waits for a checkpoint gets one of everything that was acknowledged, and goes on without when none comes', () =>
  withDirectory(async (directory) => {
    const log = await openLog(directory, { checkpointMs: 20 });
    await log.covered(AbortSignal.timeout(60_000));
    for (let size = 1; size <= 3; size++) {
      await log.append(entry);
      await log.covered(AbortSignal.timeout(60_000));
      assert.equal(log.published, size);
    }
    await log.close();
    const slow = await openLog(directory, { checkpointMs: 60_000 });
    await slow.append(entry);
    await slow.covered(AbortSignal.timeout(20));
    assert.equal(slow.published, 3, 'waiting signs nothing');
    await slow.covered(AbortSignal.abort());
    await slow.close();
  }));

const jwks = (length: number): NewEntry => {
  return {
    kind: 'issuer.keys',
    actor: relayActor,
    issuer: 'i',
    jwksDigest: '0'.repeat(64),
    jwks: { k: 'k'.repeat(length) },
  };
};

test('an entry that the format forbids is refused, and the log goes on', () =>
  withDirectory(async (directory) => {
    const log = await openLog(directory);
    const overhead = encodeEntry({ ...jwks(0), v: 1, time: '2026-01-01T00:00:00.000Z' }).length;
    await assert.rejects(log.append({ ...entry, version: '\ud800' } as NewEntry), { code: 'entry-invalid' });
    await assert.rejects(log.append({ ...entry, configDigest: 'secret' } as NewEntry), (error: Error) => {
      assert.match(error.message, /configDigest/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    await assert.rejects(log.append(jwks(maxEntryBytes - overhead + 1)), { code: 'entry-invalid' });
    assert.equal((await log.append(jwks(maxEntryBytes - overhead))).index, 0);
    await log.close();
  }));

test('entries read back while the log grows; the journal shrinks', () =>
  withDirectory(async (directory) => {
    const log = await openLog(directory, { journalBytes: 10_000, checkpointMs: 2 });
    const at = path.join(directory, 'log');
    for (let i = 0; i < 40; i++) {
      await Promise.all(Array.from({ length: 20 }, () => log.append(entry)));
      const size = log.size;
      let read = 0;
      for await (const { index, bytes } of readEntries(at)) {
        assert.equal(index, read++);
        assert.equal(decodeEntry(bytes).state, 'known');
      }
      assert.ok(read >= size);
    }
    await log.close();
    assert.ok((await stat(path.join(at, 'journal'))).size < 15_000);
    assert.equal(await publishedSize(at), 800);
    await assert.rejects(publishedSize(directory), { code: 'evidence-not-found' });
  }));

test('sessions that the last run left open', async () => {
  await using fixture = await EvidenceFixture.create();
  const ana = await fixture.signIn('ana');
  await fixture.end(await fixture.open(ana));
  await fixture.start();
  for (let i = 0; i < 300; i++) void fixture.read(ana);
  const left = await fixture.open(ana);
  await fixture.segment(left);
  await fixture.segment(left);
  const silent = await fixture.open(ana);
  await fixture.end(await fixture.open(ana));
  const found = await unfinishedSessions(fixture.path('log'));
  assert.deepEqual(
    found.map(({ session, lastSegment, totals }) => ({ session, lastSegment, totals })),
    [
      { session: left.session, lastSegment: 1, totals: left.totals },
      { session: silent.session, lastSegment: null, totals: silent.totals },
    ],
  );
});

test('what contradicts itself is not appended to, nor changed', () =>
  withDirectory(async (directory) => {
    const file = (name: string) => path.join(directory, 'log', name);
    const log = await openLog(directory);
    for (let i = 0; i < 3; i++) await log.append(entry);
    await log.close();
    const journal = await readFile(file('journal'));
    const cases: [name: string, file: string, content: Buffer | null][] = [
      ['no checkpoint', 'checkpoint', null],
      ['a checkpoint of nobody', 'checkpoint', Buffer.from('x')],
      ['no journal', 'journal', null],
      ['a short journal', 'journal', journal.subarray(0, -10)],
      ['a damaged journal', 'journal', Buffer.from(journal).fill(0, 20, 30)],
      ['no tile', 'tile/0/000.p/3', null],
      ['another tile', 'tile/0/000.p/3', Buffer.alloc(96)],
      ['no bundle', 'tile/entries/000.p/3', null],
      ['another bundle', 'tile/entries/000.p/3', Buffer.from('\0\u0001a\0\u0001b\0\u0001c', 'latin1')],
    ];
    for (const [name, changed, content] of cases) {
      const original = await readFile(file(changed));
      if (content === null) await rm(file(changed));
      else await writeFile(file(changed), content);
      await assert.rejects(openLog(directory), { code: 'log-damaged' }, name);
      await writeFile(file(changed), original);
    }
    await assert.rejects(openLog(directory, { signer: NoteSigner.generate('relay.example/log') }), {
      code: 'log-damaged',
    });
    const again = await openLog(directory);
    assert.equal(again.size, 3);
    await again.close();
  }));

test('the signing key: made once, whole, for its owner alone', () =>
  withDirectory(async (directory) => {
    const file = path.join(directory, 'key');
    await assert.rejects(readSigner(file), { code: 'evidence-not-found' });
    const made = await createSigner(file, 'relay.example/log');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal((await readSigner(file)).verifier.toString(), made.verifier.toString());
    await assert.rejects(createSigner(file, 'relay.example/log'), { code: 'EEXIST' });
    await chmod(file, 0o640);
    await assert.rejects(readSigner(file), { code: 'log-key-exposed' });
  }));
