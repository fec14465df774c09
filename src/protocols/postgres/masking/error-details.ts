/**
 * Rows in errors: "Key (email)=(…) already exists.", "Failing row contains (…)." hold values of columns that a rule may
 * name. An error says which table it speaks of; the words around the values differ by language, the parentheses do not.
 */
import { BoundedReader } from '../../../bytes/bounded-reader.ts';
import type { Masking } from '../../../gate/masking.ts';
import { headerBytes } from '../messages/frame.ts';
import type { Catalog, Origin } from './catalog.ts';
import type { ValueMasker } from './values.ts';

/** Codes of the fields, as ASCII. */
const detailField = 0x44, schemaField = 0x73, tableField = 0x74; // prettier-ignore
const open = 0x28, close = 0x29; // prettier-ignore

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

interface Detail extends TableName {
  readonly start: number;
  readonly end: number;
}

export class ErrorDetails {
  readonly #masking: Masking;
  readonly #values: ValueMasker;

  constructor(masking: Masking, values: ValueMasker) {
    this.#masking = masking;
    this.#values = values;
  }

  /** The table whose columns have to be known before this error is told; null when none has. */
  unknownTable(catalog: Catalog | null, bytes: Buffer, start: number, end: number): TableName | null {
    const detail = this.#masking.needsOrigins ? detailOf(bytes, start, end) : null;
    if (detail === null) return null;
    return catalog?.table(detail.schema, detail.table) === undefined ? detail : null;
  }

  /** Hides the values of columns with rules; in place. The table is known. */
  mask(catalog: Catalog | null, bytes: Buffer, start: number, end: number): void {
    const detail = this.#masking.needsOrigins ? detailOf(bytes, start, end) : null;
    const columns = detail === null ? undefined : catalog?.table(detail.schema, detail.table);
    if (detail === null || columns === undefined) return;
    const key = keyOf(bytes, detail);
    const rule = this.#ruleOf(columns, key?.names ?? null);
    if (rule === -1) return;
    const from = key?.valuesStart ?? bytes.indexOf(open, detail.start) + 1;
    const to = bytes.lastIndexOf(close, detail.end - 1);
    if (to <= from) return;
    this.#values.at(-1, -1, start);
    this.#values.tell(rule, bytes, from, to);
    this.#masking.redact(bytes, from, to, 'text');
  }

  /** `names`: what the error says of the columns whose values it tells; null: all of them. */
  #ruleOf(columns: ReadonlyMap<string, readonly Origin[]>, names: string | null): number {
    for (const [name, origins] of columns) {
      // Anywhere in the names: a key may be an expression.
      if (names !== null && !names.includes(name)) continue;
      for (const origin of origins) {
        const rule = this.#masking.columnRule({ name, origin });
        if (rule !== -1) return rule;
      }
    }
    return -1;
  }
}

/** Where the detail stands, and the table; null when there is not both. @throws BytesError */
function detailOf(bytes: Buffer, start: number, end: number): Detail | null {
  const reader = new BoundedReader(bytes, start + headerBytes, end);
  let [from, to] = [-1, -1];
  let schema: string | null = null;
  let table: string | null = null;
  for (let code = reader.uint8(); code !== 0; code = reader.uint8()) {
    const at = reader.position;
    const text = reader.cstringBytes();
    if (code === detailField) [from, to] = [at, at + text.length];
    else if (code === schemaField) schema = text.toString('utf8');
    else if (code === tableField) table = text.toString('utf8');
  }
  if (from === -1 || schema === null || table === null) return null;
  const first = bytes.indexOf(open, from);
  return first === -1 || first >= to ? null : { start: from, end: to, schema, table };
}

/** `(names)=(values)`; null when the detail has no such form. */
function keyOf(bytes: Buffer, { start, end }: Detail): { names: string; valuesStart: number } | null {
  const at = bytes.indexOf(')=(', start, 'latin1');
  if (at === -1 || at >= end) return null;
  return { names: bytes.toString('utf8', start, at), valuesStart: at + 3 };
}
