/** The compressing threads: what they store, and what they say when it cannot be stored. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { EvidenceError } from '../../../src/evidence/error.ts';
import { compress, type CompressionSource } from '../../../src/evidence/recording/compression.ts';

/** A directory, and descriptors of new files in it. */
function place() {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-compression-'));
  const open: number[] = [];
  return {
    file: (name: string) => path.join(directory, name),
    into: (file: string): number => {
      open.push(openSync(file, 'w', 0o600));
      return open.at(-1)!;
    },
    [Symbol.dispose]() {
      for (const fd of open) closeSync(fd);
      rmSync(directory, { recursive: true });
    },
  };
}

for (const priority of ['low', 'normal'] as const)
  test(`${priority}: the start of a file becomes one frame that says its length; many at once keep apart`, async () => {
    using files = place();
    const contents = Array.from({ length: 20 }, (_, i) => Buffer.alloc(50_000 * i + 1, `${i} and `));
    await Promise.all(
      contents.map(async (content, i) => {
        const [raw, stored] = [files.file(`${i}`), files.file(`${i}.zst`)];
        writeFileSync(raw, Buffer.concat([content, Buffer.from('not of a whole flush')]));
        const from = { file: raw, length: content.length };
        const into = files.into(stored);
        const { sha256, bytes } = await compress({ from, into, originals: null }, priority);
        const frame = readFileSync(stored);
        assert.equal(frame.length, bytes);
        assert.equal(createHash('sha256').update(frame).digest('hex'), sha256);
        assert.ok(zstdDecompressSync(frame).equals(content));
        // RFC 8878, 3.1.1.1: magic number; then a content size (or a single segment) and a checksum are announced.
        assert.equal(frame.readUInt32LE(0), 0xfd2fb528);
        assert.notEqual(frame[4]! & 0b1110_0000, 0);
        assert.notEqual(frame[4]! & 0b0000_0100, 0);
      }),
    );
  });

const start = (from: CompressionSource, into: number) => compress({ from, into, originals: null }, 'normal');

test('a file that is shorter than what was written to it is damage; a full disk says so; others go on', async () => {
  using files = place();
  writeFileSync(files.file('short'), 'abc');
  const abc = { file: files.file('short'), length: 3 };
  const short = start({ ...abc, length: 4 }, files.into(files.file('short.zst')));
  const full = start(abc, files.into('/dev/full'));
  const missing = start({ file: files.file('none'), length: 1 }, files.into(files.file('none.zst')));
  const good = start(abc, files.into(files.file('good.zst')));
  await assert.rejects(
    short,
    (error) => error instanceof EvidenceError && error.code === 'recording-damaged',
  );
  await assert.rejects(full, { code: 'ENOSPC' });
  await assert.rejects(missing, { code: 'ENOENT' });
  await good;
  assert.equal(zstdDecompressSync(readFileSync(files.file('good.zst'))).toString(), 'abc');
});
