/**
 * The gate of one session: numbers its connections and commands, decides, records, and releases in the order that
 * `gate.ts` states. It does no I/O of its own; the recorder that it is given does.
 */
import type { CommandFacts } from '../model/command-facts.ts';
import type { OutcomeKind } from '../model/outcome.ts';
import type { ExecuteDecision } from '../policy/execute-decision.ts';
import type { ConnectionGate, Releasable } from './gate.ts';
import { GatedConnection } from './gated-connection.ts';
import type { MaskedRecorder } from './masked-recorder.ts';
import type { Masking } from './masking.ts';
import type { Recorder, TextDigest } from './recorder.ts';
import type { Reviews } from './reviews.ts';

/** A command that policy forbids, for the log. */
export interface BlockedCommand {
  readonly connection: number;
  readonly command: number;
  /** As recorded. Valid during the call. */
  readonly text: Uint8Array | TextDigest;
  readonly policies: readonly string[];
  /** Policies that failed to evaluate, or `engine`: then it is denied whatever the others say. */
  readonly errors: readonly string[];
}

export interface SessionGateOptions {
  readonly recorder: Recorder;
  /** What the recorder makes of texts and parameters, for those who quote them; null: it records them as they are. */
  readonly quoting: Pick<MaskedRecorder, 'text' | 'parameters'> | null;
  /** What policy says now; the same object for the same facts as long as nothing changes. Never throws. */
  readonly decide: (facts: CommandFacts) => ExecuteDecision;
  /** Null: nobody can be asked, so that what needs a review is denied. */
  readonly reviews: Reviews | null;
  /** Resolves when `command.blocked` is durable. */
  readonly blocked: (command: BlockedCommand) => Promise<void>;
  /** Null: nothing is masked. */
  readonly masking: Masking | null;
  /** `disk`: nothing is released before it is on disk. `process`: before it is in the file (survives a killed relay). */
  readonly durability: 'process' | 'disk';
  readonly tally: GateTally;
  /** Milliseconds, monotonic. */
  readonly nowMs: () => number;
  /** Runs `flush` after the current event's work; `setImmediate` in the relay. */
  readonly schedule: (flush: () => void) => void;
  /** Recording failed: end the session. Called once; after it nothing is released. */
  readonly onFailure: (error: Error) => void;
  /** Masking failed: end the session, whose last words are recorded and released. */
  readonly onMaskingFailure: (error: Error) => void;
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

  get options(): SessionGateOptions {
    return this.#options;
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
    if (!this.#syncing) this.#soon();
  }

  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.options.schedule(this.#flush);
  }

  /** It asked in this tick, and must wait for something else first; it asks again then. */
  takeBack(releasable: Releasable): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting !== releasable);
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
    this.#options.onFailure(asError(error));
  }

  maskingFailed(error: unknown): void {
    if (!this.#stopped) this.#options.onMaskingFailure(asError(error));
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
        // What arrived meanwhile forms the next group, with what can be read by then: fewer syncs, and fuller ones.
        if (this.#waiting.length > 0) this.#soon();
      },
      (error: unknown) => this.fail(error),
    );
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
