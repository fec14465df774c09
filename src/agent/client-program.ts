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

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * Runs the program on our own terminal and waits for it; signals to us become signals to it.
 * @returns its exit code; 128 + n when signal n ended it, as shells say it
 * @throws AgentError `client-not-found`
 */
export async function runClient(program: ClientProgram): Promise<number> {
  const child = spawn(program.command, program.arguments, { stdio: 'inherit', env: program.environment });
  const stop = forwardSignals(child);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => {
        reject(
          new AgentError('client-not-found', `${program.command} cannot be run`, {
            hint: 'is it installed, and spelt as in your shell?',
            cause,
          }),
        );
      });
      child.once('exit', (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    stop();
  }
}

function forwardSignals(child: ChildProcess): () => void {
  const listeners = forwarded.map((name) => {
    const forward = () => {
      // Ctrl-C on a terminal reaches the whole foreground group: once more would cancel twice.
      const terminalDidIt = process.stdin.isTTY && (name === 'SIGINT' || name === 'SIGQUIT');
      if (!terminalDidIt) child.kill(name);
    };
    process.on(name, forward);
    return { name, forward };
  });
  return () => {
    for (const { name, forward } of listeners) process.off(name, forward);
  };
}
