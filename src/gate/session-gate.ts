/**
 * The gate of one session: numbers its connections and commands, decides, records, and releases in the order that
 * `gate.ts` states. It does no I/O of its own; the recorder that it is given does.
 */
import type { CommandFacts } from '../model/command-facts.ts';
import type { ConnectionGate, Releasable, ReviewListener, Verdict } from './gate.ts';
import type { Masking, RedactionPlace } from './masking.ts';
import type { ConnectionInfo, Recorder } from './recorder.ts';
import type { Outcome, OutcomeKind } from '../model/outcome.ts';

export interface SessionGateOptions {
  readonly recorder: Recorder;
  /** `disk`: nothing is released before it is on disk. `process`: before it is in the file (survives a killed relay). */
  readonly durability: 'process' | 'disk';
  readonly tally: GateTally;
  /** Milliseconds, monotonic. */
  readonly nowMs: () => number;
  /** Runs `flush` after the current event's work; `setImmediate` in the relay. */
  readonly schedule: (flush: () => void) => void;
  /** Recording failed: end the session. Called once; after it nothing is released. */
  readonly onFailure: (error: Error) => void;
  /** Runs after each release, when all connections have written: the tunnel sends the tick's frames. */
  readonly onReleased: () => void;
}

/** Sums over all sessions of a relay, incremented in place. */
export interface GateTally {
  readonly commands: Record<OutcomeKind, number>;
  bytesToClient: number;
  bytesToTarget: number;
  recorderFlushes: number;
  recorderFlushSeconds: number;
}

export interface GateTotals {
  readonly connections: number;
  readonly commands: number;
}

const allow: Verdict = { kind: 'allow' };
const none: readonly Releasable[] = [];

export class SessionGate {
  readonly #options: SessionGateOptions;
  #connections = 0;
  #commands = 0;
  #statements = 0;
  /** Asked for release since the last flush, each once. */
  #waiting: Releasable[] = [];
  /** Staged, and waiting for the disk. Empty between ticks under `durability: process`. */
  #staged: readonly Releasable[] = none;
  #tick = 0;
  readonly #flush = (): void => this.flush();
  #scheduled = false;
  #syncing = false;
  #stopped = false;

  constructor(options: SessionGateOptions) {
    this.#options = options;
  }

  get recorder(): Recorder {
    return this.#options.recorder;
  }

  get tally(): GateTally {
    return this.#options.tally;
  }

  get totals(): GateTotals {
    return { connections: this.#connections, commands: this.#commands };
  }

  /** A new connection's view of the gate; its number is unique in the session, from 1. */
  connection(): ConnectionGate {
    return new GatedConnection(this, ++this.#connections);
  }

  nextCommand(): number {
    return ++this.#commands;
  }

  nextStatement(): number {
    return ++this.#statements;
  }

  /** Counts flushes: what asked since the last one need not ask again. */
  get tick(): number {
    return this.#tick;
  }

  /** `again`: its connection has asked since the last flush, perhaps for another. */
  whenRecorded(releasable: Releasable, again: boolean): void {
    if (this.#stopped || (again && this.#waiting.includes(releasable))) return;
    this.#waiting.push(releasable);
    if (this.#scheduled || this.#syncing) return;
    this.#scheduled = true;
    this.#options.schedule(this.#flush);
  }

  /**
   * Ends the tick: one write for all connections, then the releases. Called by the schedule, or earlier by whoever
   * knows that the tick's work is done (the tunnel, after a batch of frames).
   */
  flush(): void {
    this.#scheduled = false;
    if (this.#stopped || this.#syncing || this.#waiting.length === 0) return;
    const { tally, nowMs } = this.#options;
    const startedMs = nowMs();
    try {
      this.recorder.flush();
    } catch (error) {
      this.fail(error);
      return;
    }
    tally.recorderFlushes++;
    tally.recorderFlushSeconds += (nowMs() - startedMs) / 1000;
    const staged = this.#waiting;
    this.#waiting = [];
    this.#staged = staged;
    this.#tick++;
    for (const releasable of staged) releasable.stage();
    if (this.#options.durability === 'process') this.#release();
    else this.#releaseWhenOnDisk();
  }

  /** No release follows; for a session that ends. */
  stop(): void {
    this.#stopped = true;
    this.#waiting = [];
    this.#staged = none;
  }

  /** Anything thrown inside the gate ends the session: what could not be recorded is not passed on. */
  fail(error: unknown): void {
    if (this.#stopped) return;
    this.stop();
    this.#options.onFailure(error instanceof Error ? error : new Error(String(error)));
  }

  #release(): void {
    const staged = this.#staged;
    this.#staged = none;
    for (let i = 0; i < staged.length && !this.#stopped; i++) staged[i]!.release();
    this.#options.onReleased();
  }

  #releaseWhenOnDisk(): void {
    this.#syncing = true;
    this.recorder.sync().then(
      () => {
        this.#syncing = false;
        if (this.#stopped) return;
        this.#release();
        // What arrived meanwhile forms the next group at once.
        this.flush();
      },
      (error: unknown) => this.fail(error),
    );
  }
}

class GatedConnection implements ConnectionGate {
  readonly masking: Masking | null = null;
  readonly #session: SessionGate;
  readonly #recorder: Recorder;
  readonly #tally: GateTally;
  readonly #number: number;
  /** Who asked for release last, and when. */
  #asked: Releasable | null = null;
  #askedTick = -1;

  constructor(session: SessionGate, number: number) {
    this.#session = session;
    this.#recorder = session.recorder;
    this.#tally = session.tally;
    this.#number = number;
  }

  opened(info: ConnectionInfo): void {
    try {
      this.#recorder.connectionOpened(this.#number, info);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  statement(text: Uint8Array, parameterTypes: readonly number[], facts: CommandFacts): number {
    const statement = this.#session.nextStatement();
    try {
      this.#recorder.statement(this.#number, statement, text, parameterTypes, facts);
    } catch (error) {
      this.#session.fail(error);
    }
    return statement;
  }

  forgetStatement(statement: number): void {
    this.#recorder.forgetStatement(statement);
  }

  nextCommand(): number {
    return this.#session.nextCommand();
  }

  /** Policy on single commands is decided here, before the record: the record holds the verdict. */
  command(
    command: number,
    text: Uint8Array | number,
    parameters: Uint8Array | null,
    facts: CommandFacts | null,
    _listener: ReviewListener,
  ): Verdict {
    if (typeof text !== 'number') this.#tally.bytesToTarget += text.length;
    if (parameters !== null) this.#tally.bytesToTarget += parameters.length;
    try {
      this.#recorder.command(this.#number, command, text, parameters, 'allow', facts, null);
    } catch (error) {
      this.#session.fail(error);
    }
    return allow;
  }

  withdraw(_command: number, _why: 'cancelled' | 'disconnected' | 'session-ended'): void {}

  redacted(
    command: number,
    rule: number,
    place: RedactionPlace,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    try {
      this.#recorder.redaction(
        this.#number,
        command,
        this.masking!.ruleName(rule),
        place,
        bytes.subarray(start, end),
      );
    } catch (error) {
      this.#session.fail(error);
    }
  }

  input(command: number, bytes: Uint8Array): void {
    this.#tally.bytesToTarget += bytes.length;
    try {
      this.#recorder.input(this.#number, command, bytes);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  output(command: number, bytes: Buffer): Buffer {
    this.#tally.bytesToClient += bytes.length;
    try {
      this.#recorder.output(this.#number, command, bytes);
    } catch (error) {
      this.#session.fail(error);
    }
    return bytes;
  }

  outcome(command: number, outcome: Outcome): void {
    this.#tally.commands[outcome.kind]++;
    try {
      this.#recorder.outcome(this.#number, command, outcome);
    } catch (error) {
      this.#session.fail(error);
    }
  }

  whenRecorded(releasable: Releasable): void {
    const { tick } = this.#session;
    const again = this.#askedTick === tick;
    if (again && this.#asked === releasable) return;
    this.#asked = releasable;
    this.#askedTick = tick;
    this.#session.whenRecorded(releasable, again);
  }

  closed(reason: string): void {
    try {
      this.#recorder.connectionClosed(this.#number, reason);
    } catch (error) {
      this.#session.fail(error);
    }
  }
}
