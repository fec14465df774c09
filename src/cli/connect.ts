/** The three ways of `hoop connect`: in the foreground, around one client program, in the background. */
import type { Account } from '../agent/account.ts';
import { runClient, signalExit, SignalRelay } from '../agent/client-program.ts';
import { environment } from '../agent/postgres-client.ts';
import { ServedTarget } from '../agent/served-target.ts';
import type { PortWish } from '../agent/served-port.ts';
import type { SessionWish } from '../agent/session-client.ts';
import type { ServedEnd } from '../agent/session-end.ts';
import type { HoopCommand } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { bannerOf, documentOf } from './served.ts';
import { interruption, outputUnread } from './signals.ts';

/** Serves until the session ends, the person stops it, or nobody reads what it says. @returns the exit code */
export async function connectForeground(
  command: HoopCommand,
  account: Account,
  wish: SessionWish,
  port: PortWish,
): Promise<number> {
  const signal = AbortSignal.any([interruption(), outputUnread()]);
  const served = await ServedTarget.open(account, wish, port, (line) => command.note(`  ${line}`));
  if (command.jsonEnabled()) command.logJson(documentOf(served.view()));
  else for (const line of bannerOf(served.view())) command.print(line);
  const stop = () => void served.close();
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  const end = await served.ended;
  if (!signal.aborted && end.error === null) command.note(`  ${end.text}`);
  return exitCodeOfEnd(end);
}

/** Runs the client on the session's port, quietly. @returns the client's exit code */
export async function connectAround(
  account: Account,
  wish: SessionWish,
  port: PortWish,
  [program = '', ...rest]: readonly string[],
): Promise<number> {
  const signals = new SignalRelay();
  try {
    const served = await ServedTarget.open(account, wish, port);
    try {
      if (signals.received !== null) return signalExit(signals.received);
      const view = served.view();
      const base = { ...process.env, HOOP_SESSION: view.session };
      const client = { command: program, arguments: rest, environment: environment(base, view) };
      return await runClient(client, signals);
    } finally {
      // The client has ended; its session is not left behind, whatever signal comes now.
      await served.close();
    }
  } finally {
    signals.stop();
  }
}

function exitCodeOfEnd(end: ServedEnd): number {
  if (end.error !== null) throw end.error;
  if (end.why === 'killed') return exitCodes.denied;
  if (end.why === 'access-ended') return exitCodes.notSignedIn;
  return end.why === 'ended' || end.why === 'deadline' ? exitCodes.done : exitCodes.unreachable;
}
