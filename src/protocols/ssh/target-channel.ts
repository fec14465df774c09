/** Starts what a client asked for at the target. */
import type { Client, ClientChannel, ExecOptions } from 'ssh2';
import type { AskedProgram } from './asked-program.ts';
import { SshError } from './error.ts';
import type { ExitStatus, TargetEnd } from './program.ts';
import { SessionRequests } from './session-requests.ts';

/** @throws SshError `ssh-connection-lost` */
export function openAtTarget(
  client: Client,
  { kind, text, environment, terminal, agent, x11 }: AskedProgram,
): Promise<TargetEnd> {
  return new Promise((resolve, reject) => {
    const opened = (error: Error | undefined, channel: ClientChannel): void => {
      // Listened to at once: how it ended may have come with the answer that it began.
      if (error === undefined || error === null) resolve(targetEndOf(client, channel, terminal !== null));
      else
        reject(
          new SshError('ssh-connection-lost', 'the target did not start it', {
            hint: 'its operator sees whether the server permits it',
            cause: error,
          }),
        );
    };
    const options: ExecOptions = {
      env: { ...environment },
      allowHalfOpen: true,
      ...(agent && { agentForward: true }),
      ...(x11 !== null && { x11 }),
    };
    const pty =
      terminal === null ? null : { ...terminal, cols: terminal.columns, modes: { ...terminal.modes } };
    try {
      if (kind === 'exec') client.exec(text, { ...options, ...(pty !== null && { pty }) }, opened);
      else if (kind === 'shell') client.shell(pty ?? false, options, opened);
      else client.subsys(text, opened);
    } catch (error) {
      opened(error instanceof Error ? error : new Error(String(error)), undefined as never);
    }
  });
}

function targetEndOf(client: Client, channel: ClientChannel, terminal: boolean): TargetEnd {
  const requests = new SessionRequests(client, channel);
  channel.on('error', () => undefined);
  const exit = Promise.withResolvers<ExitStatus>();
  const closed = Promise.withResolvers<void>();
  channel.on('exit', (code: number | null, signal?: string, coreDumped?: boolean) =>
    exit.resolve(code === null ? { signal: signal ?? 'HUP', coreDumped: coreDumped ?? false } : { code }),
  );
  channel.on('close', () => closed.resolve());
  return {
    input: channel.stdin,
    output: channel,
    errorOutput: terminal ? null : channel.stderr,
    signal: (name) => requests.signal(name),
    resize: ({ columns, rows }) => requests.resize(columns, rows),
    destroy: () => {
      channel.destroy();
    },
    onExit: (listener) => void exit.promise.then(listener),
    onClosed: (listener) => void closed.promise.then(listener),
  };
}
