/** The README of a bundle, followed word by word, with programs that know nothing of hoop. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { relayActor } from '../../src/evidence/entry.ts';
import { sessionDirectory } from '../../src/evidence/recording/layout.ts';
import { BundleStage } from '../evidence/bundle/stage.ts';
import type { EvidenceFixture, TestSession } from '../evidence/verify/fixture.ts';
import { RecordedHistory } from '../evidence/verify/recorded-history.ts';
import { missing } from '../support/programs.ts';

const skip = missing('zip') || missing('go');

/** Runs each block of shell in the README, in order; what they say. */
function follow(readme: string, work: string, stage: BundleStage, bundle: string) {
  const env = {
    ...process.env,
    BUNDLE: stage.path(bundle),
    VKEY: stage.fixture.vkey,
    GO111MODULE: 'off',
    GOPATH: '/usr/share/gocode',
    GOFLAGS: '',
    GOCACHE: path.join(work, 'cache'),
  };
  const said: string[] = [];
  for (const [, block] of readme.matchAll(/^```sh\n([^]*?)^```$/gm)) {
    const ran = spawnSync('bash', ['-e', '-o', 'pipefail', '-c', block!], {
      cwd: work,
      env,
      encoding: 'utf8',
    });
    said.push(ran.stdout);
    if (ran.status !== 0) return { said: said.join(''), error: ran.stderr + ran.stdout };
  }
  return { said: said.join(''), error: null };
}

const done = [
  'files: as the manifest says',
  'checkpoint: signed',
  'manifest: signed',
  'entries: the root is the signed one',
  'recordings: as the log says',
];

const readmeOf = (stage: BundleStage, bundle: string): string =>
  spawnSync('unzip', ['-p', stage.path(bundle), 'README.md'], { encoding: 'utf8' }).stdout;

test(
  'by hand: unzip, sha256sum, Python and Go’s note package verify a bundle as its README says',
  { skip },
  async () => {
    const work = await mkdtemp(path.join(tmpdir(), 'hoop-by-hand-'));
    try {
      await using stage = await BundleStage.create(600);
      await stage.make('all.zip');
      await stage.make('ben.zip', { filter: { person: 'ben' } });
      const readme = readmeOf(stage, 'all.zip');
      for (const bundle of ['all.zip', 'ben.zip']) {
        const { said, error } = follow(readme, work, stage, bundle);
        assert.equal(error, null);
        assert.deepEqual(said.trim().split('\n'), done);
        await rm(path.join(work, 'bundle'), { recursive: true });
      }

      // One byte of an entry, and a manifest that agrees: only the root tells.
      const blocks = readme.slice(readme.indexOf('3. The entries'));
      follow(readme, work, stage, 'all.zip');
      const entries = path.join(work, 'bundle/log/tile/entries/000');
      const bytes = readFileSync(entries);
      bytes[bytes.length - 10]! ^= 1;
      writeFileSync(entries, bytes);
      assert.notEqual(follow(blocks, work, stage, 'all.zip').error, null);
    } finally {
      await rm(work, { recursive: true });
    }
  },
);

/** As the relay does: the entry, then the files. */
async function erase(
  fixture: EvidenceFixture,
  of: TestSession,
  what: 'recording' | 'originals',
): Promise<void> {
  const { session, openedAtMs } = of;
  await fixture.log.append({ kind: 'evidence.erased', actor: relayActor, session, what, cause: 'retention' });
  const directory = sessionDirectory(fixture.directory, openedAtMs, session);
  await rm(what === 'recording' ? directory : path.join(directory, '0.age'), { recursive: true });
}

test(
  'by hand: originals that were sealed anew count, what the log says was erased may be missing, and nothing else may',
  { skip },
  async () => {
    const work = await mkdtemp(path.join(tmpdir(), 'hoop-by-hand-'));
    const history = await RecordedHistory.create();
    try {
      const { fixture } = history;
      const ana = await fixture.signIn('ana');
      const sessions: TestSession[] = [];
      for (let at = 0; at < 4; at++) {
        const live = await history.open(ana);
        history.command(live, 'select card from cards', { masked: true });
        await history.close(live);
        sessions.push(live.of);
      }
      const [resealed, gone, withoutOriginals, kept] = sessions as [
        TestSession,
        TestSession,
        TestSession,
        TestSession,
      ];
      await history.reseal(resealed, 0, ana);
      await erase(fixture, gone, 'recording');
      await erase(fixture, withoutOriginals, 'originals');
      const stage = await BundleStage.of(fixture);
      await stage.make('all.zip');
      const { said, error } = follow(readmeOf(stage, 'all.zip'), work, stage, 'all.zip');
      assert.equal(error, null);
      assert.deepEqual(said.trim().split('\n'), done);

      // The same manifest, but a file less, of which the log says nothing.
      const last = readmeOf(stage, 'all.zip').split('4. The recordings').at(-1)!;
      for (const [of, name] of [
        [resealed, '0.age'],
        [withoutOriginals, '0.cbor.zst'],
        [kept, '0.age'],
      ] as const) {
        const directory = sessionDirectory(path.join(work, 'bundle'), of.openedAtMs, of.session);
        const file = path.join(directory, name);
        const bytes = readFileSync(file);
        await rm(file);
        assert.match(
          String(follow(last, work, stage, 'all.zip').error),
          new RegExp(`${of.session}/${name}: FAILED`),
        );
        writeFileSync(file, bytes);
      }
      assert.equal(follow(last, work, stage, 'all.zip').error, null);
      await rm(stage.directory, { recursive: true });
    } finally {
      await history[Symbol.asyncDispose]();
      await rm(work, { recursive: true });
    }
  },
);
