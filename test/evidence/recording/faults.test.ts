/** What the recorder does when the disk does not: nothing unrecorded can follow, and what was recorded stays. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs, { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { EvidenceError } from '../../../src/evidence/error.ts';
import { readRecords } from '../../../src/evidence/recording/records.ts';
import { openFixture, type Fixture } from './fixture.ts';

const failed = (error: unknown): boolean =>
  error instanceof EvidenceError && error.code === 'recording-failed';
const chunk = Buffer.alloc(200_000, 'x');
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Every verb refuses, and `onFailure` was called once. */
async function assertRefusing({ recorder, failures }: Fixture): Promise<void> {
  assert.throws(() => recorder.output(1, 1, chunk), failed);
  assert.throws(() => recorder.command(1, 9, Buffer.from('select 1'), null, 'allow', null, null), failed);
  assert.throws(() => recorder.flush(), failed);
  await assert.rejects(recorder.sync(), failed);
  await tick();
  assert.equal(failures.length, 1);
  assert.ok(failed(failures[0]));
}

/** Replaces functions of `node:fs` for everybody in this process; undone at the end of the block. */
function replaceFs(replaced: Partial<typeof fs>): Disposable {
  const before = { ...fs };
  Object.assign(fs, replaced);
  syncBuiltinESMExports();
  return {
    [Symbol.dispose]() {
      for (const name of Object.keys(replaced))
        Object.assign(fs, { [name]: before[name as keyof typeof fs] });
      syncBuiltinESMExports();
    },
  };
}

test('a full disk ends the recording; what was flushed before is sealed once there is space', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-full-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', directory]);
  if (mounted.status !== 0) {
    rmSync(directory, { recursive: true });
    return t.skip(`no tmpfs can be mounted here: ${mounted.error?.message ?? String(mounted.stderr)}`);
  }
  try {
    writeFileSync(path.join(directory, 'ballast'), Buffer.alloc(2_000_000));
    const retries: unknown[] = [];
    await using fixture = openFixture(
      { directory },
      { retryMs: 20, onError: (error) => retries.push(error) },
    );
    const { recorder } = fixture;
    let flushed = 0;
    assert.throws(() => {
      for (;;) {
        // Random, so that the sealed file does not fit beside the open one either.
        recorder.output(1, 1, Buffer.from(crypto.getRandomValues(new Uint8Array(50_000))));
        recorder.flush();
        flushed++;
      }
    }, failed);
    assert.ok(flushed > 3, String(flushed));
    await assertRefusing(fixture);
    const closing = recorder.close();
    while (retries.length === 0) await tick();
    rmSync(path.join(directory, 'ballast'));
    const { lastSegmentIndex, totals } = await closing;
    let [rawBytes, outputs] = [0, 0];
    for (let index = 0; index <= lastSegmentIndex!; index++) {
      const stored = readFileSync(path.join(fixture.recordingDirectory, `${index}.cbor.zst`));
      const sealed = zstdDecompressSync(stored);
      rawBytes += sealed.length;
      outputs += [...readRecords(sealed)].filter(({ kind }) => kind === 'output').length;
    }
    assert.equal(rawBytes, totals.rawBytes);
    assert.equal(outputs, flushed);
  } finally {
    spawnSync('umount', [directory]);
    rmSync(directory, { recursive: true, force: true });
  }
});

test('/dev/full: the first flush fails, nothing is recorded, nothing is left behind', async () => {
  await using fixture = openFixture();
  const { recorder } = fixture;
  recorder.output(1, 1, chunk);
  const { openSync } = fs;
  {
    using _ = replaceFs({ openSync: () => openSync('/dev/full', 'a') });
    assert.throws(() => recorder.flush(), failed);
  }
  await assertRefusing(fixture);
  assert.equal((await recorder.close()).lastSegmentIndex, null);
  assert.deepEqual(fixture.entries, []);
});

test('a write that fails half way is cut off: the record ends with the last whole flush', async () => {
  await using fixture = openFixture();
  const { recorder } = fixture;
  recorder.output(1, 1, Buffer.from('before'));
  recorder.flush();
  recorder.output(1, 1, Buffer.from('never delivered'));
  const { writeSync } = fs;
  let calls = 0;
  {
    using _ = replaceFs({
      writeSync: ((fd: number, bytes: Buffer, offset: number, length: number, position: number) => {
        if (calls++ > 0) throw Object.assign(new Error('I/O error'), { code: 'EIO' });
        return writeSync(fd, bytes, offset, Math.floor(length / 2), position);
      }) as typeof writeSync,
    });
    assert.throws(() => recorder.flush(), failed);
  }
  assert.equal(calls, 2);
  await assertRefusing(fixture);
  await recorder.close();
  const sealed = zstdDecompressSync(readFileSync(path.join(fixture.recordingDirectory, '0.cbor.zst')));
  const outputs = [...readRecords(sealed)].flatMap((record) =>
    record.kind === 'output' ? [record.bytes] : [],
  );
  assert.deepEqual(outputs.map(String), ['before']);
});

test('short writes are gone on with', async () => {
  await using fixture = openFixture();
  const { writeSync } = fs;
  {
    using _ = replaceFs({
      writeSync: ((fd: number, bytes: Buffer, offset: number, length: number, position: number) =>
        writeSync(fd, bytes, offset, Math.min(length, 7), position)) as typeof writeSync,
    });
    fixture.recorder.output(1, 1, Buffer.from('a text longer than seven bytes'));
    fixture.recorder.flush();
  }
  const open = readFileSync(path.join(fixture.recordingDirectory, '0.cbor'));
  assert.deepEqual(
    [...readRecords(open)].map(({ kind }) => kind),
    ['segment', 'output'],
  );
});

test('a directory that is not there for writing fails the recorder, not the process', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-recording-'));
  try {
    writeFileSync(path.join(directory, 'recordings'), 'a file in the way');
    await using fixture = openFixture({ directory });
    fixture.recorder.output(1, 1, chunk);
    assert.throws(() => fixture.recorder.flush(), failed);
    await assertRefusing(fixture);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('an open segment of the same name is never written over', async () => {
  await using fixture = openFixture();
  mkdirSync(fixture.recordingDirectory, { recursive: true });
  writeFileSync(path.join(fixture.recordingDirectory, '0.cbor'), 'evidence');
  fixture.recorder.output(1, 1, chunk);
  assert.throws(() => fixture.recorder.flush(), failed);
  await assertRefusing(fixture);
  assert.equal(readFileSync(path.join(fixture.recordingDirectory, '0.cbor'), 'utf8'), 'evidence');
});

for (const durability of ['process', 'disk'] as const)
  test(`a sync that stalls past its bound fails the recorder (durability: ${durability})`, async () => {
    const { promise: stalled, resolve: answer } = Promise.withResolvers<void>();
    const told = Promise.withResolvers<Error>();
    const failures: Error[] = [];
    await using fixture = openFixture({
      durability,
      syncTimeoutMs: 20,
      syncCalls: { file: () => stalled, directory: () => Promise.resolve() },
      onFailure: (error) => {
        failures.push(error);
        told.resolve(error);
      },
    });
    fixture.recorder.output(1, 1, Buffer.from('x'));
    fixture.recorder.flush();
    if (durability === 'disk') await assert.rejects(fixture.recorder.sync(), failed);
    assert.ok(failed(await told.promise));
    await assertRefusing({ ...fixture, failures });
    answer();
    assert.equal((await fixture.recorder.close()).totals.segments, 1);
  });

test('calls of sync while one is in flight share the next one, which covers all that was flushed before them', async () => {
  const begun: PromiseWithResolvers<void>[] = [];
  await using fixture = openFixture({
    durability: 'disk',
    syncCalls: {
      file: () => {
        const call = Promise.withResolvers<void>();
        begun.push(call);
        return call.promise;
      },
      directory: () => Promise.resolve(),
    },
  });
  const { recorder } = fixture;
  const done: string[] = [];
  const flushAndSync = (name: string): void => {
    recorder.output(1, 1, Buffer.from(name));
    recorder.flush();
    void recorder.sync().then(() => done.push(name));
  };
  flushAndSync('a');
  flushAndSync('b');
  flushAndSync('c');
  assert.equal(begun.length, 1);
  begun[0]!.resolve();
  while (begun.length < 2) await tick();
  assert.deepEqual(done, ['a']);
  flushAndSync('d');
  begun[1]!.resolve();
  while (begun.length < 3) await tick();
  assert.deepEqual(done, ['a', 'b', 'c']);
  begun[2]!.resolve();
  while (done.length < 4) await tick();
  await recorder.sync();
  assert.equal(begun.length, 3);
});
