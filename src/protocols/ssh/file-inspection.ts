/** File transfers: the exchanges of `sftp/` and `scp/` find each file in them and decide on it; contents go by unchanged. */
import type { Inspection, InspectionEnds } from './inspection.ts';

/** What `sftp/` and `scp/` have in common. */
export interface FileExchange {
  fromClient(chunk: Buffer): void;
  fromTarget(chunk: Buffer): void;
  /** Every file has its outcome. Idempotent. */
  ended(why?: 'disconnected' | 'session-ended'): void;
  readonly blocked: boolean;
}

export class FileInspection implements Inspection {
  readonly #exchange: FileExchange;
  readonly #ends: InspectionEnds;

  constructor(ends: InspectionEnds, exchange: FileExchange) {
    this.#ends = ends;
    this.#exchange = exchange;
  }

  get blocked(): boolean {
    return this.#exchange.blocked;
  }

  fromClient(chunk: Buffer): void {
    this.#exchange.fromClient(chunk);
  }

  fromTarget(chunk: Buffer): void {
    this.#exchange.fromTarget(chunk);
  }

  errorFromTarget(chunk: Buffer): void {
    this.#ends.errorToClient(this.#ends.gate.errorOutput(this.#ends.command, chunk));
  }

  clientEnded(): void {}

  targetEnded(): null {
    this.#exchange.ended();
    return null;
  }

  abandoned(): void {
    this.#exchange.ended();
  }

  resize(): void {}
}
