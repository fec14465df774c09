/** The process is killed at any step; and a log has one writer, until it dies. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createSigner } from '../../../src/evidence/log/key-file.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import type { NoteSigner } from '../../../src/evidence/log/note.ts';
import { readEntries } from '../../../src/evidence/log/read.ts';
import { verify } from '../../../src/evidence/verify/index.ts';
import { systemClock } from '../../../src/system/clock.ts';

const child = path.join(import.meta.dirname, 'killed-child.ts');

class Place {
  readonly root: string;
  readonly signer: NoteSigner;
  private constructor(root: string, signer: NoteSigner) {
    this.root = root;
    this.signer = signer;
  }
  static async create(): Promise<Place> {
    const root = await mkdtemp(path.join(tmpdir(), 'hoop-killed-'));
    await mkdir(path.join(root, 'evidence'));
    return new Place(root, await createSigner(path.join(root, 'key'), 'relay.example/log'));
  }
  get evidence(): string {
    return path.join(this.root, 'evidence');
  }
  get log(): string {
    return path.join(this.evidence, 'log');
  }
  start(diesAt: number, count: number, stays = '') {
    const args = [child, this.log, path.join(this.root, 'key'), String(diesAt), String(count), stays];
    return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  }
  /** What it said, and the signal that ended it. */
  async run(diesAt: number, count: number): Promise<{ said: string[]; signal: string | null }> {
    const process = this.start(diesAt, count);
    let text = '';
    process.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const [, signal] = (await once(process, 'close')) as [number | null, string | null];
    return { said: text.trimEnd().split('\n'), signal };
  }
  open(): Promise<Log> {
    return Log.open({ directory: this.log, signer: this.signer, clock: systemClock });
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

test('killed at every step, one run after another on the same log: nothing told is lost, nothing signed is undone', async () => {
  await using place = await Place.create();
  // Six steps short of a full tile, so that the first runs cross its edge.
  const first = await place.open();
  await Promise.all(
    Array.from({ length: 250 }, () =>
      first.append({
        kind: 'relay.started',
        actor: { kind: 'relay' },
        version: 'x',
        configDigest: '0'.repeat(64),
      }),
    ),
  );
  await first.close();
  const told = new Map<number, string>();
  let since = await readFile(path.join(place.log, 'checkpoint'));
  let kills = 0;
  for (let diesAt = 1; ; diesAt += 1) {
    const { said, signal } = await place.run(diesAt, 3);
    for (const line of said) {
      const [index, marker] = line.split(' ');
      if (marker !== undefined) told.set(Number(index), marker);
    }
    const before = await verify({ directory: place.evidence, vkey: place.signer.verifier.toString(), since });
    assert.deepEqual(
      before.findings.filter(({ severity }) => severity === 'failure'),
      [],
      `as left by step ${diesAt}`,
    );
    const left = await readFile(path.join(place.log, 'checkpoint'));
    const log = await place.open();
    await log.close();
    const after = await verify({
      directory: place.evidence,
      vkey: place.signer.verifier.toString(),
      since: left,
    });
    assert.deepEqual(after.findings, [], `recovered after step ${diesAt}`);
    since = left;
    if (signal === null) break;
    assert.equal(signal, 'SIGKILL');
    kills += 1;
  }
  assert.ok(kills > 30, `${kills} steps`);
  const found: string[] = [];
  for await (const { bytes } of readEntries(place.log)) found.push(bytes.toString());
  for (const [index, marker] of told) assert.ok(found[index]?.includes(`"${marker}"`), `entry ${index}`);
});

test('killed at every step of the very first start', async () => {
  for (let diesAt = 1; ; diesAt += 1) {
    await using place = await Place.create();
    const { signal } = await place.run(diesAt, 0);
    const log = await place.open();
    await log.close();
    assert.ok(existsSync(path.join(place.log, 'checkpoint')));
    assert.equal(
      (await verify({ directory: place.evidence, vkey: place.signer.verifier.toString() })).verified,
      true,
    );
    if (signal === null) break;
  }
});

test('a second process is refused while the first has the log, and not after it was killed', async () => {
  await using place = await Place.create();
  const holder = place.start(0, 1, 'stays');
  const closed = once(holder, 'close');
  let said = '';
  for await (const chunk of holder.stdout) {
    said += String(chunk);
    if (said.includes('open\n')) break;
  }
  await assert.rejects(place.open(), { code: 'log-locked' });
  holder.kill('SIGKILL');
  await closed;
  const log = await place.open();
  assert.equal(log.size, 1);
  await assert.rejects(place.open(), { code: 'log-locked' }, 'nor within one process');
  await log.close();
});
