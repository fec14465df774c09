/**
 * What the data path needs of masking; implemented by `masking/`, reached through `ConnectionGate.masking`. Interfaces
 * only. A protocol knows where values stand and what keeps them valid; masking knows what is sensitive and what to put
 * in its place. One object serves one session; its `findings` are overwritten by the next scan of any kind.
 */

/** How a value is written, so that what replaces it stays valid. */
export type ValueKind =
  | 'text' // free text: any printable ASCII may stand in it
  | 'digits' // a number written in decimal: only digits may change, and only to digits; stays a JSON number
  | 'hex' // hexadecimal with whatever separates it (uuid, macaddr): only hex digits may change, and only to hex digits
  | 'opaque'; // nothing is known: bytes are replaced by zero bytes

export interface ColumnSource {
  /** Output name, as the client sees it. */
  readonly name: string;
  /** Schema, table and column as the target's catalog names them; null for an expression. */
  readonly origin: { readonly schema: string; readonly table: string; readonly column: string } | null;
}

/**
 * Findings of the last scan: in order, without overlap; `length` of them. Offsets into the scanned buffer. Read the
 * arrays from here each time: they grow by being replaced.
 */
export interface Findings {
  readonly length: number;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Index of a rule, for `mask` and `ruleName`. */
  readonly rules: Int32Array;
  /** Which of the values that `scanValues` was given; 0 otherwise. */
  readonly values: Int32Array;
}

export interface Masking {
  /** Some rule or exemption names columns of tables, so that their names have to be known. */
  readonly needsOrigins: boolean;
  /** False: no rule looks into values; scans find nothing and need not be made. */
  readonly detects: boolean;
  /** The rule that masks every value of this column whatever it holds; -1 when none does. */
  columnRule(source: ColumnSource): number;
  /** The rule for a value that stands in a column of which no more is known; -1 when no rule names columns of tables. */
  readonly unknownColumnRule: number;
  /** A column that is exempt from detectors: leave its values out of the scan. */
  isExempt(source: ColumnSource): boolean;
  /** Looks for sensitive values in `bytes[start, end)`, one whole value (or a text of which no more is known). */
  scan(bytes: Uint8Array, start: number, end: number): Findings;
  /**
   * The same for `count` whole values of one buffer at once, in the time of one: `[starts[i], ends[i])`, ascending, with at
   * least one byte between two of them (lengths, message headers, separators). A finding never leaves its value, and what
   * stands between values is not looked at: a length byte that happens to be a digit is no part of a number.
   */
  scanValues(bytes: Uint8Array, starts: Int32Array, ends: Int32Array, count: number): Findings;
  /** For a value that comes in pieces. Several may be open at once. */
  stream(): ValueStream;
  /** For a text somebody waits for: of it no more is undecided than has to be. Several may be open at once. */
  live(): LiveText;
  /** True when `mask` by this rule returns null (in place, same length) for every kind. */
  keepsLength(rule: number): boolean;
  /**
   * The replacement of `bytes[start, end)` by `rule`. Null: done in place, the length is kept. A Buffer: stands instead
   * (it is not the caller's to change). `'null'`: the whole value becomes null (or, where the place has no null, is emptied).
   */
  mask(rule: number, bytes: Buffer, start: number, end: number, kind: ValueKind): Buffer | 'null' | null;
  /** Masks in place whatever the rule's mode: for what is too long to be held, or whose length is already told. */
  redact(bytes: Uint8Array, start: number, end: number, kind: ValueKind): void;
  /** `<rule>/<detector>`, `<rule>/column` or `<rule>/output`, for the record. */
  ruleName(rule: number): string;
}

/** What a scan found in rows of one result that were scanned together. */
export interface RowFindings {
  readonly bytes: Uint8Array;
  readonly findings: Findings;
  /** By `Findings.values`: first byte of the value, its column, and its row, counted from `firstRow`; never descending. */
  readonly starts: Int32Array;
  readonly columns: Int16Array;
  readonly rows: Int32Array;
  /** -1: the first row holds headings. */
  readonly firstRow: number;
  readonly rules: Pick<Masking, 'ruleName'>;
}

/**
 * A value of any length in bounded memory. What it finds may be the piece of a longer secret (an open private key), so
 * mask it with `redact`, whatever the mode of its rule.
 */
export interface ValueStream {
  /**
   * `bytes[start, end)` goes on where `decided` of the last push was: its undecided tail (less than 4 KiB) first, then
   * what is new. `last`: nothing follows. Findings lie before the new `decided`; the bytes before it may be delivered.
   */
  push(bytes: Uint8Array, start: number, end: number, last: boolean): Findings;
  /** Offset, in the bytes of the last push, of what is not decided yet; their end after the last piece. */
  readonly decided: number;
}

/**
 * A text of any length that is delivered as it comes. The caller keeps its bytes: those that are undecided, and before them
 * some that were decided and are read again, because what they began may go on. It may change the latter between two pushes.
 */
export interface LiveText {
  /**
   * `bytes[start, from)` was decided before, from `kept` on or from further back; `bytes[from, end)` was not, or is new.
   * Findings lie in `[from, decided)`; `values` of one is 1 when it may be a piece of something longer: mask it with `redact`.
   * `settle`: nothing follows, or nobody waits any longer: everything is decided as it stands. What follows after all is still
   * read together with it.
   */
  push(bytes: Uint8Array, start: number, from: number, end: number, settle: boolean): Findings;
  /** Whether something may have begun before `end` of `bytes` that is not over there. */
  mayGoOn(bytes: Uint8Array, start: number, end: number): boolean;
  /** Offset, in the bytes of the last push, of what may be the beginning of a finding; less than 4 KiB before their end. */
  readonly decided: number;
  /** From here on bytes have to stand before those of the next push; less than 8 KiB before the end. */
  readonly kept: number;
}

/** Where a masked value stood, for the record. `column` and `row` from 0; -1: not in a row. */
export interface RedactionPlace {
  readonly row: number;
  readonly column: number;
  /** Byte offset in the value (or, without row, in the message), before masking; and length there. */
  readonly offset: number;
  readonly length: number;
  /** Absent: in what the target answered. Else in what the client typed, see `masked-recorder.ts`. */
  readonly literal?: LiteralPlace;
  /** In all that a command wrote, as one text: `offset` counts from its beginning. */
  readonly stream?: OutputStream;
}

/** What programs write to: their standard output (or terminal), their standard error. */
export type OutputStream = 'output' | 'error-output';

/**
 * Where the client typed a value. `parameter`: of a command, its number is `column`. `startup`: in the parameters that the
 * connection began with. Offsets in `input` count the bytes of a command's input as one text: of COPY, its data alone.
 */
export type LiteralPlace = 'statement' | 'text' | 'parameter' | 'input' | 'startup';
