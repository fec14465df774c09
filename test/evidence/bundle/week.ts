/**
 * A week of made-up work through the real log, recorder and sealer: sign-ins, sessions one after another and side by side,
 * commands with results. Only the clock is the test's.
 */
import type { EvidenceFixture, TestLogin } from '../verify/fixture.ts';
import { relayActor, type NewEntry } from '../../../src/evidence/entry.ts';
import { SessionRecorder } from '../../../src/evidence/recording/recorder.ts';
import { Sealer } from '../../../src/evidence/recording/sealer.ts';
import type { SessionId } from '../../../src/model/ids.ts';

export interface WeekOptions {
  readonly sessions: number;
  readonly commands: number;
  /** Of what each command gets back. */
  readonly resultBytes: number;
}

/** Rows as a server sends them: digits and words that compress as tables do. */
function result(bytes: number, seed: number): Buffer {
  const rows: string[] = [];
  for (let i = 0, length = 0; length < bytes; i++) {
    const number = (seed * 2_654_435_761 + i * 40_503) >>> 0;
    rows.push(
      `${i}\t${number.toString(36)}\tperson${number % 9973}@example.com\t2026-01-${(number % 28) + 1}\n`,
    );
    length += rows.at(-1)!.length;
  }
  return Buffer.from(rows.join('')).subarray(0, bytes);
}

export async function recordWeek(
  fixture: EvidenceFixture,
  { sessions, commands, resultBytes }: WeekOptions,
): Promise<void> {
  const append = (entry: NewEntry) => fixture.log.append(entry);
  const sealer = new Sealer({ append });
  const people: TestLogin[] = [];
  for (let i = 0; i < 20; i++) people.push(await fixture.signIn(`person${i}`));
  const each = Math.ceil(commands / sessions);
  const results = Array.from({ length: 16 }, (_, i) => result(resultBytes, i));
  let running: Promise<void>[] = [];
  for (let i = 0; i < sessions; i++) {
    fixture.clock.ms += Math.floor((7 * 86_400_000) / sessions);
    running.push(recordSession(i));
    if (running.length < 16) continue;
    await Promise.all(running);
    running = [];
  }
  await Promise.all(running);
  await sealer.close();
  await fixture.log.checkpoint();

  async function recordSession(number: number): Promise<void> {
    const by = people[number % people.length]!;
    const wish = { target: `db-${number % 10}`, reason: 'incident 7', task: `T-${number % 100}` };
    const request = by.sign({ action: 'session.open', ...wish });
    const { session, openedAtMs } = await fixture.open(by, { ...wish, request });
    const recorder = new SessionRecorder({
      directory: fixture.directory,
      session: session as SessionId,
      protocol: 'postgres',
      openedAtMs,
      clock: fixture.clock,
      durability: 'process',
      sealer,
      onFailure: (error) => {
        throw error;
      },
    });
    recorder.connectionOpened(1, { parameters: { user: 'person' }, serverVersion: '15.18' });
    for (let command = 1; command <= each; command++) {
      const text = Buffer.from(`select id, name, email from customers where id = ${number * each + command}`);
      recorder.command(1, command, text, null, 'allow', null, null);
      recorder.output(1, command, results[command % results.length]!);
      recorder.outcome(1, command, { kind: 'succeeded', tag: 'SELECT 1', rows: 1, errorCode: null });
      recorder.flush();
      if (command % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const { lastSegmentIndex, totals } = await recorder.close();
    await append({
      kind: 'session.closed',
      actor: relayActor,
      session,
      outcome: 'ended',
      lastSegment: lastSegmentIndex,
      totals,
    });
  }
}
