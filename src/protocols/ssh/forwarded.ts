/** One forwarded connection: decided and recorded, then bytes both ways, each recorded before it goes on. */
import type { Duplex } from 'node:stream';
import type { ConnectionGate, FinalVerdict, Releasable } from '../../gate/gate.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import type { Outcome } from '../../model/outcome.ts';
import { Outlet } from './outlet.ts';

export interface ForwardedOptions {
  readonly gate: ConnectionGate;
  readonly text: string;
  readonly facts: CommandFacts;
  /** Opens the channel towards whoever asked. */
  readonly accept: () => Duplex;
  readonly reject: () => void;
  /** Opens the way to the other end. */
  readonly open: () => Promise<Duplex>;
  /** The target asked, and the other end is the client. */
  readonly reversed?: boolean;
}

const heldBytes = 1024 * 1024;

export class Forwarded implements Releasable {
  readonly #options: ForwardedOptions;
  readonly #gate: ConnectionGate;
  readonly #command: number;
  readonly #settled = Promise.withResolvers<void>();
  #start: 'no' | 'pending' | 'staged' | 'done' = 'no';
  #held = false;
  #over = false;
  #client: Duplex | null = null;
  #target: Duplex | null = null;
  #toClient: Outlet | null = null;
  #toTarget: Outlet | null = null;

  constructor(options: ForwardedOptions) {
    this.#options = options;
    this.#gate = options.gate;
    this.#gate.opened({ parameters: { channel: 'forward' }, serverVersion: null });
    this.#command = this.#gate.nextCommand();
    const { facts } = options;
    const text = Buffer.from(options.text);
    const verdict = this.#gate.command(this.#command, text, null, facts);
    if (verdict.kind !== 'review') {
      this.#decided(verdict);
      return;
    }
    this.#held = true;
    this.#gate.review(
      { command: this.#command, text, parameters: null, facts },
      { held: () => undefined, decided: (answer) => this.#decided(answer) },
    );
  }

  get closed(): Promise<void> {
    return this.#settled.promise;
  }

  /** Forwardings have neither signals nor windows. */
  signal(): void {}
  resize(): void {}

  /** Its bytes are another protocol's: nothing can be told in it. */
  abandon(why: 'disconnected' | 'session-ended'): void {
    if (this.#over) return;
    if (this.#held) this.#gate.withdraw(this.#command, why);
    this.#finish({ kind: 'cancelled', tag: null, rows: 0, errorCode: why });
  }

  stage(): void {
    this.#toClient?.stage();
    this.#toTarget?.stage();
    if (this.#start === 'pending') this.#start = 'staged';
  }

  release(): void {
    this.#toClient?.release();
    this.#toTarget?.release();
    if (this.#start === 'staged' && !this.#over) {
      this.#start = 'done';
      void this.#open();
    }
    this.#flow();
  }

  #decided(verdict: FinalVerdict): void {
    this.#held = false;
    if (this.#over) return;
    if (verdict.kind === 'deny') {
      this.#options.reject();
      this.#finish({ kind: 'blocked', tag: null, rows: 0, errorCode: 'policy' });
      return;
    }
    this.#start = 'pending';
    this.#gate.whenRecorded(this);
  }

  async #open(): Promise<void> {
    const { open, accept, reject, reversed = false } = this.#options;
    let other: Duplex;
    try {
      other = await open();
    } catch {
      if (!this.#over) reject();
      this.#finish({ kind: 'failed', tag: null, rows: 0, errorCode: 'unreachable' });
      return;
    }
    if (this.#over) return void other.destroy();
    const asking = accept();
    this.#join(reversed ? [other, asking] : [asking, other]);
  }

  #join([client, target]: [Duplex, Duplex]): void {
    this.#client = client;
    this.#target = target;
    const flow = (): void => this.#flow();
    const [toClient, toTarget] = [new Outlet(client, flow), new Outlet(target, flow)];
    this.#toClient = toClient;
    this.#toTarget = toTarget;
    const recorded = (): void => {
      this.#gate.whenRecorded(this);
      this.#flow();
    };
    client.on('data', (chunk: Buffer) => {
      this.#gate.input(this.#command, chunk);
      toTarget.add(chunk);
      recorded();
    });
    target.on('data', (chunk: Buffer) => {
      toClient.add(this.#gate.output(this.#command, chunk));
      recorded();
    });
    let open = 2;
    const ended = (outlet: Outlet): void => {
      outlet.end();
      recorded();
    };
    client.on('end', () => ended(toTarget));
    target.on('end', () => ended(toClient));
    const closed = (): void => {
      if (--open === 0) this.#finish({ kind: 'succeeded', tag: null, rows: 0, errorCode: null });
    };
    for (const stream of [client, target]) {
      stream.on('error', () => undefined);
      stream.once('close', closed);
    }
  }

  #flow(): void {
    if (this.#over || this.#client === null || this.#target === null) return;
    wait(this.#client, this.#toTarget!);
    wait(this.#target, this.#toClient!);
  }

  #finish(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    this.#client?.destroy();
    this.#target?.destroy();
    this.#gate.outcome(this.#command, outcome);
    this.#gate.closed('ended');
    this.#gate.whenRecorded(this);
    this.#settled.resolve();
  }
}

function wait(from: Duplex, to: Outlet): void {
  const full = to.full || to.bytes > heldBytes;
  if (full === from.isPaused()) return;
  if (full) from.pause();
  else from.resume();
}
