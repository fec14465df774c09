/**
 * What a relay does to its evidence directory, small but whole: sign-ins, sessions that are recorded, sealed and closed, one
 * left open, checkpoints. Run under strace; says on stderr what it promises, and when, so that promises stand in the trace
 * among the system calls.
 *
 *     node life.ts process|disk
 */
import { hash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { NewEntry } from '../../../src/evidence/entry.ts';
import { keepProof } from '../../../src/evidence/logins/archive.ts';
import { parseRecipient } from '../../../src/evidence/recording/age.ts';
import { SessionRecorder } from '../../../src/evidence/recording/recorder.ts';
import { Sealer } from '../../../src/evidence/recording/sealer.ts';
import { relayActor } from '../../../src/evidence/entry.ts';
import type { SessionId } from '../../../src/model/ids.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { EvidenceFixture, type TestSession } from '../verify/fixture.ts';
import type { Promised } from './promises.ts';

const durability = process.argv[2] === 'disk' ? 'disk' : 'process';
const auditors = [parseRecipient('age1r7z284p637v2y3vvd0p5ugpwfqlvdtauzunqkjut42wc7umv9s8sxw23uv')!];

const promise = (promised: Promised): void => void writeSync(2, `${JSON.stringify(promised)}\n`);

const fixture = await EvidenceFixture.create();
promise({ kind: 'key', secret: fixture.signer.exportSecret() });
// From here on each entry that was acknowledged is one.
const append = async (entry: NewEntry) => {
  const appended = await fixture.log.append(entry);
  promise({ kind: 'entry', index: appended.index, entry: entry.kind });
  return appended;
};
const sealer = new Sealer({ append, calmMs: 0, maxAgeMs: 0 });

function record({ session, openedAtMs }: TestSession): SessionRecorder {
  return new SessionRecorder({
    directory: fixture.directory,
    session: session as SessionId,
    protocol: 'postgres',
    openedAtMs,
    clock: systemClock,
    durability,
    sealer,
    originals: auditors,
    segmentAgeMs: 12,
    onFailure: (error) => {
      throw error;
    },
  });
}

/** One command with a masked value in its answer; promised when the gate would release it. */
async function command(recorder: SessionRecorder, session: string, number: number): Promise<void> {
  recorder.command(1, number, Buffer.from(`select ${number}`), null, 'allow', null, null);
  const original = Buffer.from(`original ${number}`);
  recorder.redaction(1, number, 'rule', { row: 0, column: 0, offset: 0, length: original.length }, original);
  recorder.output(1, number, Buffer.from(`row ${number}`.padEnd(300, '.')));
  recorder.flush();
  if (durability === 'process' && number % 2 === 1) return;
  await recorder.sync();
  promise({ kind: 'command', session, command: number });
}

const people = ['ana', 'lea'];
await Promise.all(
  people.map(async (subject) => {
    await keepProof(fixture.directory, hash('sha256', subject, 'hex'), 'id-token', subject);
    promise({ kind: 'proof', text: subject });
  }),
);
const [ana, lea] = [await fixture.signIn('ana'), await fixture.signIn('lea')];

// Short, and closed at once: sealed before anything was synced in the background.
const short = await fixture.open(lea);
const hasty = record(short);
await command(hasty, short.session, 1);
const { lastSegmentIndex, totals } = await hasty.close();
await append({
  kind: 'session.closed',
  actor: relayActor,
  session: short.session,
  outcome: 'ended',
  lastSegment: lastSegmentIndex,
  totals,
});

const long = await fixture.open(ana);
const left = await fixture.open(lea);
const [recorder, unclosed] = [record(long), record(left)];
for (let number = 1; number <= 6; number++) {
  await command(recorder, long.session, number);
  await command(unclosed, left.session, number);
  // Now and then a segment grows old, and is sealed while the next is written.
  if (number % 2 === 0) await delay(40);
}
const recording = await recorder.close();
await append({
  kind: 'session.closed',
  actor: relayActor,
  session: long.session,
  outcome: 'ended',
  lastSegment: recording.lastSegmentIndex,
  totals: recording.totals,
});
await fixture.log.checkpoint();
await command(unclosed, left.session, 7);
process.exit(0);
