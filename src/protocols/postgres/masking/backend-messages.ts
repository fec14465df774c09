/**
 * Masking inside PostgreSQL's messages (https://www.postgresql.org/docs/current/protocol-message-formats.html): finds
 * where values stand in what a target sends, has `gate/masking.ts` decide what is sensitive in them, and keeps what
 * replaces it valid for its type. Read in this order: this table, `types`, `columns`, `rows`, `values`, `copy-rows`,
 * `text-messages`, `large-message`, `result-masking` (which the backend calls), `catalog`.
 *
 * Deliberately does not follow values through expressions: what SQL reverses, cuts or encodes is another value. A column
 * keeps its name through aliases, joins, views and partitions, because the target says where it comes from.
 *
 * Invariant: a byte of a masked session is delivered only after it was walked here; what cannot be walked ends the
 * connection or is refused, and is never passed.
 */

export interface BackendMessage {
  readonly name: string;
  readonly treatment: 'masked' | 'none possible' | 'refused';
  /** Which parts are masked, or why there is nothing to mask. */
  readonly what: string;
}

/** Every message that a PostgreSQL server can send after start-up or during it, by type byte (letters repeat nowhere). */
export const backendMessages: Readonly<Record<string, BackendMessage>> = {
  '1': { name: 'ParseComplete', treatment: 'none possible', what: 'no body' },
  '2': { name: 'BindComplete', treatment: 'none possible', what: 'no body' },
  '3': { name: 'CloseComplete', treatment: 'none possible', what: 'no body' },
  A: { name: 'NotificationResponse', treatment: 'masked', what: 'channel and payload' },
  C: { name: 'CommandComplete', treatment: 'none possible', what: 'a fixed word and counts' },
  D: { name: 'DataRow', treatment: 'masked', what: 'every value, text and binary' },
  E: { name: 'ErrorResponse', treatment: 'masked', what: 'every field that is text' },
  G: { name: 'CopyInResponse', treatment: 'none possible', what: 'format codes' },
  H: { name: 'CopyOutResponse', treatment: 'none possible', what: 'format codes' },
  I: { name: 'EmptyQueryResponse', treatment: 'none possible', what: 'no body' },
  K: {
    name: 'BackendKeyData',
    treatment: 'refused',
    what: 'only at start-up, where the relay sends its own',
  },
  N: { name: 'NoticeResponse', treatment: 'masked', what: 'every field that is text' },
  R: {
    name: 'Authentication',
    treatment: 'refused',
    what: 'only at start-up, where the relay sends its own',
  },
  S: { name: 'ParameterStatus', treatment: 'masked', what: 'the value' },
  T: { name: 'RowDescription', treatment: 'masked', what: 'column names' },
  V: { name: 'FunctionCallResponse', treatment: 'masked', what: 'the value' },
  W: { name: 'CopyBothResponse', treatment: 'refused', what: 'begins a replication stream' },
  Z: { name: 'ReadyForQuery', treatment: 'none possible', what: 'the status of the transaction' },
  c: { name: 'CopyDone', treatment: 'none possible', what: 'no body' },
  d: { name: 'CopyData', treatment: 'masked', what: 'every value: text, CSV and binary' },
  n: { name: 'NoData', treatment: 'none possible', what: 'no body' },
  s: { name: 'PortalSuspended', treatment: 'none possible', what: 'no body' },
  t: { name: 'ParameterDescription', treatment: 'none possible', what: 'type OIDs' },
  v: {
    name: 'NegotiateProtocolVersion',
    treatment: 'refused',
    what: 'only at start-up, where the relay sends its own',
  },
};
