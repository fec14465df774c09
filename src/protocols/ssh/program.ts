/**
 * One program at the target (an exec, a shell, a subsystem) and the client's channel that asked for it, joined through the
 * gate: decided, perhaps held, recorded, started, and what passes between them recorded before it goes on.
 *
 *   asked → gate.command → (people) → recorded → opened at the target → bytes both ways → exit → outcome → told
 */
import type { Readable, Writable } from 'node:stream';
import type { ConnectionGate, FinalVerdict, GivenCommand, Releasable } from '../../gate/gate.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import type { Outcome } from '../../model/outcome.ts';
import type { Inspection, MakeInspection, Time } from './inspection.ts';
import { denial, ending, heldText, loss, refusalText, withdrawal } from './notices.ts';
import { Outlet } from './outlet.ts';
import { readableWindow } from './window.ts';

/** How a program ended, as SSH says it (RFC 4254, 6.10). */
export type ExitStatus =
  { readonly code: number } | { readonly signal: string; readonly coreDumped: boolean };

/** What the person who waits is told that is not the program's: why there was none. */
export interface Refusal {
  readonly kind: 'denied' | 'cancelled' | 'unreachable';
  /** For clients that are told more than an exit status; without the credential and the target's address. */
  readonly message: string;
  readonly hint: string | null;
  /** One of docs/errors.md; null where there is none. */
  readonly code: string | null;
}

/** The client's channel. `input` is paused until the program runs. */
export interface ClientEnd {
  readonly input: Readable;
  readonly output: Writable;
  readonly errorOutput: Writable;
  /** The last word, after everything that was written; closes the channel. `refusal`: the program never ran. */
  exit(status: ExitStatus, refusal: Refusal | null): void;
  /** Closes it without a word. */
  destroy(): void;
}

/** The program's channel at the target. */
export interface TargetEnd {
  readonly input: Writable;
  readonly output: Readable;
  readonly errorOutput: Readable | null;
  signal(name: string): void;
  resize(window: Window): void;
  destroy(): void;
  /** Both are called at most once; `closed` is the last. */
  onExit(listener: (status: ExitStatus) => void): void;
  onClosed(listener: () => void): void;
}

export interface Window {
  readonly columns: number;
  readonly rows: number;
}

export interface ProgramRequest {
  /** What is recorded and decided on. */
  readonly text: Buffer;
  readonly facts: CommandFacts;
  /** Environment that the client asked for, `NAME=value` separated by NUL; null for none. */
  readonly environment: Buffer | null;
  /** Null: no terminal. */
  readonly window: Window | null;
}

export interface ProgramOptions {
  readonly gate: ConnectionGate;
  readonly client: ClientEnd;
  readonly request: ProgramRequest;
  /** Starts it. Rejects with what the person may be told. */
  readonly open: () => Promise<TargetEnd>;
  readonly inspect: MakeInspection;
  readonly time: Time;
}

/** Bytes that may wait for the record before their sender has to wait. */
const heldBytes = 1024 * 1024;
/** Pieces of typing that are kept for a program that waits for people. */
const mostTyped = 1024;
/** Exit codes of shells for what could not be run. */
const deniedExit = 126;
const interruptedExit = 130;
const lostExit = 255;

export class Program implements Releasable {
  readonly #options: ProgramOptions;
  readonly #gate: ConnectionGate;
  readonly #client: ClientEnd;
  readonly #command: number;
  readonly #toClient: Outlet;
  readonly #errorToClient: Outlet;
  #toTarget: Outlet | null = null;
  #target: TargetEnd | null = null;
  #inspection: Inspection | null = null;
  /** Recorded with what is pending; then it may start. */
  #start: 'no' | 'pending' | 'staged' | 'done' = 'no';
  #window: Window | null;
  #held = false;
  /** While it was held. */
  readonly #typed: Buffer[] = [];
  #clientEnded = false;
  #over = false;
  /** Why the session ends. */
  #told: string | null = null;
  #status: ExitStatus | null = null;
  #last: { status: ExitStatus; refusal: Refusal | null } | null = null;
  #lastStaged = false;
  readonly #settled = Promise.withResolvers<void>();

  constructor(options: ProgramOptions) {
    this.#options = options;
    this.#gate = options.gate;
    this.#client = options.client;
    this.#window = options.request.window;
    this.#command = this.#gate.nextCommand();
    const flow = (): void => this.#flow();
    this.#toClient = new Outlet(options.client.output, flow);
    this.#errorToClient = new Outlet(options.client.errorOutput, flow);
    options.client.input.pause();
    this.#decide();
  }

  /** Its outcome is recorded and its channels are closed, or will not be heard of any more. Never rejects. */
  get closed(): Promise<void> {
    return this.#settled.promise;
  }

  /** The client's signal; while the program waits for people an interrupt withdraws the question. */
  signal(name: string): void {
    if (this.#held && (name === 'INT' || name === 'TERM' || name === 'HUP')) this.#withdraw('cancelled');
    else this.#target?.signal(name);
  }

  resize(told: Window): void {
    if (this.#window === null || this.#over) return;
    const window = readableWindow(told);
    this.#window = window;
    this.#gate.resize(this.#command, window.columns, window.rows);
    this.#target?.resize(window);
    this.#inspection?.resize(window);
    this.#gate.whenRecorded(this);
  }

  /** The client's channel is gone, or the session ends, of which it is `told` why. */
  abandon(why: 'disconnected' | 'session-ended', told: string | null = null): void {
    if (this.#over) return;
    this.#told = told;
    if (this.#held) {
      this.#withdraw(why);
      return;
    }
    this.#target?.destroy();
    this.#finish({ kind: 'cancelled', tag: null, rows: 0, errorCode: why }, null);
  }

  // ---- deciding ----

  get #given(): GivenCommand {
    const { text, facts, environment: parameters } = this.#options.request;
    return { command: this.#command, text, parameters, facts };
  }

  #decide(): void {
    const { text, facts, environment } = this.#options.request;
    const verdict = this.#gate.command(this.#command, text, environment, facts);
    if (verdict.kind !== 'review') {
      this.#decided(verdict);
      return;
    }
    this.#held = true;
    this.#watchForInterrupt();
    this.#gate.review(this.#given, {
      held: (notice) => this.#tell(heldText(notice)),
      decided: (answer) => this.#decided(answer),
    });
  }

  /** A terminal sends Ctrl-C as a byte. What else is typed while people think is not lost: it waits in the stream. */
  #watchForInterrupt(): void {
    if (this.#window === null) return;
    const { input } = this.#client;
    const look = (): void => {
      if (!this.#held) return void input.off('readable', look);
      const chunk: unknown = input.read();
      if (!Buffer.isBuffer(chunk)) return;
      if (chunk.includes(0x03)) this.#withdraw('cancelled');
      else if (this.#typed.length < mostTyped) this.#typed.push(chunk);
    };
    input.on('readable', look);
  }

  #decided(verdict: FinalVerdict): void {
    this.#held = false;
    if (this.#over) return;
    if (verdict.kind === 'deny') {
      const refusal = denial(verdict);
      this.#tell(refusalText(refusal));
      this.#finish({ kind: 'blocked', tag: null, rows: 0, errorCode: 'policy' }, refusal);
      return;
    }
    if (this.#window !== null) this.#gate.resize(this.#command, this.#window.columns, this.#window.rows);
    this.#start = 'pending';
    this.#gate.whenRecorded(this);
  }

  #withdraw(why: 'cancelled' | 'disconnected' | 'session-ended'): void {
    this.#held = false;
    this.#gate.withdraw(this.#command, why);
    this.#finish({ kind: 'cancelled', tag: null, rows: 0, errorCode: why }, withdrawal);
  }

  /** A line of the relay's own, in the record as everything that the client sees. */
  #tell(text: Buffer): void {
    this.#errorToClient.add(this.#gate.errorOutput(this.#command, text));
    this.#gate.whenRecorded(this);
  }

  // ---- running ----

  async #open(): Promise<void> {
    try {
      const target = await this.#options.open();
      if (this.#over) target.destroy();
      else this.#join(target);
    } catch (error) {
      if (!this.#over) this.#fail(error);
    }
  }

  #join(target: TargetEnd): void {
    this.#target = target;
    const toTarget = new Outlet(target.input, () => this.#flow());
    this.#toTarget = toTarget;
    const { gate, client, inspect, time } = this.#options;
    const inspection = inspect({
      gate,
      command: this.#command,
      window: this.#window,
      toTarget: (bytes) => toTarget.add(bytes),
      toClient: (bytes) => this.#toClient.add(bytes),
      errorToClient: (bytes) => this.#errorToClient.add(bytes),
      awake: (work) => this.#guarded(work),
      now: () => time.now(),
      after: (ms, work) => time.after(ms, () => this.#guarded(work)),
    });
    this.#inspection = inspection;
    if (this.#window !== null) target.resize(this.#window);
    target.onExit((status) => (this.#status = status));
    target.onClosed(() => this.#guarded(() => this.#targetClosed()));
    target.output.on('data', (chunk: Buffer) => this.#guarded(() => inspection.fromTarget(chunk)));
    target.errorOutput?.on('data', (chunk: Buffer) => this.#guarded(() => inspection.errorFromTarget(chunk)));
    for (const chunk of this.#typed.splice(0)) this.#guarded(() => inspection.fromClient(chunk));
    client.input.on('data', (chunk: Buffer) => this.#guarded(() => inspection.fromClient(chunk)));
    const ended = (): void =>
      this.#guarded(() => {
        if (this.#clientEnded) return;
        this.#clientEnded = true;
        inspection.clientEnded();
        toTarget.end();
      });
    client.input.on('end', ended);
    if (client.input.readableEnded) ended();
    client.input.resume();
    this.#flow();
  }

  #targetClosed(): void {
    if (this.#over) return;
    const ended = this.#inspection?.targetEnded() ?? null;
    const status = this.#status ?? { signal: 'HUP', coreDumped: false };
    this.#finish(ended ?? outcomeOf(status, this.#status !== null), null);
  }

  /** What is thrown while something is inspected ends this program; the session goes on. */
  #guarded(work: () => void): void {
    if (this.#over) return;
    try {
      work();
      this.#gate.whenRecorded(this);
      this.#flow();
    } catch (error) {
      this.#target?.destroy();
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const refusal = loss(error);
    this.#tell(refusalText(refusal));
    this.#finish({ kind: 'failed', tag: null, rows: 0, errorCode: codeOf(error) }, refusal);
  }

  stage(): void {
    for (const outlet of [this.#toClient, this.#errorToClient, this.#toTarget]) outlet?.stage();
    if (this.#start === 'pending') this.#start = 'staged';
    this.#lastStaged = this.#last !== null;
  }

  release(): void {
    for (const outlet of [this.#toClient, this.#errorToClient, this.#toTarget]) outlet?.release();
    if (this.#start === 'staged' && !this.#over) {
      this.#start = 'done';
      void this.#open();
    }
    if (this.#lastStaged && this.#last !== null) this.#say(this.#last);
    this.#flow();
  }

  /** Back-pressure, both ways: a sender waits while its receiver does, or the record. */
  #flow(): void {
    const target = this.#target;
    if (target === null || this.#over) return;
    const { input } = this.#client;
    const toTarget = this.#toTarget!;
    const clientWaits = toTarget.full || toTarget.bytes > heldBytes || this.#inspection!.blocked;
    if (clientWaits !== input.isPaused()) {
      if (clientWaits) input.pause();
      else input.resume();
    }
    const toClient = [this.#toClient, this.#errorToClient];
    const targetWaits = toClient.some(({ full, bytes }) => full || bytes > heldBytes);
    for (const output of [target.output, target.errorOutput]) {
      if (output === null || targetWaits === output.isPaused()) continue;
      if (targetWaits) output.pause();
      else output.resume();
    }
  }

  // ---- the end ----

  #finish(outcome: Outcome, refusal: Refusal | null): void {
    if (this.#over) return;
    this.#over = true;
    try {
      this.#inspection?.abandoned();
    } catch {
      // It may be what failed: then nothing more of it is delivered, and the end is told all the same.
    }
    if (this.#told !== null) this.#tell(ending(this.#told, this.#window !== null));
    this.#gate.outcome(this.#command, outcome);
    this.#gate.closed(refusal?.kind ?? 'ended');
    this.#last = { status: refusal === null ? (this.#status ?? lost) : exitOf(refusal), refusal };
    this.#gate.whenRecorded(this);
  }

  #say({ status, refusal }: { status: ExitStatus; refusal: Refusal | null }): void {
    this.#last = null;
    this.#client.input.resume(); // what it still sends is dropped, so that its end is seen
    this.#client.exit(status, refusal);
    this.#settled.resolve();
  }
}

const lost: ExitStatus = { code: lostExit };

function exitOf({ kind }: Refusal): ExitStatus {
  if (kind === 'denied') return { code: deniedExit };
  return { code: kind === 'cancelled' ? interruptedExit : lostExit };
}

/** `told`: the target said how it ended, before its channel closed. */
function outcomeOf(status: ExitStatus, told: boolean): Outcome {
  if (!told) return { kind: 'unknown', tag: null, rows: 0, errorCode: null };
  if ('signal' in status)
    return { kind: 'failed', tag: `signal ${status.signal}`, rows: 0, errorCode: `signal ${status.signal}` };
  const tag = `exit ${status.code}`;
  if (status.code === 0) return { kind: 'succeeded', tag, rows: 0, errorCode: null };
  return { kind: 'failed', tag, rows: 0, errorCode: tag };
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
