/**
 * The record's disk is really full: nothing more is delivered, the client is told, what closes things has room, and the
 * relay goes on by itself once there is space. Between: break-glass, a kill, a start without room.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decodeEntry } from '../../src/evidence/entry.ts';
import { readEntries } from '../../src/evidence/log/read.ts';
import { eventually } from '../support/eventually.ts';
import { missing } from '../support/programs.ts';
import { hoop, run, startStage, type Stage } from '../support/relay.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hoop-full-'));
const disk = path.join(directory, 'disk');
const evidence = path.join(disk, 'evidence');

function mount(): string | false {
  if (process.getuid?.() !== 0) return 'only root can mount a small file system';
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disk], { stdio: 'pipe' });
    return false;
  } catch (error) {
    return `no tmpfs can be mounted: ${String(error)}`;
  }
}
const resize = (size: string): void =>
  void execFileSync('mount', ['-o', `remount,size=${size}`, disk], { stdio: 'pipe' });

const skip = missing('postgresql') || mount();
let stage: Stage;
after(async () => {
  await stage?.close();
  if (skip === false) execFileSync('umount', ['-l', disk]);
  rmSync(directory, { recursive: true, force: true });
});

// Incompressible, far more than the disk holds.
const hash = 'sha512(random()::text::bytea)';
const flood = `COPY (SELECT ${hash} || ${hash} || ${hash} || ${hash} FROM generate_series(1, 200000)) TO STDOUT (FORMAT binary)`;
const psql = (): string => path.join(stage.postgres.binDir, 'psql');
const reserveBytes = (): number => statSync(path.join(evidence, 'reserve')).size;
const MiB = 2 ** 20;

async function readiness(): Promise<{ status: number; failed: string[] }> {
  const answer = await fetch(new URL('/readyz', stage.installation.url));
  const { failed } = (await answer.json()) as { failed: string[] };
  return { status: answer.status, failed };
}
const metric = async (name: string): Promise<number> => {
  const text = await (await fetch(new URL('/metrics', stage.installation.url))).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
};
const breakGlass = (...args: string[]) =>
  hoop(['relay', 'break-glass', '--config', stage.installation.configFile, ...args], {
    env: stage.installation.env,
  });

/** What the log says of space, break-glass and the ends of sessions, as far as it is published. */
async function kinds(): Promise<string[]> {
  const told: string[] = [];
  for await (const { bytes } of readEntries(path.join(evidence, 'log'))) {
    const decoded = decodeEntry(bytes);
    if (decoded.state !== 'known') continue;
    const { entry } = decoded;
    if (entry.kind === 'storage.low') told.push(`${entry.kind} ${entry.level}`);
    else if (entry.kind === 'session.closed' || entry.kind === 'break-glass.ended')
      told.push(`${entry.kind} ${entry.outcome}`);
    else if (/^(storage|break-glass)/.test(entry.kind)) told.push(entry.kind);
  }
  return told;
}

test(
  'full: the session ends, the client is told, no session opens, and what closes things is in the log',
  { skip },
  async () => {
    stage = await startStage({ config: { evidence: { directory: evidence, space: { reserve: '32MiB' } } } });
    assert.equal(reserveBytes(), 32 * MiB);
    // So little room that what sealing saves is not enough for the reserve.
    writeFileSync(path.join(disk, 'ballast'), Buffer.alloc(8 * MiB, 'x'));
    const idle = await stage.connect();
    const sleeps = run(psql(), ['-Xc', 'SELECT pg_sleep(600)'], { env: idle.env });
    const connected = await stage.connect();
    const flooded = await run(psql(), ['-X', '-c', flood], { env: connected.env });
    assert.notEqual(flooded.code, 0);
    assert.ok(flooded.stdout.length < 45e6, 'delivery stopped');
    assert.match((await sleeps).stderr, /the record of this session cannot be written/);
    for (const { running } of [idle, connected]) await running.ended;
    assert.match(connected.running.output, /could not record/);
    assert.deepEqual(await readiness(), { status: 503, failed: ['space'] });
    assert.equal(await metric('hoop_evidence_space_level'), 3);
    const refused = await stage.ana.hoop('connect', 'db');
    assert.equal(refused.code, 5, refused.output);
    assert.match(refused.stderr, /no room to record/);
    await eventually('both sessions are closed in the log', async () => {
      const told = await kinds();
      return told.filter((kind) => kind === 'session.closed evidence-failed').length === 2;
    });
    assert.ok((await kinds()).includes('storage.low full'));
  },
);

test('killed and started without room: what the start writes is in the reserve', { skip }, async () => {
  const { installation } = stage;
  await installation.stop('SIGKILL');
  assert.throws(() => writeFileSync(path.join(disk, 'more'), Buffer.alloc(256 * MiB)), { code: 'ENOSPC' });
  const before = reserveBytes();
  await installation.start();
  assert.deepEqual(await readiness(), { status: 503, failed: ['space'] });
  assert.ok(reserveBytes() < before);
});

test(
  'break-glass: named people are let in, recorded into the reserve, until it is used up',
  { skip },
  async () => {
    await eventually('a reserve that was given back in part', () => reserveBytes() < 32 * MiB);
    const unknown = await breakGlass('--person', 'nobody@example.com', '--reason', 'INC-4711');
    assert.equal(unknown.code, 2);
    const opened = await breakGlass('--person', 'ana@example.com', '--reason', 'INC-4711', '--json');
    assert.equal(opened.code, 0, opened.output);
    assert.ok((JSON.parse(opened.stdout) as { bytes: number }).bytes > MiB);
    assert.equal(await metric('hoop_break_glass_open'), 1);
    assert.equal((await readiness()).status, 503);
    const admitted = await stage.connect();
    assert.equal((await run(psql(), ['-XAtc', 'SELECT 1'], { env: admitted.env })).stdout, '1\n');
    const flooded = await run(psql(), ['-X', '-c', flood], { env: admitted.env });
    assert.notEqual(flooded.code, 0);
    await admitted.running.ended;
    await eventually('its end', async () => (await kinds()).includes('break-glass.ended reserve-used-up'));
    const again = await breakGlass('--person', 'ana@example.com', '--reason', 'INC-4711');
    assert.equal(again.code, 2);
    assert.match(again.stderr, /reserve-used-up/);
    const told = await kinds();
    assert.ok(told.includes('break-glass.opened') && told.includes('break-glass.used'), String(told));
  },
);

test('with room again the relay serves, by itself, and the record verifies', { skip }, async () => {
  resize('256m');
  for (const name of ['ballast', 'more']) rmSync(path.join(disk, name));
  await eventually('room again', async () => (await readiness()).status === 200);
  assert.equal(reserveBytes(), 32 * MiB);
  const again = await stage.connect();
  assert.equal((await run(psql(), ['-XAtc', 'SELECT 1'], { env: again.env })).stdout, '1\n');
  await again.running.stop('SIGINT');
  await eventually('its entry', async () => (await kinds()).includes('storage.recovered'));
  const verified = await stage.verify();
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  assert.match(verified.output, /break-glass was opened/);
});

test('a second relay on the same evidence is refused, and touches nothing', { skip }, async () => {
  const { installation } = stage;
  const second = await hoop(['relay', 'start', '--config', installation.configFile], {
    env: installation.env,
  });
  assert.notEqual(second.code, 0);
  assert.match(second.stderr, /log-locked/);
  assert.equal((await readiness()).status, 200);
});
