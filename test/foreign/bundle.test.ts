/** The README of a bundle, followed word by word, with programs that know nothing of hoop. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BundleStage } from '../evidence/bundle/stage.ts';
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

test(
  'by hand: unzip, sha256sum, Python and Go’s note package verify a bundle as its README says',
  { skip },
  async () => {
    const work = await mkdtemp(path.join(tmpdir(), 'hoop-by-hand-'));
    try {
      await using stage = await BundleStage.create(600);
      await stage.make('all.zip');
      await stage.make('ben.zip', { filter: { person: 'ben' } });
      const readme = spawnSync('unzip', ['-p', stage.path('all.zip'), 'README.md'], {
        encoding: 'utf8',
      }).stdout;
      const done = [
        'files: as the manifest says',
        'checkpoint: signed',
        'manifest: signed',
        'entries: the root is the signed one',
        'recordings: as the log says',
      ];
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
