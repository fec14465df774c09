/** `hoop exec`: a session for one command, whatever its target speaks, and the end of both. */
import type { Account } from '../../agent/account.ts';
import { keepSignedIn } from '../../agent/keep-signed-in.ts';
import { endSession, openSession } from '../../agent/session-client.ts';
import type { SessionAnswer } from '../../wire/api.ts';
import type { HoopCommand } from '../command.ts';
import { refuseForDatabases, refuseForServers, type Asked } from './asked.ts';
import { Interrupts } from './interrupts.ts';
import { runProgram, type ExecResult } from './program.ts';

/** @returns what `--json` shows; the exit code is set */
export async function execute(command: HoopCommand, account: Account, asked: Asked): Promise<unknown> {
  const interrupts = new Interrupts();
  const startedAt = performance.now();
  const opening = openSession(account, asked.wish);
  try {
    const session = await Promise.race([opening, interrupts.stopped]);
    if (typeof session === 'number') {
      // It may come about all the same, and is not left behind.
      await opening.then((late) => endSession(account, late.session)).catch(() => undefined);
      process.exitCode = session;
      return undefined;
    }
    const openedMs = performance.now() - startedAt;
    const { exitCode, document } = await runIn(command, account, { session, asked, interrupts });
    process.exitCode = exitCode;
    const { runMs, ...result } = document;
    const timings = {
      openMs: Math.round(openedMs),
      runMs,
      totalMs: Math.round(performance.now() - startedAt),
    };
    return { target: session.target, session: session.session, ...result, timings };
  } finally {
    interrupts.close();
  }
}

export interface Opened {
  readonly session: SessionAnswer;
  readonly asked: Asked;
  readonly interrupts: Interrupts;
}

/** Runs it in a session that is open already, and ends the session. */
export async function runIn(
  command: HoopCommand,
  account: Account,
  { session, asked, interrupts }: Opened,
): Promise<ExecResult> {
  const note = (line: string): void => command.note(line);
  const stopRenewal = keepSignedIn(account.signIn, (line) => note(`hoop: ${line}`));
  let started = false;
  try {
    if (session.protocol === 'ssh') {
      refuseForServers(asked);
      const result = await runProgram(account, session, asked, { interrupts, note });
      started = true;
      return result;
    }
    refuseForDatabases(asked);
    const { runSql } = await import('./sql.ts');
    return await runSql(account, session, asked, { interrupts, note });
  } finally {
    stopRenewal();
    // A program takes its session with it, once it was asked for.
    if (!started) await endSession(account, session.session).catch(() => undefined);
  }
}
