/**
 * What the data path needs of masking; implemented by `masking/`, reached through `ConnectionGate.masking`. Interfaces
 * only. A protocol knows where values stand and what keeps them valid; masking knows what is sensitive and what to put
 * in its place. One object serves one session; its `findings` are overwritten by the next `scan`.
 */

/** How a value is written, so that what replaces it stays valid. */
export type ValueKind =
  | 'text' // free text: any printable ASCII may stand in it
  | 'digits' // a number written in decimal: only digits may change, and only to digits
  | 'opaque'; // nothing is known: bytes are replaced by zero bytes

export interface ColumnSource {
  /** Output name, as the client sees it. */
  readonly name: string;
  /** Schema, table and column as the target's catalog names them; null for an expression. */
  readonly origin: { readonly schema: string; readonly table: string; readonly column: string } | null;
}

/** Findings of the last `scan`: in order, without overlap; `length` of them. Offsets into the scanned buffer. */
export interface Findings {
  readonly length: number;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Index of a rule, for `mask` and `ruleName`. */
  readonly rules: Int32Array;
}

export interface Masking {
  /** Some rule names columns of tables, so that their names have to be known. */
  readonly needsOrigins: boolean;
  /** The rule that masks every value of this column whatever it holds; -1 when none does. */
  columnRule(source: ColumnSource): number;
  /** A column that is exempt from detectors. */
  isExempt(source: ColumnSource): boolean;
  /**
   * Looks for sensitive values in `bytes[start, end)`. No match crosses a byte below 0x09, so that many values may be
   * scanned at once when such a byte stands between them.
   */
  scan(bytes: Uint8Array, start: number, end: number): Findings;
  /**
   * A value that is not all here: the first offset from which on something may yet become a finding with what follows;
   * `end` when nothing may. What lies before it has been decided by `scan(bytes, start, end)`.
   */
  undecidedFrom(bytes: Uint8Array, start: number, end: number): number;
  /**
   * The replacement of `bytes[start, end)` by `rule`. Null: done in place, the length is kept. A Buffer: stands instead.
   * `'null'`: the whole value becomes null (or, where the place has no null, is emptied).
   */
  mask(rule: number, bytes: Buffer, start: number, end: number, kind: ValueKind): Buffer | 'null' | null;
  ruleName(rule: number): string;
}

/** Where a masked value stood, for the record. `column` and `row` from 0; -1: not in a row. */
export interface RedactionPlace {
  readonly row: number;
  readonly column: number;
  /** Byte offset in the value (or, without row, in the message), before masking; and length there. */
  readonly offset: number;
  readonly length: number;
}
