/**
 * Forwarded connections (RFC 4254, 7): ports, sockets, agents, X11, in both directions. Each needs a policy that permits
 * `forward`; each is a command, and its bytes are recorded as they are. Nothing of them is masked: they are a protocol of
 * which nothing is known.
 */
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import type { Client, Connection, ServerChannel } from 'ssh2';
import type { ConnectionGate } from '../../gate/gate.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import { openAgentChannel } from './agent-channel.ts';
import { Forwarded } from './forwarded.ts';
import { forwardFacts } from './request-facts.ts';
import type { Running } from './client-channel.ts';
import type { SshTarget } from './target.ts';

export interface ForwardingsOptions {
  readonly gate: () => ConnectionGate;
  readonly target: () => Promise<SshTarget>;
  /** As many channels are open as may be. */
  readonly limited: () => boolean;
  readonly running: Set<Running>;
}

export class Forwardings {
  readonly #options: ForwardingsOptions;
  #connection: Connection | null = null;
  #target: Client | null = null;
  /** What the target listens to for the client, `host:port`, and what it was asked for: port 0 is any. */
  readonly #listening = new Map<string, string>();
  /** Of the last question to policy. */
  #recorded: Promise<void> = Promise.resolve();

  constructor(options: ForwardingsOptions) {
    this.#options = options;
  }

  /** Asks policy about something that is asked for once and used later; recorded as a command. People are not asked. */
  may(text: string, facts: CommandFacts): boolean {
    const gate = this.#options.gate();
    gate.opened({ parameters: { channel: 'request' }, serverVersion: null });
    const command = gate.nextCommand();
    const bytes = Buffer.from(text);
    const verdict = gate.command(command, bytes, null, facts);
    if (verdict.kind === 'review') gate.withheld({ command, text: bytes, parameters: null, facts });
    const allowed = verdict.kind === 'allow';
    const kind = allowed ? 'succeeded' : 'blocked';
    gate.outcome(command, { kind, tag: null, rows: 0, errorCode: allowed ? null : 'policy' });
    gate.closed('ended');
    const recorded = Promise.withResolvers<void>();
    gate.whenRecorded({ stage: () => undefined, release: () => recorded.resolve() });
    this.#recorded = recorded.promise;
    return allowed;
  }

  /** From the client: `-L`, `-D`, `-W`; and what it asks the target to listen to: `-R`. */
  serve(connection: Connection): void {
    this.#connection = connection;
    connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
      const destination = `${bare(destIP)}:${destPort}`;
      this.#local({ accept, reject }, destination, (client, done) =>
        client.forwardOut('127.0.0.1', 0, destIP, destPort, done),
      );
    });
    connection.on('openssh.streamlocal', (accept, reject, { socketPath }) => {
      this.#local({ accept: accept as () => ServerChannel, reject }, socketPath, (client, done) =>
        client.openssh_forwardOutStreamLocal(socketPath, done),
      );
    });
    connection.on('request', (accept, reject, name, info) => {
      const told = (value?: number): void => void (accept as ((port?: number) => void) | undefined)?.(value);
      if (name === 'tcpip-forward' && 'bindAddr' in info) void this.#listen(info, told, () => reject?.());
      else if (name === 'cancel-tcpip-forward' && 'bindAddr' in info)
        void this.#unlisten(info, told, () => reject?.());
      else reject?.();
    });
  }

  #toAgent(done: (error: Error | null, stream?: Duplex) => void): void {
    const [near, far] = duplexPair();
    const accept = (): Duplex => {
      done(null, near);
      return far;
    };
    this.#remote(
      'agent',
      accept,
      () => done(new Error('refused')),
      (connection, opened) => openAgentChannel(connection, opened),
    );
  }

  /** From the target: connections to what it listens to for the client, its agent, its X11 clients. */
  reached({ client, agent }: SshTarget): void {
    this.#target = client;
    agent.open = (done) => this.#toAgent(done);
    client.on('tcp connection', ({ destIP, destPort, srcIP, srcPort }, accept, reject) => {
      const asked = this.#listening.get(`${destIP}:${destPort}`);
      if (asked === undefined) return void reject();
      this.#remote(asked, accept, reject, (connection, done) =>
        connection.forwardOut(destIP, destPort, srcIP, srcPort, done),
      );
    });
    client.on('x11', ({ srcIP, srcPort }, accept, reject) => {
      this.#remote('x11', accept as () => Duplex, reject as () => void, (connection, done) =>
        connection.x11(srcIP, srcPort, done),
      );
    });
  }

  #local(
    { accept, reject }: { accept: () => ServerChannel; reject: () => void },
    destination: string,
    open: (client: Client, done: (error: Error | undefined, stream: Duplex) => void) => void,
  ): void {
    if (this.#options.limited() || /[\p{Cc}\ufffd]/u.test(destination)) return void reject();
    const forwarded = new Forwarded({
      gate: this.#options.gate(),
      text: `forward local ${destination}`,
      facts: forwardFacts(destination),
      accept,
      reject,
      open: async () => {
        const { client } = await this.#options.target();
        return promised((done) => open(client, done));
      },
    });
    this.#keep(forwarded);
  }

  #remote(
    name: string,
    accept: () => Duplex,
    reject: () => void,
    open: (connection: Connection, done: (error: Error | undefined, stream: Duplex) => void) => void,
  ): void {
    const connection = this.#connection;
    if (connection === null || this.#options.limited()) return void reject();
    const forwarded = new Forwarded({
      gate: this.#options.gate(),
      text: `forward remote ${name}`,
      facts: forwardFacts(name),
      // What the client sends goes to the target: the ends are the other way round.
      accept: () => accept(),
      reject,
      open: () => promised((done) => open(connection, done)),
      reversed: true,
    });
    this.#keep(forwarded);
  }

  #keep(forwarded: Forwarded): void {
    this.#options.running.add(forwarded);
    void forwarded.closed.then(() => this.#options.running.delete(forwarded));
  }

  async #listen(
    { bindAddr, bindPort }: { bindAddr: string; bindPort: number },
    accept: (port?: number) => void,
    reject: () => void,
  ): Promise<void> {
    const destination = `${bare(bindAddr)}:${bindPort}`;
    if (!this.may(`forward remote ${destination}`, forwardFacts(destination))) return reject();
    try {
      await this.#recorded;
      const { client } = await this.#options.target();
      const port = await promised<number>((done) => client.forwardIn(bindAddr, bindPort, done));
      this.#listening.set(`${bindAddr}:${bindPort === 0 ? port : bindPort}`, destination);
      accept(bindPort === 0 ? port : undefined);
    } catch {
      reject();
    }
  }

  async #unlisten(
    { bindAddr, bindPort }: { bindAddr: string; bindPort: number },
    accept: () => void,
    reject: () => void,
  ): Promise<void> {
    const target = this.#target;
    if (target === null || !this.#listening.delete(`${bindAddr}:${bindPort}`)) return reject();
    try {
      await promised<void>((done) =>
        target.unforwardIn(bindAddr, bindPort, (error) => done(error, undefined)),
      );
      accept();
    } catch {
      reject();
    }
  }
}

/** An address as policies write it. */
const bare = (host: string): string => (host.includes(':') ? `[${host}]` : host.toLowerCase());

function promised<T>(start: (done: (error: Error | undefined | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === undefined || error === null) resolve(value);
      else reject(error);
    });
  });
}
