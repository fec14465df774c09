/**
 * The narrow waist. Every protocol calls these verbs and nothing may bypass them. The order, always:
 *
 *   client → target:  command | input  → decide → record → (written) → release → forward
 *   target → client:  output | outcome → mask   → record → (written) → release → deliver
 *
 * A protocol hands bytes to the gate, keeps what it may forward or deliver in a pending list of its own, and calls
 * `whenRecorded(this)`. At the end of the tick the gate writes the record once for all connections and calls `stage()`:
 * what is pending now is in the segment's file. Then, at once or (under `durability: disk`) when it is on disk, it calls
 * `release()`: what was staged may go. What became pending in between waits for its own turn. When recording fails
 * neither is called again: the session ends instead.
 */
import type { ConnectionInfo } from './recorder.ts';
import type { Outcome } from '../model/outcome.ts';

/** Something a protocol forwards or delivers after it has been recorded. Always `stage` then `release`, in turn. */
export interface Releasable {
  /** Moves the pending list to the staged list (empty at this moment). Sends nothing. */
  stage(): void;
  /** Sends the staged list, one write per direction, and empties it. */
  release(): void;
}

/** `deny` carries what the protocol's own error should say; never the policy's text beyond its id. */
export type Verdict =
  | { readonly kind: 'allow' }
  | { readonly kind: 'deny'; readonly policies: readonly string[]; readonly hint: string | null };

/** One connection's view of its session's gate. */
export interface ConnectionGate {
  /** The target accepted the connection; before this only `failed` and `closed` may be called. */
  opened(info: ConnectionInfo): void;
  /** A text that later commands refer to (PostgreSQL Parse). Returns its id, unique in the session. */
  statement(text: Uint8Array, parameterTypes: readonly number[]): number;
  forgetStatement(statement: number): void;
  /** A fresh command id, unique in the session, from 1. */
  nextCommand(): number;
  /** Decides and records one command; the caller forwards it only on `allow`, and only from `release`. */
  command(command: number, text: Uint8Array | number, parameters: Uint8Array | null): Verdict;
  input(command: number, bytes: Uint8Array): void;
  /** Returns what may be delivered (may be `bytes` itself, changed in place). `command` 0: belongs to no command. */
  output(command: number, bytes: Buffer): Buffer;
  outcome(command: number, outcome: Outcome): void;
  /** See the opening comment. Asking twice before the release is one release. */
  whenRecorded(releasable: Releasable): void;
  /** The connection is over; nothing follows. `reason` is a literal code, for the record. */
  closed(reason: string): void;
}
