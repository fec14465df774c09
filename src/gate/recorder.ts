/**
 * What the gate needs of a recorder: append in memory, write once per tick, tell when it is on disk. Implemented by
 * `evidence/recording/`. Every method but `sync` and `close` is synchronous; the first failed write makes the
 * recorder refuse everything after it (EvidenceError `recording-failed`), so that nothing unrecorded can follow.
 */
import type { CommandFacts } from '../model/command-facts.ts';
import type { Outcome } from '../model/outcome.ts';
import type { RedactionPlace, RowFindings } from './masking.ts';

export interface ConnectionInfo {
  /** Start-up parameters as the client sent them, names in the client's order; never a password. */
  readonly parameters: Readonly<Record<string, string>>;
  /** What the target says it is, e.g. `15.18`; null when it did not say. */
  readonly serverVersion: string | null;
}

/** A command that was typed into another one (a line of a shell). */
export interface CommandOrigin {
  /** The command that it was typed into. */
  readonly parent: number;
  /** `reconstructed`: read off the terminal's screen. `marked`: told by the shell itself (OSC 133, OSC 633). */
  readonly how: 'reconstructed' | 'marked';
}

/** Stands for a text that is not at hand. */
export interface TextDigest {
  readonly bytes: number;
  readonly sha256: Uint8Array;
}

export interface Recorder {
  connectionOpened(connection: number, info: ConnectionInfo): void;
  connectionClosed(connection: number, reason: string): void;
  /**
   * A prepared statement's text; recorded now, and again on first use in each later segment. `statement` is unique in
   * the session. The recorder copies `text`.
   */
  statement(
    connection: number,
    statement: number,
    text: Uint8Array,
    parameterTypes: readonly number[],
    facts: CommandFacts,
  ): void;
  /** The recorder's own copy of a statement's text, as recorded; of one that is too long to be kept, what it was. */
  statementText(statement: number): Uint8Array | TextDigest;
  /** The statement will not be used again; frees the recorder's copy. Leaves no record. */
  forgetStatement(statement: number): void;
  /**
   * A command about to be forwarded. `text` is its bytes (client encoding), or the id of a recorded statement.
   * `facts`: null when `text` is a statement, whose record has them; for a statement, other than null when it may do more
   * than its text says (SQL may have made another of its name). `review`: the one that decided it, or null.
   * `parameters`: for PostgreSQL the Bind message from the parameter format codes on, verbatim; null when none.
   */
  command(
    connection: number,
    command: number,
    text: Uint8Array | number,
    parameters: Uint8Array | null,
    verdict: 'allow' | 'deny',
    facts: CommandFacts | null,
    review: string | null,
  ): void;
  /** Bytes of a command's input stream (COPY FROM), as the target will get them. */
  input(connection: number, command: number, bytes: Uint8Array): void;
  /** Bytes as they will be delivered to the client: whole or partial protocol messages. `command` 0: of no command. */
  output(connection: number, command: number, bytes: Uint8Array): void;
  /**
   * A value was masked in the output that follows, or (`place.literal`) in the text, parameters or input that follow; the
   * recorder copies `original`, and seals it. `command`: the statement's id where the literal stands in a statement, 0 in
   * start-up parameters.
   */
  redaction(
    connection: number,
    command: number,
    rule: string,
    place: RedactionPlace,
    original: Uint8Array,
  ): void;
  /** As `output`, of a stream of its own: a program's standard error. */
  errorOutput(connection: number, command: number, bytes: Uint8Array): void;
  /** The client's terminal has this many columns and rows now; also at the start of a command that has a terminal. */
  resize(connection: number, command: number, columns: number, rows: number): void;
  /** How the command that follows under this number became known; told only where it is not what the client sent, word for word. */
  origin(connection: number, command: number, origin: CommandOrigin): void;
  /** As `redaction`, of all that was found in some rows. */
  rowRedactions(connection: number, command: number, found: RowFindings): void;
  outcome(connection: number, command: number, outcome: Outcome): void;

  /** Writes all that was appended, with one write(2). @throws EvidenceError `recording-failed` */
  flush(): void;
  /** Resolves when everything flushed before the call is on disk; calls in flight share one fdatasync. */
  sync(): Promise<void>;
}
