/** Sealed originals and counts: what verification says when they are not what was logged. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { sessionDirectory } from '../../../src/evidence/recording/layout.ts';
import { encryptAge, parseRecipient } from '../../../src/evidence/recording/age.ts';
import { OriginalsCheck } from '../../../src/evidence/verify/originals.ts';
import { Reseals } from '../../../src/evidence/verify/reseals.ts';
import { checkContents } from '../../../src/evidence/verify/contents.ts';
import { checkSegment } from '../../../src/evidence/verify/segments.ts';
import type { EntryOf } from '../../../src/evidence/entry.ts';
import { openFixture, openedAtMs, session, type Fixture } from '../recording/fixture.ts';

const identity = await generateIdentity();
const recipient = parseRecipient(await identityToRecipient(identity))!;

async function recorded(): Promise<Fixture> {
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
    {
      findings,
      erasures: { excuses: () => false },
      reseals: new Reseals(findings),
      take: () => undefined,
    },
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

/** `code` of each finding, and what was counted. */
async function opened(
  { directory, entries }: Fixture,
  identities: readonly string[],
  changes: Partial<EntryOf<'segment'>> = {},
): Promise<[string[], OriginalsCheck['report']]> {
  const found: string[] = [];
  const add = (code: string) => void found.push(code);
  const check = new OriginalsCheck(identities, { failure: add, warning: add });
  check.segment({ ...(entries[0] as EntryOf<'segment'>), ...changes }, openedAtMs, 0);
  await check.finish(directory);
  return [found, check.report];
}

test('with an identity: originals are what the log promised, all of them, and nothing else', async () => {
  await using fixture = await recorded();
  await fixture.recorder.close();
  const all = { opened: 3, locked: 0, unpromised: 0 };
  assert.deepEqual(await opened(fixture, [identity]), [[], all]);
  const none = { opened: 0, locked: 0, unpromised: 0 };
  const { originals } = fixture.entries[0] as EntryOf<'segment'>;
  const other = originals!.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  assert.deepEqual(await opened(fixture, [identity], { originals: other }), [['originals-mismatch'], none]);
  assert.deepEqual(await opened(fixture, [await generateIdentity()]), [
    ['originals-locked'],
    { ...none, locked: 1 },
  ]);
  const { originals: _, ...older } = fixture.entries[0] as EntryOf<'segment'>;
  assert.deepEqual(await opened(fixture, [identity], { ...older, originals: undefined }), [
    [],
    { ...all, unpromised: 1 },
  ]);

  // Whoever knows the recipients alone can seal anything to them: it is not what was promised.
  const age = path.join(sessionDirectory(fixture.directory, openedAtMs, session), '0.age');
  const forged = Buffer.from('8200416f8201416f8202416f', 'hex'); // [0, 'o'] [1, 'o'] [2, 'o']
  writeFileSync(age, encryptAge([recipient], forged));
  assert.deepEqual(await opened(fixture, [identity]), [['originals-mismatch'], none]);
  const bytes = encryptAge([recipient], forged);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(age, bytes);
  assert.deepEqual(await opened(fixture, [identity]), [['originals-unreadable'], none]);
  const fewer = forged.subarray(0, 8);
  writeFileSync(age, encryptAge([recipient], fewer));
  const promised = hash('sha256', fewer, 'hex');
  assert.deepEqual(await opened(fixture, [identity], { originals: promised }), [
    ['originals-incomplete'],
    none,
  ]);
});

test('two segments of the same originals have other promises: no value can be tried', async () => {
  await using first = await recorded();
  await using second = await recorded();
  await Promise.all([first, second].map(({ recorder }) => recorder.close()));
  const [one, two] = [first, second].map(({ entries }) => (entries[0] as EntryOf<'segment'>).originals);
  assert.notEqual(one, two);
});
