/**
 * Failures of this protocol: for the program a literal code, for the peer an SQLSTATE
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html). This is the only place that pairs the two.
 * Nothing here ever holds user data or the relay's credential.
 */
import { BytesError } from '../../bytes/bounded-reader.ts';
import { HoopError } from '../../errors.ts';

export type PostgresErrorCode =
  | 'postgres-malformed-message' // bytes that are no message, or a message that ends too early
  | 'postgres-unexpected-message' // a message that is not legal in this phase
  | 'postgres-message-too-large'
  | 'postgres-unsupported-protocol' // a version other than 3.x, or TLS without asking first
  | 'postgres-replication-refused'
  | 'postgres-role-refused' // a client asks for a role before policy can decide about it
  | 'postgres-unknown-database'
  | 'postgres-connection-lost' // the target went away
  | 'postgres-client-gone' // the client went away before it was served
  | 'postgres-target-unreachable' // it could not be dialled, or its TLS did not verify
  | 'postgres-tls-refused' // the target offers no TLS where it is required
  | 'postgres-authentication-refused' // the target does not accept the relay's credential
  | 'postgres-authentication-unsupported' // the target asks for a method that the relay does not offer
  | 'postgres-authentication-forged' // the target could not prove that it knows the credential
  | 'postgres-target-refused' // the target refused the connection for another reason
  | 'postgres-masking-refused' // masking cannot tell what it would deliver
  | 'postgres-ended'; // the session ended this connection

const sqlstates: Readonly<Record<PostgresErrorCode, string>> = {
  'postgres-malformed-message': '08P01',
  'postgres-unexpected-message': '08P01',
  'postgres-message-too-large': '54000',
  'postgres-unsupported-protocol': '0A000',
  'postgres-replication-refused': '0A000',
  'postgres-role-refused': '42501',
  'postgres-unknown-database': '3D000',
  'postgres-connection-lost': '08006',
  'postgres-client-gone': '08006',
  'postgres-target-unreachable': '08001',
  'postgres-tls-refused': '08001',
  'postgres-authentication-refused': '08004',
  'postgres-authentication-unsupported': '08004',
  'postgres-authentication-forged': '08004',
  'postgres-target-refused': '08004',
  'postgres-masking-refused': '42501',
  'postgres-ended': '57P01',
};

/** SQLSTATE of a denial by policy (`insufficient_privilege`). */
export const deniedSqlstate = '42501';
/** SQLSTATE of a message over its limit (`program_limit_exceeded`). */
export const limitSqlstate = '54000';
/** SQLSTATE of a command that was cancelled on request (`query_canceled`). */
export const cancelledSqlstate = '57014';

export class PostgresError extends HoopError<PostgresErrorCode> {
  /** What the peer is told instead of the code's own SQLSTATE: one that the target itself gave. */
  readonly sqlstateOfTarget: string | null;

  constructor(
    code: PostgresErrorCode,
    message: string,
    options: { hint?: string; cause?: unknown; sqlstate?: string } = {},
  ) {
    super(code, message, options);
    this.sqlstateOfTarget = options.sqlstate ?? null;
  }

  get sqlstate(): string {
    return this.sqlstateOfTarget ?? sqlstates[this.code];
  }
}

/** What a peer is told: never a stack, never another module's text. */
export interface PeerError {
  readonly sqlstate: string;
  readonly message: string;
  readonly hint: string | null;
  /** Policies that decided, for the DETAIL field; empty when none did. */
  readonly policies?: readonly string[];
}

/** Translates any failure into what the peer may read. */
export function peerError(error: unknown): PeerError {
  if (error instanceof PostgresError) {
    return { sqlstate: error.sqlstate, message: error.message, hint: error.hint ?? null };
  }
  if (error instanceof BytesError) return { sqlstate: '08P01', message: error.message, hint: null };
  return { sqlstate: 'XX000', message: 'the relay failed while it served this connection', hint: null };
}
