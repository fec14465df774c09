/** Sealed originals by a second reader (`originals.py`): the vector of FORMAT.md, and what the recorder writes. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { parseRecipient } from '../../../src/evidence/recording/age.ts';
import { missing } from '../../support/programs.ts';
import { openFixture } from './fixture.ts';

const skip = missing('age') || missing('zstd') || missing('python');

interface Read {
  readonly digest: string;
  /** Rule, part, subject, where, offset, length, original. */
  readonly values: readonly unknown[];
}

function readBySecond(directory: string, index: number, identity: string): Read {
  const key = path.join(directory, 'identity');
  writeFileSync(key, `${identity}\n`, { mode: 0o600 });
  const script = path.join(import.meta.dirname, 'originals.py');
  return JSON.parse(execFileSync('python3', [script, directory, String(index), key], { encoding: 'utf8' }));
}

const hexOf = (block: string): Buffer =>
  Buffer.from(block.replaceAll(/;.*$/gm, '').replaceAll(/\s/g, ''), 'hex');
const at = (row: number, column: number) => ({ row, column, offset: 0, length: 4 });

test(
  'the vector of FORMAT.md: age opens it, its bytes and digest are those, and the value goes into its place',
  { skip },
  () => {
    const page = readFileSync(new URL('../../../src/evidence/recording/FORMAT.md', import.meta.url), 'utf8');
    const found = (pattern: RegExp): string => pattern.exec(page)?.[1] ?? assert.fail(String(pattern));
    const directory = mkdtempSync(path.join(tmpdir(), 'hoop-vector-'));
    try {
      const age = Buffer.from(found(/```age\n([^`]*)```/), 'base64');
      writeFileSync(path.join(directory, '0.age'), age);
      writeFileSync(path.join(directory, '0.cbor.zst'), zstdCompressSync(hexOf(found(/```hex\n([^`]*)```/))));
      const identity = found(/`(AGE-SECRET-KEY-1[A-Z0-9]+)`/);
      const { digest, values } = readBySecond(directory, 0, identity);
      assert.equal(digest, found(/originals: `([0-9a-f]{64})`/));
      assert.deepEqual(values, [['words', 'row', 1, [0, 0], 0, 2, 'ok']]);
      const [sha256] = execFileSync('sha256sum', [path.join(directory, '0.age')], { encoding: 'utf8' }).split(
        ' ',
      );
      assert.equal(sha256, found(/sealed: `([0-9a-f]{64})`/));
      const key = path.join(directory, 'identity');
      const opened = execFileSync('age', ['-d', '-i', key, path.join(directory, '0.age')]);
      assert.deepEqual(opened, hexOf(found(/```originals\n([^`]*)```/)));
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);

test(
  'what the recorder seals is what the log promises, with an original for each place',
  { skip },
  async () => {
    const identity = await generateIdentity();
    const recipient = parseRecipient(await identityToRecipient(identity))!;
    await using fixture = openFixture({ originals: [recipient] });
    const { recorder, recordingDirectory, entries } = fixture;
    const nowhere = { row: -1, column: -1, offset: 7, length: 3 };
    const parameter = { ...nowhere, column: 2, literal: 'parameter' as const };
    recorder.redaction(1, 1, 'card', parameter, Buffer.from('4111'));
    recorder.command(1, 1, Buffer.from('select'), null, 'allow', null, null);
    recorder.flush();
    for (const row of [0, 3, 900]) recorder.redaction(1, 1, 'mail', at(row, 1), Buffer.from(`r${row}`));
    recorder.output(1, 1, Buffer.from('rows'));
    recorder.redaction(1, 1, 'mail', at(901, 0), Buffer.alloc(70_000, 'long'));
    recorder.output(1, 1, Buffer.from('more'));
    await recorder.close();
    const { digest, values } = readBySecond(recordingDirectory, 0, identity);
    const [entry] = entries;
    assert.ok(entry?.kind === 'segment');
    assert.equal(digest, entry.originals);
    assert.deepEqual(values, [
      ['card', 'parameter', 1, [2], 7, 3, '4111'],
      ['mail', 'row', 1, [0, 1], 0, 4, 'r0'],
      ['mail', 'row', 1, [3, 1], 0, 4, 'r3'],
      ['mail', 'row', 1, [900, 1], 0, 4, 'r900'],
      ['mail', 'row', 1, [901, 0], 0, 4, 'long'.repeat(17_500)],
    ]);
  },
);
