/** Go's own packages read a real log. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EvidenceFixture } from '../evidence/verify/fixture.ts';

/** Where Debian's golang-golang-x-mod-dev puts its sources. */
const gopath = '/usr/share/gocode';
const program = path.join(import.meta.dirname, 'log-reader/main.go');

test('Go’s note and tlog packages verify the checkpoint, each entry and an older checkpoint', async (t) => {
  const go = spawnSync('go', ['version'], { encoding: 'utf8' });
  if (go.status !== 0 || !existsSync(path.join(gopath, 'src/golang.org/x/mod/sumdb/tlog'))) {
    t.skip('needs go and golang-golang-x-mod-dev');
    return;
  }
  const work = await mkdtemp(path.join(tmpdir(), 'hoop-go-'));
  try {
    const reader = path.join(work, 'log-reader');
    const env = {
      ...process.env,
      GO111MODULE: 'off',
      GOPATH: gopath,
      GOFLAGS: '',
      GOCACHE: path.join(work, 'cache'),
    };
    const built = spawnSync('go', ['build', '-o', reader, program], { encoding: 'utf8', env });
    assert.equal(built.status, 0, built.stderr);

    await using fixture = await EvidenceFixture.create();
    await fixture.history();
    await fixture.log.checkpoint();
    const older = path.join(work, 'older');
    await copyFile(fixture.path('log/checkpoint'), older);
    const smaller = fixture.log.size;
    await fixture.history(600);
    await fixture.log.checkpoint();
    const { size } = fixture.log;
    const read = (vkey: string) => {
      const { status, stdout, stderr } = spawnSync(reader, [fixture.path('log'), vkey, older], {
        encoding: 'utf8',
      });
      return { status, said: stdout + stderr };
    };
    assert.deepEqual(read(fixture.vkey), {
      status: 0,
      said: `${size} extends ${smaller}\n${size} entries in relay.example/log\n`,
    });
    await writeFile(fixture.path('log/tile/0/001'), Buffer.alloc(8192));
    assert.equal(read(fixture.vkey).status, 1);
  } finally {
    await rm(work, { recursive: true });
  }
});
