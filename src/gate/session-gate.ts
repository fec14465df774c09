/**
 * The gate of one session: numbers its connections and commands, decides, records, and releases in the order that
 * `gate.ts` states. It does no I/O of its own; the recorder that it is given does.
 */
import type { ConnectionGate, Releasable, Verdict } from './gate.ts';
import type { ConnectionInfo, Recorder } from './recorder.ts';
import type { Outcome } from '../model/outcome.ts';

export interface SessionGateOptions {
  readonly recorder: Recorder;
  /** `disk`: nothing is released before it is on disk. `process`: before it is in the file (survives a killed relay). */
  readonly durability: 'process' | 'disk';
  /** Runs `flush` after the current event's work; `setImmediate` in the relay. */
  readonly schedule: (flush: () => void) => void;
  /** Recording failed: end the session. Called once; after it nothing is released. */
  readonly onFailure: (error: Error) => void;
  /** Runs after each release, when all connections have written: the tunnel sends the tick's frames. */
  readonly onReleased: () => void;
}

export interface GateTotals {
  readonly connections: number;
  readonly commands: number;
}

const allow: Verdict = { kind: 'allow' };

export class SessionGate {
  readonly #options: SessionGateOptions;
  #connections = 0;
  #commands = 0;
  #statements = 0;
  /** Asked for release since the last flush, each once. */
  #waiting: Releasable[] = [];
  /** Staged, and waiting for the disk. Empty under `durability: process`. */
  #staged: Releasable[] = [];
  readonly #queued = new Set<Releasable>();
  #scheduled = false;
  #syncing = false;
  #failed = false;

  constructor(options: SessionGateOptions) {
    this.#options = options;
  }

  get totals(): GateTotals {
    return { connections: this.#connections, commands: this.#commands };
  }

  /** A new connection's view of the gate; its number is unique in the session, from 1. */
  connection(): ConnectionGate {
    const number = ++this.#connections;
    const recorder = this.#options.recorder;
    return {
      opened: (info: ConnectionInfo) => this.#record(() => recorder.connectionOpened(number, info)),
      statement: (text, parameterTypes) => {
        const statement = ++this.#statements;
        this.#record(() => recorder.statement(number, statement, text, parameterTypes));
        return statement;
      },
      forgetStatement: (statement) => recorder.forgetStatement(statement),
      nextCommand: () => ++this.#commands,
      command: (command, text, parameters) => {
        // Policy on single commands is decided here: the verdict goes into the record before anything is forwarded.
        this.#record(() => recorder.command(number, command, text, parameters, 'allow'));
        return allow;
      },
      input: (command, bytes) => this.#record(() => recorder.input(number, command, bytes)),
      output: (command, bytes) => {
        this.#record(() => recorder.output(number, command, bytes));
        return bytes;
      },
      outcome: (command, outcome: Outcome) => this.#record(() => recorder.outcome(number, command, outcome)),
      whenRecorded: (releasable) => this.#whenRecorded(releasable),
      closed: (reason) => this.#record(() => recorder.connectionClosed(number, reason)),
    };
  }

  /**
   * Ends the tick: one write for all connections, then the releases. Called by the schedule, or earlier by whoever
   * knows that the tick's work is done (the tunnel, after a batch of frames).
   */
  flush(): void {
    this.#scheduled = false;
    if (this.#failed || this.#syncing || this.#waiting.length === 0) return;
    try {
      this.#options.recorder.flush();
    } catch (error) {
      this.#fail(error);
      return;
    }
    const staged = this.#waiting;
    this.#waiting = this.#staged;
    this.#staged = staged;
    this.#queued.clear();
    for (const releasable of staged) releasable.stage();
    if (this.#options.durability === 'process') this.#release();
    else this.#releaseWhenOnDisk();
  }

  /** No release follows; used when the session ends for another reason than the recorder's. */
  stop(): void {
    this.#failed = true;
    this.#waiting = [];
    this.#staged = [];
    this.#queued.clear();
  }

  #whenRecorded(releasable: Releasable): void {
    if (this.#failed || this.#queued.has(releasable)) return;
    this.#queued.add(releasable);
    this.#waiting.push(releasable);
    if (this.#scheduled || this.#syncing) return;
    this.#scheduled = true;
    this.#options.schedule(() => this.flush());
  }

  #release(): void {
    const staged = this.#staged;
    for (let i = 0; i < staged.length && !this.#failed; i++) staged[i]!.release();
    staged.length = 0;
    this.#options.onReleased();
  }

  #releaseWhenOnDisk(): void {
    this.#syncing = true;
    this.#options.recorder.sync().then(
      () => {
        this.#syncing = false;
        if (this.#failed) return;
        this.#release();
        // What arrived meanwhile forms the next group at once.
        this.flush();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #record(append: () => void): void {
    if (this.#failed) return;
    try {
      append();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.stop();
    this.#options.onFailure(error instanceof Error ? error : new Error(String(error)));
  }
}
