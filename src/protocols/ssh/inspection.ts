/** What looks at the bytes of a program while they pass: records them, masks them, finds the commands in them. */
import type { ConnectionGate } from '../../gate/gate.ts';
import type { Outcome } from '../../model/outcome.ts';
import type { Window } from './program.ts';

/** Where inspected bytes go: they leave when they are recorded. Bytes are given away. */
export interface InspectionEnds {
  readonly gate: ConnectionGate;
  /** The program's own number. */
  readonly command: number;
  /** Null: no terminal. */
  readonly window: Window | null;
  toTarget(bytes: Buffer): void;
  toClient(bytes: Buffer): void;
  errorToClient(bytes: Buffer): void;
  /** Runs work that comes from outside of a call (a timer, a reviewer), and sends what comes of it. */
  awake(work: () => void): void;
  /** Milliseconds, monotonic. */
  now(): number;
  /** Calls back once, within `awake`; what it returns cancels that. */
  after(ms: number, work: () => void): () => void;
}

/** Time comes from outside. */
export type Time = Pick<InspectionEnds, 'now' | 'after'>;

/** Chunks are given: it may change and keep them. What is thrown ends the program. */
export interface Inspection {
  fromClient(chunk: Buffer): void;
  fromTarget(chunk: Buffer): void;
  errorFromTarget(chunk: Buffer): void;
  /** The client sends no more. */
  clientEnded(): void;
  /** The target has said everything: what is held back goes. The outcome, where it knows it better than the exit status. */
  targetEnded(): Outcome | null;
  /** It is over, in whatever way: every command in it has its outcome, and no timer is left. Idempotent. */
  abandoned(): void;
  resize(window: Window): void;
  /** The client has to wait. */
  readonly blocked: boolean;
}

export type MakeInspection = (ends: InspectionEnds) => Inspection;

/** Everything is recorded as it is: what cannot hold values that a rule looks for, or must not be rewritten (transfers). */
export class PlainInspection implements Inspection {
  readonly #ends: InspectionEnds;
  readonly blocked = false;

  constructor(ends: InspectionEnds) {
    this.#ends = ends;
  }

  fromClient(chunk: Buffer): void {
    this.#ends.gate.input(this.#ends.command, chunk);
    this.#ends.toTarget(chunk);
  }

  fromTarget(chunk: Buffer): void {
    this.#ends.toClient(this.#ends.gate.output(this.#ends.command, chunk));
  }

  errorFromTarget(chunk: Buffer): void {
    this.#ends.errorToClient(this.#ends.gate.errorOutput(this.#ends.command, chunk));
  }

  clientEnded(): void {}

  targetEnded(): null {
    return null;
  }

  abandoned(): void {}

  resize(): void {}
}
