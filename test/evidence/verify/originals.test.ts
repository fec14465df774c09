/** Sealed originals and counts: what verification says when they are not what was logged. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { sessionDirectory } from '../../../src/evidence/recording/layout.ts';
import { parseRecipient } from '../../../src/evidence/recording/age.ts';
import { checkContents } from '../../../src/evidence/verify/contents.ts';
import { checkSegment } from '../../../src/evidence/verify/segments.ts';
import type { EntryOf } from '../../../src/evidence/entry.ts';
import { openFixture, openedAtMs, session, type Fixture } from '../recording/fixture.ts';

async function recorded(): Promise<Fixture> {
  const recipient = parseRecipient(await identityToRecipient(await generateIdentity()))!;
  const fixture = openFixture({ originals: [recipient] });
  for (let row = 0; row < 3; row++)
    fixture.recorder.redaction(1, 1, 'r', { row, column: 0, offset: 0, length: 1 }, Buffer.from('o'));
  fixture.recorder.command(1, 1, Buffer.from('select'), null, 'allow', null, null);
  fixture.recorder.flush();
  return fixture;
}

async function codes(
  { directory, entries }: Fixture,
  changes: Partial<EntryOf<'segment'>> = {},
): Promise<string[]> {
  const found: string[] = [];
  const findings = { failure: (code: string) => void found.push(code), warning: () => assert.fail() };
  const entry = { ...(entries[0] as EntryOf<'segment'>), ...changes };
  await checkSegment(
    directory,
    openedAtMs,
    { entry, index: 0 },
    { findings, erasures: { excuses: () => false }, take: () => undefined },
  );
  return found;
}

test('the sealed file is there and unchanged, and no other; the counts are those of the records', async () => {
  await using fixture = await recorded();
  await fixture.recorder.close();
  assert.deepEqual(await codes(fixture), []);
  assert.deepEqual(await codes(fixture, { redactions: 2 }), ['segment-counts-mismatch']);
  assert.deepEqual(await codes(fixture, { commands: 2 }), ['segment-counts-mismatch']);
  assert.deepEqual(await codes(fixture, { sealed: null }), ['recording-unlogged', 'originals-missing']);
  const age = path.join(sessionDirectory(fixture.directory, openedAtMs, session), '0.age');
  const bytes = readFileSync(age);
  writeFileSync(age, Buffer.concat([bytes, Buffer.from('x')]));
  assert.deepEqual(await codes(fixture), ['originals-digest-mismatch']);
  rmSync(age);
  assert.deepEqual(await codes(fixture), ['originals-missing']);
});

test('a segment that recovery sealed holds its originals itself', async () => {
  await using fixture = await recorded();
  const raw = readFileSync(path.join(fixture.recordingDirectory, '0.cbor'));
  assert.deepEqual(readdirSync(fixture.recordingDirectory), ['0.cbor']);
  const entry = {
    session,
    index: 0,
    commands: 1,
    redactions: 3,
    sealed: null,
  } as unknown as EntryOf<'segment'>;
  const found: string[] = [];
  const findings = { failure: (code: string) => void found.push(code), warning: () => assert.fail() };
  checkContents(raw, entry, { findings, place: {}, take: () => undefined });
  assert.deepEqual(found, []);
  await fixture.recorder.close();
});
