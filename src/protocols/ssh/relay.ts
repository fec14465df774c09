/**
 * SSH between one connection of a client and the target: ssh2 speaks RFC 4251 to 4254 with both ends, each with keys of its
 * own; this folder decides what may pass from one to the other, and everything that passes is recorded first. It opens no
 * socket, reads no clock and touches no file.
 *
 * The client has proven who it is to the relay before its first byte comes here, so it signs in by `none`; it verifies the
 * relay's host key. The target is verified by its pinned host key and gets the relay's own credential. Each channel has a
 * gate of its own: what is held, denied or slow in one stops no other. In the record a channel is what is called a
 * connection.
 */
import ssh2 from 'ssh2';
import type { Connection } from 'ssh2';
import type { ByteChannel } from '../../bytes/channel.ts';
import type { ConnectionGate } from '../../gate/gate.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import { clientSide } from './algorithms.ts';
import { ChannelStream } from '../../bytes/channel-stream.ts';
import { parametersOf, type AskedProgram } from './asked-program.ts';
import { keepKeys } from './cipher-keys.ts';
import { serveSessionChannel, type Running } from './client-channel.ts';
import { Forwardings } from './forwarding.ts';
import type { MakeInspection, Time } from './inspection.ts';
import { Program, type ClientEnd, type TargetEnd } from './program.ts';
import type { SshTarget } from './target.ts';
import { openAtTarget } from './target-channel.ts';

export interface SshRelayOptions {
  readonly client: ByteChannel;
  /** A view of the session's gate for each channel. */
  readonly gate: () => ConnectionGate;
  /** Connects to the target; called once, when the first channel needs it. @throws SshError */
  readonly connect: () => Promise<SshTarget>;
  /** PEM of the relay's own host key. */
  readonly hostKey: string;
  readonly classify: (text: Uint8Array, terminal: boolean) => CommandFacts;
  readonly inspect: (asked: AskedProgram) => MakeInspection;
  readonly time: Time;
}

export interface SshRelay {
  /** Both sides are closed and every command has its outcome. Never rejects. */
  readonly closed: Promise<void>;
  /** Ends it: what runs is stopped and told `why`, what was not recorded is not delivered. Idempotent. */
  fail(why: string): void;
}

/** Serves one connection of a client. */
export function relaySsh(options: SshRelayOptions): SshRelay {
  return new RelayedConnection(options);
}

/** What a server permits on one connection by default is 10 channels; forwards need more. */
const mostChannels = 256;

class RelayedConnection implements SshRelay {
  readonly closed: Promise<void>;
  readonly #options: SshRelayOptions;
  readonly #running = new Set<Running>();
  readonly #stream: ChannelStream;
  readonly #forwardings: Forwardings;
  #connection: Connection | null = null;
  #target: Promise<SshTarget> | null = null;
  #ended = false;

  constructor(options: SshRelayOptions) {
    this.#options = options;
    const closed = Promise.withResolvers<void>();
    this.closed = closed.promise;
    this.#stream = new ChannelStream(options.client);
    this.#stream.on('error', () => undefined);
    this.#forwardings = new Forwardings({
      gate: options.gate,
      target: () => this.#reach(),
      limited: () => this.#running.size >= mostChannels,
      running: this.#running,
    });
    this.#stream.once('close', () => {
      this.#end('disconnected');
      closed.resolve();
    });
    const server = new ssh2.Server(
      { hostKeys: [options.hostKey], algorithms: clientSide, ident: 'hoop' },
      (connection) => this.#serve(connection),
    );
    server.injectSocket(this.#stream as never);
  }

  fail(why: string): void {
    const running = [...this.#running];
    this.#end('session-ended', why);
    // Each says its last word when that is recorded. No DISCONNECT follows: OpenSSH would go at once, and show nothing that it
    // has not written yet. Whoever stays all the same is cut off by the end of the session's tunnel.
    void Promise.all(running.map(({ closed }) => closed)).then(() => this.#stream.end());
  }

  #serve(connection: Connection): void {
    this.#connection = connection;
    keepKeys(connection);
    connection.on('error', () => undefined);
    connection.on('authentication', (context) => context.accept());
    connection.on('ready', () => {
      this.#forwardings.serve(connection);
      connection.on('session', (accept, reject) => {
        if (this.#ended || this.#running.size >= mostChannels) return void reject();
        serveSessionChannel(accept(), {
          classify: this.#options.classify,
          mayForward: (text, facts) => this.#forwardings.may(text, facts),
          start: (asked, client) => this.#start(asked, client),
        });
      });
      // While the client says what it wants the target is reached: it will be needed.
      this.#reach().catch(() => undefined);
    });
    connection.on('end', () => this.#end('disconnected'));
    connection.on('close', () => this.#end('disconnected'));
  }

  #reach(): Promise<SshTarget> {
    this.#target ??= this.#options.connect().then((target) => {
      target.client.on('close', () => this.#lost());
      target.client.on('error', () => undefined);
      this.#forwardings.reached(target);
      if (this.#ended) target.close();
      return target;
    });
    return this.#target;
  }

  #start(asked: AskedProgram, client: ClientEnd): Running {
    const gate = this.#options.gate();
    gate.opened({ parameters: parametersOf(asked), serverVersion: null });
    const program = new Program({
      gate,
      client,
      request: asked.request,
      open: async (): Promise<TargetEnd> => openAtTarget((await this.#reach()).client, asked),
      inspect: this.#options.inspect(asked),
      time: this.#options.time,
    });
    this.#running.add(program);
    void program.closed.then(() => this.#running.delete(program));
    return program;
  }

  /** The target went away: programs end with their channels, and the client has nothing left to talk to. */
  #lost(): void {
    if (this.#ended) return;
    setImmediate(() => {
      for (const running of this.#running) running.abandon('session-ended', null);
      this.#connection?.end();
    });
  }

  #end(why: 'disconnected' | 'session-ended', told: string | null = null): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const running of this.#running) running.abandon(why, told);
    this.#target?.then(
      (target) => target.close(),
      () => undefined,
    );
  }
}
