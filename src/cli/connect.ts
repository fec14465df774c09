/** The ways of `hoop connect`: in the foreground, as the shell of a server, around one client program. */
import { withoutMachine } from '../agent/machine-source.ts';
import { unlink } from 'node:fs/promises';
import path from 'node:path';
import type { Account } from '../agent/account.ts';
import { runClient, signalExit, SignalRelay } from '../agent/client-program.ts';
import { environment } from '../agent/postgres-client.ts';
import { configOfPort, clientOfPort } from '../agent/ssh-client.ts';
import type { ServedView } from '../agent/control-protocol.ts';
import { directories } from '../agent/directories.ts';
import { rememberHostKey } from '../agent/known-hosts.ts';
import { writePrivateFile } from '../system/private-file.ts';
import type { SessionAnswer } from '../wire/api.ts';
import { ServedTarget } from '../agent/served-target.ts';
import type { PortWish } from '../agent/served-port.ts';
import { endSession, openSession, type SessionWish } from '../agent/session-client.ts';
import type { ServedEnd } from '../agent/session-end.ts';
import type { HoopCommand } from './command.ts';
import { runIn } from './exec/exec.ts';
import { Interrupts } from './exec/interrupts.ts';
import { exitCodes } from './exit-codes.ts';
import { present, sshAddress } from './served.ts';
import { interruption, outputUnread } from './signals.ts';

/** Serves until the session ends, the person stops it, or nobody reads what it says. @returns the exit code */
export async function connectForeground(
  command: HoopCommand,
  account: Account,
  wish: SessionWish,
  { port, opened }: { readonly port: PortWish; readonly opened?: SessionAnswer },
): Promise<number> {
  const signal = AbortSignal.any([interruption(), outputUnread()]);
  const tell = (line: string): void => command.note(`  ${line}`);
  const served = await ServedTarget.open(account, wish, port, { tell, ...(opened && { opened }) });
  const { banner, document } = await present(served.view()).catch(async (error: unknown) => {
    await served.close();
    throw error;
  });
  if (command.jsonEnabled()) command.logJson(document);
  else for (const line of banner) command.print(line);
  const stop = () => void served.close();
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  const end = await served.ended;
  if (!signal.aborted && end.error === null) command.note(`  ${end.text}`);
  return exitCodeOfEnd(end);
}

/** In a terminal, without a client: the shell of a server, the port of anything else. @returns the exit code */
export async function connectInTerminal(
  command: HoopCommand,
  account: Account,
  wish: SessionWish,
  port: PortWish,
): Promise<number> {
  const interrupts = new Interrupts();
  let session: SessionAnswer;
  try {
    const opening = openSession(account, wish);
    const first = await Promise.race([opening, interrupts.stopped]);
    if (typeof first === 'number') {
      await opening.then((late) => endSession(account, late.session)).catch(() => undefined);
      return first;
    }
    session = first;
    if (session.protocol === 'ssh') {
      const asked = { wish, words: null, shell: false, tty: true, environment: {}, stdin: true };
      const plain = { ...asked, timeoutMs: null, file: null, format: null, json: false };
      return (await runIn(command, account, { session, asked: plain, interrupts })).exitCode;
    }
  } finally {
    interrupts.close();
  }
  return connectForeground(command, account, wish, { port, opened: session });
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
      const base = { ...withoutMachine(process.env), HOOP_SESSION: view.session };
      if (view.protocol === 'ssh') return await runSshClient(view, base, [program, ...rest], signals);
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

async function runSshClient(
  view: ServedView,
  base: NodeJS.ProcessEnv,
  words: readonly string[],
  signals: SignalRelay,
): Promise<number> {
  const { config, runtime } = directories();
  if (view.hostKey !== null) await rememberHostKey(config, view.target, view.hostKey);
  const file = path.join(runtime, `ssh-${view.session}.conf`);
  await writePrivateFile(file, configOfPort(sshAddress(view)));
  try {
    return await runClient(clientOfPort(words, base, file), signals);
  } finally {
    await unlink(file).catch(() => undefined);
  }
}

function exitCodeOfEnd(end: ServedEnd): number {
  if (end.error !== null) throw end.error;
  if (end.why === 'killed') return exitCodes.denied;
  if (end.why === 'access-ended') return exitCodes.notSignedIn;
  return end.why === 'ended' || end.why === 'deadline' ? exitCodes.done : exitCodes.unreachable;
}
