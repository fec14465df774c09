/** Evidence that somebody prepared: what is no regular file is not read, so that a named pipe holds nobody up. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { readEvents } from '../../../src/evidence/read/events.ts';
import { History, twoSessions } from './history.ts';

const skip = process.platform === 'win32' && 'there are no named pipes in directories';

async function kinds(directory: string): Promise<string[]> {
  const all: string[] = [];
  for await (const { kind } of readEvents(directory, {})) all.push(kind);
  return all;
}

function replace(file: string): void {
  rmSync(file);
  execFileSync('mkfifo', [file]);
}

test('a named pipe in place of a segment, of the journal, of the checkpoint', { skip }, async () => {
  await using history = await new History().open();
  await (
    await twoSessions(history)
  )();
  await history.publish();
  const { directory } = history;
  const before = await kinds(directory);
  const recordings = path.join(directory, 'recordings');
  const files = readdirSync(recordings, { recursive: true, encoding: 'utf8' });
  for (const name of files.filter((found) => found.endsWith('.zst'))) replace(path.join(recordings, name));
  assert.deepEqual(
    await kinds(directory),
    before.filter((kind) => kind !== 'command'),
  );
  replace(path.join(directory, 'log', 'journal'));
  assert.ok((await kinds(directory)).includes('login'));
  replace(path.join(directory, 'log', 'checkpoint'));
  await assert.rejects(kinds(directory), { code: 'evidence-not-found' });
});
