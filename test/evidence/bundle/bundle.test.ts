/** Bundles of a real record: written, read by foreign programs, verified where they lie, interrupted, changed. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { DirectoryFiles, type BundleSource } from '../../../src/evidence/bundle/fetched.ts';
import { formatStatement } from '../../../src/evidence/bundle/manifest.ts';
import { ZipFiles } from '../../../src/evidence/bundle/zip-reader.ts';
import { partialOf, ZipWriter } from '../../../src/evidence/bundle/zip-writer.ts';
import { EvidenceError } from '../../../src/evidence/error.ts';
import { Cosigner, NoteSigner, parseNote } from '../../../src/evidence/log/note.ts';
import { witnessedPath } from '../../../src/evidence/log/witnessed.ts';
import { verifyBundle } from '../../../src/evidence/verify/index.ts';
import { findProgram, missing } from '../../support/programs.ts';
import { BundleStage } from './stage.ts';

const names = (stage: BundleStage, file: string): string[] => {
  const list =
    'import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print("\\n".join(z.namelist()))';
  const { status, stdout, stderr } = spawnSync(findProgram('python3')!, ['-c', list, stage.path(file)], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return stdout.trim().split('\n');
};

test(
  'a bundle of everything verifies where it lies, and unzip and Python read it',
  {
    skip: missing('zip'),
  },
  async () => {
    await using stage = await BundleStage.create(600);
    assert.deepEqual(await stage.make('all.zip'), { entries: 616, segments: 6, sessions: null });
    const report = await stage.verify('all.zip');
    assert.deepEqual(report.findings, []);
    assert.deepEqual([report.verified, report.counts.segments, report.counts.entries], [true, 6, 616]);
    assert.deepEqual([report.bundle.sessions, report.bundle.exported], [null, 12]);
    const tested = spawnSync('unzip', ['-tq', stage.path('all.zip')], { encoding: 'utf8' });
    assert.equal(tested.status, 0, tested.stdout);
    const inside = names(stage, 'all.zip');
    for (const name of ['README.md', 'events.jsonl', 'events.csv', 'log/checkpoint', 'manifest.sig'])
      assert.ok(inside.includes(name), name);
  },
);

test('with a filter the log is whole, recordings are those of its sessions, and the report says what is not inside', async () => {
  await using stage = await BundleStage.create();
  const { sessions } = await stage.make('ben.zip', { filter: { person: 'ben' } });
  assert.equal(sessions?.length, 1);
  const report = await stage.verify('ben.zip');
  assert.deepEqual(report.findings, []);
  assert.deepEqual([report.counts.sessions, report.counts.segments, report.bundle.sessions], [3, 1, 1]);
  assert.deepEqual(report.bundle.info?.filter, { person: 'ben' });
});

test('nobody signed it: the record is proven all the same, and the report says so', async () => {
  await using stage = await BundleStage.create();
  await stage.make('unsigned.zip', { signed: false });
  const { verified, findings, bundle } = await stage.verify('unsigned.zip');
  assert.deepEqual(
    [verified, findings.map(({ code }) => code), bundle.exported],
    [true, ['manifest-unsigned'], null],
  );
});

test('a key that the log handed over signs no bundle any more; the one in force does', async () => {
  await using stage = await BundleStage.create();
  const { fixture } = stage;
  const next = NoteSigner.generate(fixture.signer.verifier.name);
  await fixture.log.rotate(next);
  await fixture.history();
  await fixture.log.checkpoint();
  await stage.make('old.zip');
  assert.deepEqual(await stage.codes('old.zip'), ['manifest-unverified']);
  await stage.make('new.zip', { signer: next });
  assert.deepEqual(await stage.codes('new.zip'), []);
});

test('what witnesses said is in it, and no more than its checkpoint', async () => {
  await using stage = await BundleStage.create();
  const { fixture } = stage;
  const cosigner = Cosigner.generate('witness.example/w1');
  const witness = cosigner.verifier.toString();
  const vouch = async (): Promise<void> => {
    const { note } = fixture.log.checkpointOnDisk;
    const name = fixture.path('log', witnessedPath(witness));
    await mkdir(path.dirname(name), { recursive: true });
    writeFileSync(name, `${note}${cosigner.cosign(parseNote(Buffer.from(note)).text, 1_770_000_000)}`);
  };
  await vouch();
  const before = fixture.log.size;
  await fixture.history();
  await fixture.log.checkpoint();
  const files = new DirectoryFiles(fixture.directory);
  // The log goes on as soon as its checkpoint has been read.
  const source: BundleSource = {
    open: async (name) => {
      const content = await files.open(name);
      if (name !== 'log/checkpoint') return content;
      await fixture.history();
      await fixture.log.checkpoint();
      await vouch();
      return content;
    },
    whole: (name) => files.whole(name),
  };
  await stage.make('witnessed.zip', { source });
  const file = stage.path('witnessed.zip');
  const witnesses = { vkeys: [witness], threshold: 1 };
  const report = await verifyBundle({ file, vkey: fixture.vkey, witnesses });
  assert.deepEqual(
    report.findings.map(({ code }) => code),
    ['entries-unwitnessed'],
  );
  assert.equal(report.witnessed?.size, before);
});

/** Fails when this many files were opened. */
class Failing implements BundleSource {
  readonly opened: string[] = [];
  readonly #source: DirectoryFiles;
  readonly #after: number;

  constructor(directory: string, after = Infinity) {
    this.#source = new DirectoryFiles(directory);
    this.#after = after;
  }

  async open(file: string) {
    this.#count(file);
    return this.#source.open(file);
  }

  async whole(file: string) {
    this.#count(file);
    return this.#source.whole(file);
  }

  #count(file: string): void {
    if (this.opened.length >= this.#after) throw new Error('the network is gone');
    this.opened.push(file);
  }
}

test('an export that was interrupted anywhere goes on, and fetches nothing twice', async () => {
  await using stage = await BundleStage.create(300);
  const { directory } = stage.fixture;
  const whole = new Failing(directory);
  await stage.make('whole.zip', { source: whole });
  const expected = readFileSync(stage.path('whole.zip'));
  for (let after = 1; after < whole.opened.length; after++) {
    const name = `${after}.zip`;
    const [first, second] = [new Failing(directory, after), new Failing(directory)];
    await assert.rejects(stage.make(name, { source: first }), /network/);
    await stage.make(name, { source: second });
    assert.ok(readFileSync(stage.path(name)).equals(expected), `interrupted after ${after}`);
    const twice = second.opened.filter(
      (file) => file.startsWith('recordings/') && first.opened.includes(file),
    );
    // What was fetched ahead, and not written, is fetched again.
    assert.ok(twice.length <= 8, twice.join());
  }
});

test('cut at any byte, the rest is made anew', async () => {
  await using stage = await BundleStage.create();
  await stage.make('whole.zip');
  const expected = readFileSync(stage.path('whole.zip'));
  for (let length = 1; length < expected.length; length += 997) {
    writeFileSync(partialOf(stage.path('again.zip')), expected);
    truncateSync(partialOf(stage.path('again.zip')), length);
    await stage.make('again.zip');
    assert.equal(statSync(stage.path('again.zip')).size, expected.length);
    assert.ok(readFileSync(stage.path('again.zip')).equals(expected), `cut at ${length}`);
  }
});

const interrupted = (error: unknown): boolean =>
  error instanceof EvidenceError && error.code === 'bundle-interrupted';

test('what an interrupted export left is not mixed with another export, nor with another log', async () => {
  await using stage = await BundleStage.create();
  await using other = await BundleStage.create();
  const begin = async (name: string): Promise<void> => {
    const source = new Failing(stage.fixture.directory, 6);
    await assert.rejects(stage.make(name, { source }), /network/);
  };
  await begin('a.zip');
  await assert.rejects(stage.make('a.zip', { filter: { person: 'ben' } }), interrupted);
  const fromOther = new DirectoryFiles(other.fixture.directory);
  await assert.rejects(stage.make('a.zip', { source: fromOther }), interrupted);
  await stage.fixture.history(300);
  await stage.fixture.log.checkpoint();
  // The log has grown meanwhile: the bundle is of the checkpoint that it began with.
  const { entries } = await stage.make('a.zip');
  assert.deepEqual([entries, await stage.codes('a.zip')], [16, []]);
  writeFileSync(partialOf(stage.path('b.zip')), 'some other file');
  await stage.make('b.zip');
  assert.deepEqual(await stage.codes('b.zip'), []);
});

/** The same files in another ZIP, but those that are changed; null leaves one out. */
async function changed(
  stage: BundleStage,
  change: (name: string, content: Buffer) => Buffer | null,
  more: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const from = ZipFiles.open(stage.path('whole.zip'));
  const to = await ZipWriter.open(stage.path('changed.zip'), 0, () => undefined);
  for (const name of from.names) {
    const content = change(name, (await from.read(name, 1e9))!);
    if (content !== null) to.addStored(name, content);
  }
  for (const [name, content] of Object.entries(more)) to.addStored(name, Buffer.from(content));
  to.finish();
  to.close();
  from.close();
  return stage.codes('changed.zip');
}

/** Changes one file; a name that ends with a slash means the first below it. */
const only = (wanted: string, change: (content: Buffer) => Buffer | null) => {
  let done = false;
  return (name: string, content: Buffer): Buffer | null => {
    if (done || (wanted.endsWith('/') ? !name.startsWith(wanted) : name !== wanted)) return content;
    done = true;
    return change(content);
  };
};
const same = (_name: string, content: Buffer): Buffer => content;
const flipped = (content: Buffer): Buffer => {
  const other = Buffer.from(content);
  other[other.length >> 1]! ^= 1;
  return other;
};

test('what was changed in a bundle after the export is named', async () => {
  await using stage = await BundleStage.create();
  await stage.make('whole.zip');
  const forged = NoteSigner.generate('relay.example/log');
  const emptied = Buffer.from('{"v":1,"files":[]}');
  const statement = { sha256: hash('sha256', emptied, 'hex'), entry: 1 };
  const cases: readonly (readonly [what: string, codes: string[], expected: string[]])[] = [
    ['nothing', await changed(stage, same), []],
    ['an event', await changed(stage, only('events.csv', flipped)), ['manifest-mismatch']],
    [
      'the README',
      await changed(
        stage,
        only('README.md', () => Buffer.from('all is well')),
      ),
      ['manifest-mismatch'],
    ],
    [
      'a file less',
      await changed(
        stage,
        only('events.csv', () => null),
      ),
      ['manifest-mismatch'],
    ],
    ['a file more', await changed(stage, same, { 'note.txt': 'x' }), ['manifest-mismatch']],
    [
      'no manifest',
      await changed(
        stage,
        only('manifest.json', () => null),
      ),
      ['manifest-missing'],
    ],
    [
      'no readable one',
      await changed(
        stage,
        only('manifest.json', () => Buffer.from('{')),
      ),
      ['manifest-malformed'],
    ],
    [
      'no signature',
      await changed(
        stage,
        only('manifest.sig', () => null),
      ),
      ['manifest-unsigned'],
    ],
    [
      'a manifest of its own',
      (
        await changed(
          stage,
          only('manifest.json', () => emptied),
        )
      ).slice(-1),
      ['manifest-unverified'],
    ],
    [
      'a signature by somebody else',
      await changed(
        stage,
        only('manifest.sig', () => Buffer.from(forged.sign(formatStatement(forged.name, statement)))),
      ),
      ['manifest-unverified'],
    ],
    [
      'a checkpoint for a signature',
      await changed(
        stage,
        only('manifest.sig', () => readFileSync(stage.fixture.path('log/checkpoint'))),
      ),
      ['manifest-unverified'],
    ],
    [
      'a recording',
      await changed(stage, only('recordings/', flipped)),
      ['segment-digest-mismatch', 'manifest-mismatch'],
    ],
    [
      'a recording less',
      await changed(
        stage,
        only('recordings/', () => null),
      ),
      ['segment-missing', 'manifest-mismatch'],
    ],
    [
      'whose recordings are inside',
      await changed(stage, same, { 'scope.json': '{"sessions":[]}' }),
      ['manifest-mismatch'],
    ],
  ];
  for (const [what, codes, expected] of cases) assert.deepEqual(codes, expected, what);
});
