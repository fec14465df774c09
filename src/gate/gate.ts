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
import type { CommandFacts } from '../model/command-facts.ts';
import type { Outcome } from '../model/outcome.ts';
import type { Masking, RedactionPlace, RowFindings } from './masking.ts';
import type { CommandOrigin, ConnectionInfo } from './recorder.ts';

/** Something a protocol forwards or delivers after it has been recorded. Always `stage` then `release`, in turn. */
export interface Releasable {
  /** Moves the pending list to the staged list (empty at this moment). Sends nothing. */
  stage(): void;
  /** Sends the staged list, one write per direction, and empties it. */
  release(): void;
}

/** `deny` carries what the protocol's own error should say; never the policy's text beyond its id. */
export type FinalVerdict =
  | { readonly kind: 'allow' }
  | { readonly kind: 'deny'; readonly policies: readonly string[]; readonly hint: string | null };

/** `review`: people have to be asked first, with `review`. Nothing was recorded yet, and nothing may be forwarded. */
export type Verdict = FinalVerdict | { readonly kind: 'review' };

/** What the client is told while it waits. */
export interface ReviewNotice {
  /** The review's id, for `hoop approve`. */
  readonly review: string;
  /** Who may approve: `dba-leads (1)`, `security (2)`. */
  readonly needed: readonly string[];
  readonly expiresAtMs: number;
}

/** Hears of a held command, in this order; never from within a call of the gate. After `withdraw` nothing is heard. */
export interface ReviewListener {
  /** The request is on disk: tell the client now. Not called when nobody can be asked. */
  held(notice: ReviewNotice): void;
  /** The last word; on `allow` the command has been recorded and may go, as after `command`. */
  decided(verdict: FinalVerdict): void;
}

/** A command as `ConnectionGate.command` was given it. The bytes do not change until it is decided or withdrawn. */
export interface GivenCommand {
  readonly command: number;
  readonly text: Uint8Array | number;
  readonly parameters: Uint8Array | null;
  readonly facts: CommandFacts | null;
}

/** One connection's view of its session's gate. */
export interface ConnectionGate {
  /** The target accepted the connection; before this only `failed` and `closed` may be called. */
  opened(info: ConnectionInfo): void;
  /** Null: nothing is masked in this session. */
  readonly masking: Masking | null;
  /** A text that later commands refer to (PostgreSQL Parse). Returns its id, unique in the session. */
  statement(text: Uint8Array, parameterTypes: readonly number[], facts: CommandFacts): number;
  /** As `statement` was told them. */
  factsOf(statement: number): CommandFacts;
  forgetStatement(statement: number): void;
  /** A fresh command id, unique in the session, from 1. */
  nextCommand(): number;
  /**
   * Decides and, unless the verdict is `review`, records one command; the caller forwards it only on `allow`, and only
   * from `release`. After `deny` nothing of this connection is released before the log has the denial. `facts`: null when
   * `text` is the id of a statement that does what its own facts say.
   */
  command(
    command: number,
    text: Uint8Array | number,
    parameters: Uint8Array | null,
    facts: CommandFacts | null,
  ): Verdict;
  /**
   * What `command` would answer to these facts now; records nothing. For questions that come by the hundred and change
   * nothing (SFTP's STAT): only one that is denied becomes a command.
   */
  verdictOn(facts: CommandFacts): Verdict['kind'];
  /**
   * Asks people about the command that just got the verdict `review`; one at a time. Call it when everything before the
   * command has been answered, so that nobody is asked about one that will not be carried out.
   */
  review(given: GivenCommand, listener: ReviewListener): void;
  /** Records a command that got the verdict `review`, and that would not be carried out whatever people say. */
  withheld(given: GivenCommand): void;
  /** The client no longer waits for a held command: it is recorded now, and its outcome is the one the caller reports. */
  withdraw(command: number, why: 'cancelled' | 'disconnected' | 'session-ended'): void;
  input(command: number, bytes: Uint8Array): void;
  /** Returns what may be delivered (may be `bytes` itself, changed in place). `command` 0: belongs to no command. */
  output(command: number, bytes: Buffer): Buffer;
  /** As `output`, of a program's standard error. */
  errorOutput(command: number, bytes: Buffer): Buffer;
  /** The client's terminal has this size now; also at the start of a command that has a terminal. */
  resize(command: number, columns: number, rows: number): void;
  /** Before `command` of the same number: it was not sent, but typed into another. */
  origin(command: number, origin: CommandOrigin): void;
  /** A value was masked in what `output` gets next. `bytes[start, end)` is the original; it is copied. */
  redacted(
    command: number,
    rule: number,
    place: RedactionPlace,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
  /** All of `found` were masked, as `redacted`; before the first is changed. In bulk: no object for a redaction. */
  redactedRows(command: number, found: RowFindings): void;
  outcome(command: number, outcome: Outcome): void;
  /**
   * Masking failed, so that nobody knows what its value or stream holds: nothing more of that may be delivered. The session
   * ends; what was recorded before is still released, and what its connections say last.
   */
  maskingFailed(error: unknown): void;
  /** See the opening comment. Asking twice before the release is one release. */
  whenRecorded(releasable: Releasable): void;
  /** The connection is over; nothing follows. `reason` is a literal code, for the record. */
  closed(reason: string): void;
}
