/** One program for a client that speaks no SSH: a connection to the target, one channel on it, and the end of both. */
import type { ConnectionGate } from '../../gate/gate.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import { askedProgram, parametersOf, type AskedFor, type AskedProgram } from './asked-program.ts';
import type { MakeInspection, Time } from './inspection.ts';
import { Program, type ClientEnd, type TargetEnd, type Window } from './program.ts';
import type { SshTarget } from './target.ts';
import { openAtTarget } from './target-channel.ts';

export interface ExecOptions {
  readonly client: ClientEnd;
  readonly asked: AskedFor;
  readonly gate: ConnectionGate;
  /** Called once, when the program may start. @throws SshError */
  readonly connect: () => Promise<SshTarget>;
  readonly classify: (text: Uint8Array, terminal: boolean) => CommandFacts;
  readonly inspect: (asked: AskedProgram) => MakeInspection;
  readonly time: Time;
}

export interface RelayedProgram {
  signal(name: string): void;
  resize(window: Window): void;
  /** The client is gone, or the session ends. Idempotent. */
  abandon(why: 'disconnected' | 'session-ended'): void;
  /** Its outcome is recorded, and the target is left. Never rejects. */
  readonly closed: Promise<void>;
}

export function relayProgram(options: ExecOptions): RelayedProgram {
  const { client, gate, classify, connect, inspect, time } = options;
  const asked = askedProgram(options.asked, classify);
  let target: SshTarget | null = null;
  gate.opened({ parameters: parametersOf(asked), serverVersion: null });
  const program: Program = new Program({
    gate,
    client,
    request: asked.request,
    open: async (): Promise<TargetEnd> => {
      target = await connect();
      target.client.on('error', () => undefined);
      // The channel's own end comes first where there is one.
      target.client.on('close', () => setImmediate(() => program.abandon('session-ended')));
      return openAtTarget(target.client, asked);
    },
    inspect: inspect(asked),
    time,
  });
  const closed = program.closed.then(() => target?.close());
  return {
    closed,
    signal: (name) => program.signal(name),
    resize: (window) => program.resize(window),
    abandon: (why) => program.abandon(why),
  };
}
