/**
 * What the tests of this protocol share: byte channels over sockets and in memory, a gate that notes everything and
 * allows what a function allows, and a relay that listens on a port.
 */
import net from 'node:net';
import type tls from 'node:tls';
import type { ByteChannel, ByteReceiver } from '../../../src/bytes/channel.ts';
import { SocketChannel } from '../../../src/system/socket-channel.ts';
import type {
  ConnectionGate,
  FinalVerdict,
  GivenCommand,
  Releasable,
  ReviewListener,
  Verdict,
} from '../../../src/gate/gate.ts';
import type { Masking, RedactionPlace, RowFindings } from '../../../src/gate/masking.ts';
import { placeOf } from '../../../src/evidence/recording/redactions.ts';
import type { ConnectionInfo } from '../../../src/gate/recorder.ts';
import type { CommandFacts } from '../../../src/model/command-facts.ts';
import type { Outcome } from '../../../src/model/outcome.ts';
import { CancelKeys } from '../../../src/protocols/postgres/cancel-keys.ts';
import { relayPostgres } from '../../../src/protocols/postgres/relay.ts';
import type { PostgresRelay, RelayPostgresOptions } from '../../../src/protocols/postgres/relay.ts';
import { ScramKeys } from '../../../src/protocols/postgres/scram.ts';
import type { Dial, TargetOptions } from '../../../src/protocols/postgres/target.ts';

/** Two channels joined in memory; delivery is synchronous unless paused. */
export class MemoryChannel implements ByteChannel {
  peer!: MemoryChannel;
  #receiver: ByteReceiver | null = null;
  #waiting: (() => void)[] = [];
  #paused = false;
  #closed = false;
  #endSent = false;
  #endReceived = false;
  /** Set to make `write` answer false. */
  full = false;

  static pair(): [MemoryChannel, MemoryChannel] {
    const [a, b] = [new MemoryChannel(), new MemoryChannel()];
    a.peer = b;
    b.peer = a;
    return [a, b];
  }

  get paused(): boolean {
    return this.#paused;
  }

  receive(receiver: ByteReceiver): void {
    this.#receiver = receiver;
    this.#run();
  }

  write(chunk: Uint8Array): boolean {
    const copy = Buffer.from(chunk);
    if (!this.#closed && !this.#endSent)
      this.peer.#deliver((receiver) => {
        receiver.data(copy);
        copy.fill(0xdb); // it was lent
      });
    return !this.full;
  }

  drain(): void {
    this.full = false;
    this.#receiver?.drained();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#run();
  }

  end(): void {
    if (this.#endSent || this.#closed) return;
    this.#endSent = true;
    this.peer.#deliver((receiver) => {
      this.peer.#endReceived = true;
      receiver.end();
      this.peer.#closeIfDone();
      this.#closeIfDone();
    });
  }

  destroy(): void {
    if (this.#closed) return;
    this.#close();
    this.peer.#deliver(() => this.peer.#close());
  }

  #closeIfDone(): void {
    if (this.#endSent && this.#endReceived) this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#receiver?.closed(null);
  }

  #deliver(step: (receiver: ByteReceiver) => void): void {
    this.#waiting.push(() => {
      if (!this.#closed && this.#receiver !== null) step(this.#receiver);
    });
    this.#run();
  }

  #running = false;
  #run(): void {
    if (this.#running) return;
    this.#running = true;
    while (!this.#paused && this.#receiver !== null && this.#waiting.length > 0) this.#waiting.shift()!();
    this.#running = false;
  }
}

export interface Noted {
  readonly command: number;
  readonly text: string;
  readonly parameters: Buffer | null;
  /** As the gate would decide by. */
  readonly facts: CommandFacts;
  readonly outcomes: Outcome[];
}

export type Policy = (text: string) => Verdict;
const allow: Verdict = { kind: 'allow' };

/** A held command, until the test plays the reviewers. */
export interface HeldNoted {
  readonly given: GivenCommand;
  readonly text: string;
  readonly listener: ReviewListener;
  withdrawn: string | null;
}

/** Keeps what it is told; releases at the end of the tick, or when `release` is called where `manual` is set. */
export class NotingGate implements ConnectionGate {
  readonly commands: Noted[] = [];
  readonly statements = new Map<number, string>();
  readonly outputs: { command: number; bytes: Buffer }[] = [];
  readonly inputs: { command: number; bytes: Buffer }[] = [];
  readonly forgotten: number[] = [];
  readonly held: HeldNoted[] = [];
  readonly redactions: { command: number; rule: number; place: RedactionPlace; original: string }[] = [];
  readonly policy: Policy;
  masking: Masking | null = null;
  info: ConnectionInfo | null = null;
  reason: string | null = null;
  manual = false;
  /** Without it, memory stays flat. */
  keep = true;
  #command = 0;
  #statement = 0;
  readonly #facts = new Map<number, CommandFacts>();
  #asked = new Set<Releasable>();

  constructor(policy: Policy = () => allow) {
    this.policy = policy;
  }

  opened(info: ConnectionInfo): void {
    this.info = info;
  }

  statement(text: Uint8Array, _types: readonly number[], facts: CommandFacts): number {
    this.statements.set(++this.#statement, Buffer.from(text).toString());
    this.#facts.set(this.#statement, facts);
    return this.#statement;
  }

  factsOf(statement: number): CommandFacts {
    return this.#facts.get(statement)!;
  }

  forgetStatement(statement: number): void {
    this.forgotten.push(statement);
  }

  nextCommand(): number {
    return ++this.#command;
  }

  command(
    command: number,
    text: Uint8Array | number,
    parameters: Uint8Array | null,
    facts: CommandFacts | null,
  ): Verdict {
    const verdict = this.policy(this.#textOf(text));
    if (verdict.kind !== 'review') this.#note({ command, text, parameters, facts });
    return verdict;
  }

  verdictOn(): Verdict['kind'] {
    throw new Error('PostgreSQL has no questions that are not recorded');
  }

  review(given: GivenCommand, listener: ReviewListener): void {
    this.held.push({ given, text: this.#textOf(given.text), listener, withdrawn: null });
  }

  withheld(given: GivenCommand): void {
    this.#note(given);
  }

  withdraw(command: number, why: 'cancelled' | 'disconnected' | 'session-ended'): void {
    const held = this.held.find(({ given }) => given.command === command)!;
    held.withdrawn = why;
    this.withheld(held.given);
  }

  /** Plays the reviewers of the held command that is at hand. */
  decide(verdict: FinalVerdict): void {
    const { given, listener } = this.held.at(-1)!;
    this.withheld(given);
    listener.decided(verdict);
  }

  redacted(
    command: number,
    rule: number,
    place: RedactionPlace,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (!this.keep) return;
    const original = Buffer.from(bytes.subarray(start, end)).toString('latin1');
    this.redactions.push({ command, rule, place: { ...place }, original });
  }

  redactedRows(command: number, found: RowFindings): void {
    for (let i = 0; i < found.findings.length; i++) {
      const [start, end] = [found.findings.starts[i]!, found.findings.ends[i]!];
      this.redacted(command, found.findings.rules[i]!, placeOf(found, i), found.bytes, start, end);
    }
  }

  #textOf(text: Uint8Array | number): string {
    return typeof text === 'number' ? this.statements.get(text)! : Buffer.from(text).toString();
  }

  #note({ command, text, parameters: given, facts: told }: GivenCommand): void {
    if (!this.keep) return;
    const parameters = given === null ? null : Buffer.from(given);
    const facts = told ?? this.factsOf(text as number);
    this.commands.push({ command, text: this.#textOf(text), parameters, facts, outcomes: [] });
  }

  input(command: number, bytes: Uint8Array): void {
    if (this.keep) this.inputs.push({ command, bytes: Buffer.from(bytes) });
  }

  output(command: number, bytes: Buffer): Buffer {
    if (this.keep) this.outputs.push({ command, bytes: Buffer.from(bytes) });
    return bytes;
  }

  errorOutput(): Buffer {
    throw new Error('PostgreSQL has one stream of results');
  }

  resize(): void {
    throw new Error('PostgreSQL has no terminal');
  }

  origin(): void {
    throw new Error('PostgreSQL has no commands in commands');
  }

  outcome(command: number, outcome: Outcome): void {
    if (!this.keep) return;
    this.commands.find((noted) => noted.command === command)!.outcomes.push(outcome);
  }

  maskingFailed(error: unknown): void {
    throw error;
  }

  whenRecorded(releasable: Releasable): void {
    if (this.#asked.size === 0 && !this.manual) setImmediate(() => this.release());
    this.#asked.add(releasable);
  }

  release(): void {
    const asked = [...this.#asked];
    this.#asked.clear();
    for (const releasable of asked) {
      releasable.stage();
      releasable.release();
    }
  }

  closed(reason: string): void {
    this.reason = reason;
  }

  /** `text → kind tag rows code` of every command; what a test compares. */
  summary(): string[] {
    return this.commands.map(({ text, outcomes }) =>
      [text, ...outcomes.map((o) => `${o.kind} ${o.tag} ${o.rows} ${o.errorCode}`)].join(' → '),
    );
  }
}

export const targetOptions = (overrides: Partial<TargetOptions> = {}): TargetOptions => ({
  user: 'app',
  password: () => 'secret',
  database: 'app',
  databases: [],
  tls: 'disable',
  channelBinding: 'prefer',
  scramKeys: new ScramKeys(),
  ...overrides,
});

export interface RelayServer {
  readonly port: number;
  readonly gates: NotingGate[];
  readonly relays: PostgresRelay[];
  stop(): Promise<void>;
}

/** Dials a port on loopback; TLS with `tlsOptions`. */
export const dialTo =
  (port: number, tlsOptions: tls.ConnectionOptions = {}): Dial =>
  () =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        const channel = new SocketChannel(socket);
        const startTls = async () => {
          const secured = await channel.startTls(tlsOptions);
          return { peerCertificate: secured.getPeerX509Certificate()!.raw };
        };
        resolve({ channel, startTls });
      });
    });

/** A relay on a port of its own: plain sockets, one gate for each connection. */
export async function listenRelay(
  target: TargetOptions,
  dialPort: number,
  options: {
    policy?: Policy;
    tls?: tls.ConnectionOptions;
    keep?: boolean;
    masking?: Masking | null;
  } & Partial<RelayPostgresOptions> = {},
): Promise<RelayServer> {
  const gates: NotingGate[] = [];
  const relays: PostgresRelay[] = [];
  const cancelKeys = new CancelKeys();
  const dial = dialTo(dialPort, options.tls);
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const gate = new NotingGate(options.policy);
    gate.keep = options.keep ?? true;
    gate.masking = options.masking ?? null;
    if (gate.keep) gates.push(gate);
    const relay = relayPostgres({
      client: new SocketChannel(socket),
      target,
      dial,
      gate,
      cancelKeys,
      ...options,
    });
    if (gate.keep) relays.push(relay);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' ? address!.port : 0,
    gates,
    relays,
    stop: async () => {
      for (const relay of relays) relay.fail({ sqlstate: '57P01', message: 'the test is over', hint: null });
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
