/**
 * A server for real clients: speaks SSH, and runs OpenSSH's sftp-server, or the `scp -t` and `scp -f` that a client asks for,
 * behind an exchange, as the owner of a channel does.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import net from 'node:net';
import ssh2 from 'ssh2';
import type { ServerChannel } from 'ssh2';
import type { Releasable } from '../../../src/gate/gate.ts';
import { parseScp } from '../../../src/protocols/ssh/scp/invocation.ts';
import { ScpExchange } from '../../../src/protocols/ssh/scp/exchange.ts';
import { SftpExchange } from '../../../src/protocols/ssh/sftp/exchange.ts';
import type { FactsPolicy } from './support.ts';
import { FileGate } from './support.ts';

export const sftpServer = '/usr/lib/openssh/sftp-server';

export interface Bridge {
  readonly port: number;
  /** One for each channel. */
  readonly gates: FileGate[];
  /** What exchanges threw. */
  readonly errors: unknown[];
  stop(): void;
}

/** `directory` is where the sessions stand. `onGate` sees each gate before anything is asked of it. */
export async function startBridge(
  directory: string,
  policy?: FactsPolicy,
  onGate: (gate: FileGate) => void = () => undefined,
): Promise<Bridge> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const gates: FileGate[] = [];
  const errors: unknown[] = [];
  const serve = (channel: ServerChannel, command: string | null): void => {
    const gate = new FileGate(policy);
    gates.push(gate);
    onGate(gate);
    const program =
      command === null
        ? spawn(sftpServer, { cwd: directory })
        : spawn('sh', ['-c', command], { cwd: directory });
    join(channel, program, { gate, command, home: directory, failed: (error) => errors.push(error) });
  };
  const server = new ssh2.Server(
    {
      hostKeys: [privateKey.export({ type: 'pkcs1', format: 'pem' })],
      algorithms: { cipher: ['aes128-gcm@openssh.com'] },
    },
    (client) => {
      client.on('error', () => undefined);
      client.on('authentication', (context) => context.accept());
      client.on('session', (accept) => {
        const session = accept();
        session.on('subsystem', (accept) => serve(accept(), null));
        session.on('exec', (accept, _reject, { command }) => serve(accept(), command));
      });
    },
  );
  const listener = net.createServer({ noDelay: true }, (socket) => server.injectSocket(socket));
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as net.AddressInfo;
  return { port, gates, errors, stop: () => listener.close() };
}

interface Joined {
  readonly gate: FileGate;
  readonly command: string | null;
  readonly home: string;
  readonly failed: (error: unknown) => void;
}

function join(
  channel: ServerChannel,
  program: ChildProcessWithoutNullStreams,
  { gate, command, home, failed }: Joined,
): void {
  const up: Buffer[] = [];
  const down: Buffer[] = [];
  const releasable: Releasable = {
    stage: () => undefined,
    release: () => {
      for (const bytes of up.splice(0)) if (!program.stdin.write(bytes)) channel.pause();
      for (const bytes of down.splice(0)) if (!channel.write(bytes)) program.stdout.pause();
    },
  };
  const guarded = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      failed(error);
      program.kill();
    }
    gate.whenRecorded(releasable);
  };
  const options = {
    gate,
    toTarget: (bytes: Buffer) => void up.push(Buffer.from(bytes)),
    toClient: (bytes: Buffer) => void down.push(Buffer.from(bytes)),
    tell: (line: string) => void channel.stderr.write(`${line}\n`),
    awake: guarded,
  };
  const invocation = command === null ? null : parseScp(command.replaceAll("'", '').split(' '));
  const exchange =
    invocation === null ? new SftpExchange(options) : new ScpExchange({ ...options, invocation, home });
  channel.on('data', (chunk: Buffer) => guarded(() => exchange.fromClient(chunk)));
  program.stdout.on('data', (chunk: Buffer) => guarded(() => exchange.fromTarget(chunk)));
  program.stdin.on('drain', () => channel.resume());
  program.stdin.on('error', () => undefined);
  channel.on('drain', () => program.stdout.resume());
  channel.on('end', () => setImmediate(() => program.stdin.end()));
  program.on('close', (code) => {
    exchange.ended();
    setImmediate(() => {
      releasable.release();
      channel.exit(code ?? 1);
      channel.end();
    });
  });
}
