/** Every power cut of a life, and what must hold after each. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { decodeEntry, relayActor } from '../../../src/evidence/entry.ts';
import { Log } from '../../../src/evidence/log/log.ts';
import { NoteSigner } from '../../../src/evidence/log/note.ts';
import { readEntries, unfinishedSessions } from '../../../src/evidence/log/read.ts';
import { recover, recoveryEntries } from '../../../src/evidence/recording/recover.ts';
import { readRecords } from '../../../src/evidence/recording/records.ts';
import { verify } from '../../../src/evidence/verify/index.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { missing } from '../../support/programs.ts';
import { Disk, digestOf, writeImage, type Fate, type Image, type Loss } from './disk.ts';
import type { Promised } from './promises.ts';
import { trace, type Step } from './trace.ts';

/** Kept out of the disk's model: made by the test itself. */
const evidenceName = /^hoop-verify-/;

export interface Cut {
  /** Steps that were taken. */
  readonly step: number;
  readonly loss: string;
  readonly image: Image;
  readonly promised: readonly Promised[];
}

/** The steps of `life.ts`. @param root an empty directory, in memory best */
export function liveUnder(root: string, durability: 'process' | 'disk'): Step[] {
  const life = path.join(import.meta.dirname, 'life.ts');
  return trace([life, durability], root, { ...process.env, TMPDIR: root });
}

const losses: readonly [Loss, ...Loss[]] = [
  { name: 'all that was not synced', fate: () => 'lost' },
  { name: 'nothing', fate: () => 'kept' },
  { name: 'data, not names', fate: (_n, _of, what) => (what === 'name' ? 'kept' : 'lost') },
  { name: 'names, not data', fate: (_n, _of, what) => (what === 'name' ? 'lost' : 'kept') },
  { name: 'data, which is zeros', fate: (_n, _of, what) => (what === 'name' ? 'kept' : 'zeros') },
  { name: 'halves of data', fate: (_n, _of, what) => (what === 'name' ? 'kept' : 'half') },
];

/** Each change lost alone, kept alone, and torn or zeroed alone. */
function* single(of: number): Generator<Loss> {
  for (let k = 0; k < of; k++) {
    const one = (name: string, there: Fate, elsewhere: Fate): Loss => ({
      name: `${name} change ${k} of ${of}`,
      fate: (n, _of, what) => {
        const fate = n === k ? there : elsewhere;
        return what === 'name' && fate !== 'lost' ? 'kept' : fate;
      },
    });
    yield one('only', 'lost', 'kept');
    yield one('all but', 'kept', 'lost');
    yield one('zeros for', 'zeros', 'kept');
    yield one('half of', 'half', 'kept');
  }
}

/** The worst at the very end. */
export function lastCut(root: string, steps: readonly Step[]): Cut {
  const disk = new Disk(root, evidenceName);
  for (const step of steps) disk.take(step);
  const promised = steps.flatMap((step) => (step.do === 'promise' ? [step.promised] : []));
  const [worst] = losses;
  return { step: steps.length, loss: worst.name, image: disk.image(worst), promised };
}

/** All that differ. @param every only each so manieth, of all: a prime, so that steps and losses meet in all ways */
export function* cutsOf(root: string, steps: readonly Step[], every = 1): Generator<Cut> {
  let number = 0;
  const disk = new Disk(root, evidenceName);
  const promised: Promised[] = [];
  const seen = new Set<string>();
  for (const [at, step] of steps.entries()) {
    disk.take(step);
    if (step.do === 'promise') promised.push(step.promised);
    for (const loss of [...losses, ...single(disk.unsynced)]) {
      if (number++ % every !== 0) continue;
      const image = disk.image(loss);
      const digest = `${promised.length} ${digestOf(image)}`;
      if (seen.has(digest)) continue;
      seen.add(digest);
      yield { step: at + 1, loss: loss.name, image, promised: [...promised] };
    }
  }
}

/** False where system calls can be traced; else why not. */
export function untraceable(): string | false {
  const absent = missing('strace');
  if (absent !== false) return absent;
  const tried = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true'], { encoding: 'utf8' });
  return tried.status === 0 ? false : `nothing can be traced here: ${tried.stderr}`;
}

/** An empty directory in memory, where there is such a thing: its syncs cost nothing. */
export function temporary(): string {
  const memory = '/dev/shm';
  return mkdtempSync(path.join(existsSync(memory) ? memory : tmpdir(), 'hoop-power-'));
}

/** Starts as a relay does, and verifies as an auditor does. */
export async function checkCut({ image, promised }: Cut, root: string): Promise<void> {
  const key = promised.find((each) => each.kind === 'key');
  if (key === undefined) return; // it had nothing to say yet
  const into = mkdtempSync(path.join(root, 'cut-'));
  try {
    writeImage(image, into);
    const name = readdirSync(into).find((each) => evidenceName.test(each));
    assert.ok(name !== undefined, 'the evidence directory is there');
    const directory = path.join(into, name);
    const signer = NoteSigner.parse(key.secret);
    await restart(directory, signer);
    const vkey = signer.verifier.toString();
    const { findings } = await verify({ directory, vkey });
    // Nothing was promised of what is missing then: `checkPromises` says so.
    assert.deepEqual(
      findings.filter(({ code }) => code !== 'recording-gap'),
      [],
    );
    await checkPromises(directory, promised);
  } finally {
    rmSync(into, { recursive: true });
  }
}

async function restart(directory: string, signer: NoteSigner): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const inLog = path.join(directory, 'log');
  const log = await Log.open({ directory: inLog, signer, clock: systemClock });
  const append = log.append.bind(log);
  const recovery = await recover({ directory, unfinished: await unfinishedSessions(inLog), append });
  for (const entry of recoveryEntries(recovery, log.recovered.bytesCut)) await append(entry);
  const about = { version: '0.1.0', configDigest: '1'.repeat(64) };
  await append({ kind: 'relay.started', actor: relayActor, ...about });
  await log.close();
}

async function checkPromises(directory: string, promised: readonly Promised[]): Promise<void> {
  const entries: string[] = [];
  for await (const { bytes } of readEntries(path.join(directory, 'log'))) {
    const decoded = decodeEntry(bytes);
    entries.push(decoded.state === 'known' ? decoded.entry.kind : decoded.state);
  }
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const commands = new Set<string>();
  for (const file of files.filter((each) => each.endsWith('.cbor.zst'))) {
    const session = path.basename(path.dirname(file));
    for (const record of readRecords(zstdDecompressSync(readFileSync(path.join(directory, file)))))
      if (record.kind === 'output') commands.add(`${session} ${record.command}`);
  }
  const proofs = new Set(
    files
      .filter((each) => each.startsWith('logins/') && /\.\w+$/.test(each))
      .map((each) => readFileSync(path.join(directory, each), 'utf8')),
  );
  for (const each of promised) {
    if (each.kind === 'entry') assert.equal(entries[each.index], each.entry, `entry ${each.index}`);
    if (each.kind === 'command')
      assert.ok(commands.has(`${each.session} ${each.command}`), `command ${each.command}`);
    if (each.kind === 'proof') assert.ok(proofs.has(each.text), `proof of ${each.text}`);
  }
}
