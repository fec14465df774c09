/** What a session needs of the protocol of its target; one implementation for each protocol hoop speaks. */
import type { ByteChannel } from '../../bytes/channel.ts';
import type { ConnectionGate } from '../../gate/gate.ts';
import type { MaskedRecorderOptions } from '../../gate/masked-recorder.ts';
import type { SessionEnd } from '../../model/outcome.ts';
import type { AskedFor } from '../../protocols/ssh/asked-program.ts';
import type { RelayedProgram } from '../../protocols/ssh/exec.ts';
import type { ClientEnd } from '../../protocols/ssh/program.ts';

export interface SessionProtocol {
  readonly name: 'postgres' | 'ssh';
  /** What an SSH client has to know of the relay's end: its host key, `ssh-ed25519 AAAA…`; null for other protocols. */
  readonly ssh: { readonly hostKey: string } | null;
  /** How literals are found in what a client sends, so that they are masked in the record. */
  readonly literals: Pick<MaskedRecorderOptions, 'values' | 'decimalOf' | 'input'>;
  /**
   * Reaches the target once with the relay's credential, and says what it is (`PostgreSQL 15.18`).
   * @throws RelayError `target-unreachable`, without the credential and without the target's address
   */
  probe(): Promise<string>;
  /**
   * Serves one connection of the client; never throws. `gate` makes a view of the session's gate: one for each stream of
   * commands, of which a connection may carry several (the channels of SSH).
   */
  serve(client: ByteChannel, gate: () => ConnectionGate): ServedConnection;
  /** Runs one program for a client that does not speak the protocol; null: its targets run none. Never throws. */
  readonly exec: ((client: ClientEnd, asked: AskedFor, gate: ConnectionGate) => RelayedProgram) | null;
}

export interface ServedConnection {
  /** Ends it with the protocol's own error that says why. */
  fail(why: SessionEnd): void;
  /** Resolves when both sides are closed and every command has its outcome. Never rejects. */
  readonly closed: Promise<void>;
}
