/** A client run for the length of a session: `hoop connect NAME -- psql …`. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { AgentError } from './error.ts';

export interface ClientProgram {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

const relayed = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * Takes the signals sent to us and gives them to the client, from before there is one: a signal that comes while the
 * session opens must not leave it behind. Before there is a client a second one ends us as usual.
 */
export class SignalRelay {
  #child: ChildProcess | null = null;
  #received: NodeJS.Signals | null = null;
  readonly #listener = (name: NodeJS.Signals): void => this.#take(name);

  constructor() {
    for (const name of relayed) process.on(name, this.#listener);
  }

  /** What came before there was a client; null for nothing. */
  get received(): NodeJS.Signals | null {
    return this.#received;
  }

  to(child: ChildProcess): void {
    this.#child = child;
  }

  stop(): void {
    for (const name of relayed) process.off(name, this.#listener);
  }

  #take(name: NodeJS.Signals): void {
    if (this.#child === null && this.#received !== null) {
      this.stop();
      process.kill(process.pid, name);
      return;
    }
    this.#received = name;
    // Ctrl-C on a terminal reaches the whole foreground group: once more would cancel twice.
    const terminalDidIt = process.stdin.isTTY && (name === 'SIGINT' || name === 'SIGQUIT');
    if (!terminalDidIt) this.#child?.kill(name);
  }
}

/**
 * Runs the program on our own terminal and waits for it.
 * @returns its exit code; 128 + n when signal n ended it, as shells say it
 * @throws AgentError `client-not-found`
 */
export function runClient(program: ClientProgram, signals: SignalRelay): Promise<number> {
  const child = spawn(program.command, program.arguments, { stdio: 'inherit', env: program.environment });
  signals.to(child);
  return new Promise<number>((resolve, reject) => {
    child.once('error', (cause) => {
      reject(
        new AgentError('client-not-found', `${program.command} cannot be run`, {
          hint: 'is it installed, and spelt as in your shell?',
          cause,
        }),
      );
    });
    child.once('exit', (code, signal) => {
      resolve(code ?? signalExit(signal));
    });
  });
}

/** The exit code that shells give a program which a signal ended. */
export function signalExit(signal: NodeJS.Signals | null): number {
  return 128 + (signal === null ? 0 : constants.signals[signal]);
}
