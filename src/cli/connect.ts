/** The three ways of `hoop connect`: in the foreground, around one client program, in the background. */
import type { Account } from '../agent/account.ts';
import { runClient } from '../agent/client-program.ts';
import { environment } from '../agent/postgres-client.ts';
import { ServedTarget } from '../agent/served-target.ts';
import type { PortWish } from '../agent/served-port.ts';
import type { SessionWish } from '../agent/session-client.ts';
import type { ServedEnd } from '../agent/session-end.ts';
import type { HoopCommand } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { bannerOf, documentOf } from './served.ts';
import { interruption } from './signals.ts';

/** Serves until the session ends or the person stops it. @returns the exit code */
export async function connectForeground(
  command: HoopCommand,
  account: Account,
  wish: SessionWish,
  port: PortWish,
): Promise<number> {
  const signal = interruption();
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
  // Signals go to the client; ours is to outlive it and end the session.
  const served = await ServedTarget.open(account, wish, port);
  try {
    const view = served.view();
    const base = { ...process.env, HOOP_SESSION: view.session };
    return await runClient({ command: program, arguments: rest, environment: environment(base, view) });
  } finally {
    await served.close();
  }
}

function exitCodeOfEnd(end: ServedEnd): number {
  if (end.error !== null) throw end.error;
  if (end.why === 'killed') return exitCodes.denied;
  if (end.why === 'access-ended') return exitCodes.notSignedIn;
  return end.why === 'ended' || end.why === 'deadline' ? exitCodes.done : exitCodes.unreachable;
}
