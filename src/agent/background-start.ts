/** Asking the background agent, and starting it first when there is none. */
import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { ensurePrivateDirectory } from '../system/private-file.ts';
import type { ControlAnswer, ControlRequest, DisconnectRequest, ServedView } from './control-protocol.ts';
import { failureOf } from './control-protocol.ts';
import { askAgent } from './control-socket.ts';
import { AgentError } from './error.ts';
import { withoutMachine } from './machine-source.ts';

/** How `hoop agent` is run: the program and its first arguments. */
export type AgentCommand = readonly [program: string, ...arguments: string[]];

const attempts = 5;

/** What is served in the background; nothing when no agent runs. @throws RelayProblem, AgentError */
export async function askIfRunning(runtime: string, request: ControlRequest): Promise<ServedView[]> {
  const answer = await askAgent(runtime, request);
  return answer === null ? [] : servedOf(answer);
}

/**
 * Asks, starting the agent as needed. An agent may end between being found and being asked, so this tries again.
 * @throws RelayProblem for what the agent or the relay refused; AgentError `agent-unreachable`
 */
export async function askOrStart(
  runtime: string,
  request: ControlRequest,
  command: AgentCommand,
): Promise<ServedView[]> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const answer = await askAgent(runtime, request);
    if (answer !== null) return servedOf(answer);
    await startAgent(runtime, command);
  }
  throw new AgentError('agent-unreachable', 'the background agent does not start', {
    hint: `its own words are in ${path.join(runtime, 'agent.log')}`,
  });
}

/**
 * Ends one target, or all of them when `target` is null; of one relay or profile, where it is named. @returns what was ended
 * @throws AgentError `target-not-connected`
 */
export async function disconnectBackground(
  runtime: string,
  which: Omit<DisconnectRequest, 'v' | 'op'>,
): Promise<ServedView[]> {
  const { target } = which;
  const answer = await askAgent(runtime, { v: 1, op: 'disconnect', ...which });
  if (answer !== null) return servedOf(answer);
  if (target === null) return [];
  throw new AgentError('target-not-connected', `${target} is not connected in the background`, {
    hint: 'see what is: hoop status',
  });
}

function servedOf(answer: ControlAnswer): ServedView[] {
  if (!answer.ok) throw failureOf(answer);
  return answer.served;
}

/** Resolves when it answers or has ended; it has a session of its own, so closing the terminal does not reach it. */
async function startAgent(runtime: string, [program, ...first]: AgentCommand): Promise<void> {
  await ensurePrivateDirectory(runtime);
  const log = await open(path.join(runtime, 'agent.log'), 'a', 0o600);
  try {
    const child = spawn(program, [...first, 'agent'], {
      detached: true,
      stdio: ['ignore', 'pipe', log.fd],
      cwd: '/',
      // It also serves others than who started it: whose sign-in counts comes with each request.
      env: withoutMachine(process.env),
    });
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => resolve());
      // Its one line says that it can be asked.
      child.stdout?.once('data', () => resolve());
    });
    child.stdout?.destroy();
    child.unref();
  } finally {
    await log.close();
  }
}
