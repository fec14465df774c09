/**
 * How a command ended, as the record says it. `cancelled`: it was stopped, skipped or cut off; with an error code of the
 * connection's end (PostgreSQL 08006, 57P01) it had been forwarded, and whether it took effect is not known. `unknown`: it ran,
 * and nobody said how it ended (a line of a shell whose prompt tells no exit codes).
 */
export type OutcomeKind = 'succeeded' | 'failed' | 'blocked' | 'cancelled' | 'unknown';

export interface Outcome {
  readonly kind: OutcomeKind;
  /** The protocol's own completion text (`SELECT 3`); several of one command joined with `; `; null when none came. */
  readonly tag: string | null;
  /** Rows delivered to the client. */
  readonly rows: number;
  /** The protocol's error code (SQLSTATE, exit status) or hoop's own; null on success. */
  readonly errorCode: string | null;
}

/** How a session ended, in `session.closed`. */
export type SessionEnd =
  | 'ended' // the person closed it
  | 'deadline' // wall-clock deadline reached
  | 'killed' // somebody with the right to stopped it
  | 'access-ended' // login revoked, expired unrenewed, user removed, or no longer allowed by policy
  | 'disconnected' // the tunnel went away and did not return
  | 'target-unreachable' // the target did not answer, or refused the relay's credential
  | 'relay-stopped' // drain
  | 'evidence-failed' // recorder could not write
  | 'masking-failed' // what a rule names could have been shown
  | 'interrupted'; // the relay was killed; said by recovery
