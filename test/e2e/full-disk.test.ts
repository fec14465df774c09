/** The recorder's disk is really full: nothing more is delivered, the client is told, and what was written verifies. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { missing } from '../support/programs.ts';
import { run, startStage, type Stage } from '../support/relay.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-full-'));
const disk = path.join(directory, 'disk');

function mount(): string | false {
  if (process.getuid?.() !== 0) return 'only root can mount a small file system';
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk], { stdio: 'pipe' });
    return false;
  } catch (error) {
    return `no tmpfs can be mounted: ${String(error)}`;
  }
}

const skip = missing('postgresql') || mount();
let stage: Stage | null = null;
after(async () => {
  await stage?.close();
  if (skip === false) execFileSync('umount', ['-l', disk]);
  rmSync(directory, { recursive: true, force: true });
});

test(
  'a full disk ends the session; with room again the relay starts and the record verifies',
  { skip },
  async () => {
    stage = await startStage({ config: { evidence: { directory: path.join(disk, 'evidence') } } });
    const { connect, postgres, installation } = stage;
    const connected = await connect();
    const psql = path.join(postgres.binDir, 'psql');
    // Incompressible, far more than the disk holds.
    const sql =
      'COPY (SELECT md5(random()::text) || md5(random()::text) FROM generate_series(1, 1000000)) TO STDOUT';
    const flooded = await run(psql, ['-X', '-c', sql], { env: connected.env });
    assert.notEqual(flooded.code, 0);
    assert.notEqual(flooded.stderr, '');
    assert.ok(flooded.stdout.length < 64e6, 'delivery stopped');
    await connected.running.ended;

    await installation.stop('SIGKILL');
    execFileSync('mount', ['-o', 'remount,size=64m', disk]);
    await installation.start();
    const again = await connect();
    assert.equal((await run(psql, ['-XAtc', 'SELECT 1'], { env: again.env })).stdout, '1\n');
    await again.running.stop('SIGINT');
    const verified = await stage.verify();
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  },
);
