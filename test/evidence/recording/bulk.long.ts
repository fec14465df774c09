/** 1 GB of output in one session, recorded, sealed and read again: memory stays flat throughout. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readCommands } from '../../../src/evidence/read/commands.ts';
import { readTranscript } from '../../../src/evidence/read/transcript.ts';
import { openFixture } from './fixture.ts';

const chunkBytes = 65_536;
const chunks = 16_384;
/** What one segment, its compression and the collector's slack may take; far under the 1 GB that goes through. */
const boundBytes = 220 * 1024 * 1024;

test('1 GB of output: flat memory while recording, sealing and reading', async () => {
  await using fixture = openFixture();
  const { recorder, recordingDirectory } = fixture;
  const before = process.memoryUsage.rss();
  let highest = before;
  const sample = (): void => void (highest = Math.max(highest, process.memoryUsage.rss()));
  // One CopyData message per chunk, its content not quite repetitive.
  const chunk = Buffer.alloc(chunkBytes);
  chunk[0] = 0x64;
  chunk.writeUInt32BE(chunkBytes - 1, 1);
  recorder.connectionOpened(1, { parameters: {}, serverVersion: null });
  recorder.command(1, 1, Buffer.from('copy big to stdout'), null, 'allow', null, null);
  for (let i = 0; i < chunks; i++) {
    for (let at = 5; at < chunkBytes; at += 16) chunk.writeUInt32LE(i * 31 + at, at % (chunkBytes - 4));
    chunk[0] = 0x64;
    chunk.writeUInt32BE(chunkBytes - 1, 1);
    recorder.output(1, 1, chunk);
    recorder.flush();
    if (i % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (i % 256 === 0) sample();
  }
  recorder.outcome(1, 1, { kind: 'succeeded', tag: 'COPY 1', rows: 1, errorCode: null });
  const { totals } = await recorder.close();
  sample();
  assert.ok(totals.rawBytes > chunks * chunkBytes);
  for await (const command of readCommands(recordingDirectory)) {
    assert.equal(command.outcome.tag, 'COPY 1');
    sample();
  }
  let copied = 0;
  for await (const item of readTranscript(recordingDirectory)) {
    if (item.kind === 'copy-out') copied++;
    if (copied % 256 === 0) sample();
  }
  assert.equal(copied, chunks);
  assert.ok(highest - before < boundBytes, `${Math.round((highest - before) / 1e6)} MB`);
});
