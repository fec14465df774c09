/** `hoop exec` at a server: one program, its streams joined to ours. */
import type { Account } from '../../agent/account.ts';
import { RemoteProgram, type ProgramEnd } from '../../agent/remote-program.ts';
import type { SessionAnswer } from '../../wire/api.ts';
import { exitCodeOf } from '../exit-codes.ts';
import type { Asked } from './asked.ts';
import { Capture } from './capture.ts';
import type { Interrupts } from './interrupts.ts';
import { commandLine, exactly } from './quoting.ts';
import { isInteractive, takeTerminal, terminalNow } from './terminal.ts';

export interface ExecResult {
  readonly exitCode: number;
  /** What `--json` shows. */
  readonly document: Record<string, unknown>;
}

/** As timeout(1) says it. */
export const timedOutExit = 124;
/** After SIGTERM a program has this long. */
const timeoutGraceMs = 1000;
/** Shells say it of programs that are not there. */
const notFoundExit = 127;

/** @throws RelayProblem, AgentError: it did not come to an end of its own */
export async function runProgram(
  account: Account,
  session: SessionAnswer,
  asked: Asked,
  { interrupts, note }: { readonly interrupts: Interrupts; readonly note: (line: string) => void },
): Promise<ExecResult> {
  const command = commandOf(asked);
  const terminal = wantsTerminal(asked) ? terminalNow() : null;
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  const captured = asked.json ? { stdout: new Capture(fail), stderr: new Capture(fail) } : null;
  const { stdout, stderr } = captured ?? process;
  const startedAt = performance.now();
  const path = `/v1/sessions/${session.session}/exec`;
  const program = await RemoteProgram.start(
    {
      url: account.relay + path,
      headers: account.client.proofsFor('GET', path),
      authorities: account.client.http.authorities,
      signal: interrupts.signal,
    },
    { command, environment: asked.environment, terminal, endsSession: true },
    { stdin: asked.stdin ? process.stdin : null, stdout, stderr },
  );
  interrupts.to((signal) => program.signal(signal));
  const restore = terminal === null ? null : takeTerminal((columns, rows) => program.resize(columns, rows));
  const timer = new Timeout(asked.timeoutMs, () => program.signal('TERM'));
  let end: ProgramEnd | number;
  try {
    end = await Promise.race([program.ended, timer.over, interrupts.stopped, failed]);
  } finally {
    restore?.();
    timer.clear();
    program.close();
    // Open, it would keep the process; its reader may go on with what is left in it.
    if (asked.stdin) process.stdin.destroy();
  }
  const exitCode = exitOf(end, { timer, asked });
  if (exitCode === notFoundExit && asked.words?.length === 1 && /\s/.test(asked.words[0]!) && !asked.shell)
    note('hoop: one argument is the name of one program; for a command line: hoop exec --shell');
  const said = captured && { stdout: captured.stdout.captured, stderr: captured.stderr.captured };
  return {
    exitCode,
    document: {
      exitCode,
      signal: typeof end === 'number' ? null : end.signal,
      timedOut: timer.fired,
      stdout: said?.stdout.text ?? '',
      stdoutEncoding: said?.stdout.encoding ?? 'utf8',
      stderr: said?.stderr.text ?? '',
      stderrEncoding: said?.stderr.encoding ?? 'utf8',
      runMs: Math.round(performance.now() - startedAt),
    },
  };
}

function commandOf({ words, shell }: Asked): string | null {
  if (words === null) return null;
  return shell ? exactly(words.join(' ')) : commandLine(words);
}

/** A shell in a terminal gets one without being asked. */
const wantsTerminal = ({ tty, words, json }: Asked): boolean =>
  tty ?? (words === null && !json && isInteractive());

function exitOf(end: ProgramEnd | number, { timer, asked }: { timer: Timeout; asked: Asked }): number {
  if (timer.fired) return timedOutExit;
  if (typeof end === 'number') return end;
  if (end.failure === null) return end.code;
  if (asked.json || !end.told) throw end.failure;
  return exitCodeOf(end.failure);
}

/** `--timeout`: SIGTERM, then the end, whether or not it heeds it. */
export class Timeout {
  readonly over: Promise<number>;
  fired = false;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(ms: number | null, fire: () => void) {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.over = promise;
    if (ms === null) return;
    const fired = (): void => {
      this.fired = true;
      fire();
      this.#timers.push(setTimeout(() => resolve(timedOutExit), timeoutGraceMs));
    };
    this.#timers.push(setTimeout(fired, ms));
  }

  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
