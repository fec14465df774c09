/**
 * Rows in errors: "Key (email)=(…) already exists.", "Failing row contains (…)." hold values of columns that a rule may
 * name. An error says which table it speaks of; the words around the values differ by language, the parentheses do not.
 * Of the constraints' errors that name no table (a view's check option, another server's), or none that is known, all is
 * hidden that stands in parentheses: some rule may concern it.
 */
import { isUtf8 } from 'node:buffer';
import { BoundedReader } from '../../../bytes/bounded-reader.ts';
import type { Masking } from '../../../gate/masking.ts';
import { headerBytes } from '../messages/frame.ts';
import type { Catalog, Origin } from './catalog.ts';
import type { ValueMasker } from './values.ts';

/** Codes of the fields, as ASCII. */
const detailField = 0x44, sqlstateField = 0x43, schemaField = 0x73, tableField = 0x74; // prettier-ignore
const open = 0x28, close = 0x29; // prettier-ignore

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

interface Detail {
  readonly start: number;
  readonly end: number;
  /** Null: it names none. */
  readonly of: TableName | null;
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
    if (detail === null || detail.of === null) return null;
    return catalog?.table(detail.of.schema, detail.of.table) === undefined ? detail.of : null;
  }

  /** Hides the values of columns with rules; in place. The table is known. */
  mask(catalog: Catalog | null, bytes: Buffer, start: number, end: number): void {
    const detail = this.#masking.needsOrigins ? detailOf(bytes, start, end) : null;
    if (detail === null) return;
    const columns = detail.of === null ? undefined : catalog?.table(detail.of.schema, detail.of.table);
    const key = keyOf(bytes, detail);
    const known = columns !== undefined && columns.size > 0;
    const rule = known ? this.#ruleOf(columns, key?.names ?? null) : this.#masking.unknownColumnRule;
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

/** Where the detail stands, and the table; null when it can hold nothing of a row. @throws BytesError */
function detailOf(bytes: Buffer, start: number, end: number): Detail | null {
  const reader = new BoundedReader(bytes, start + headerBytes, end);
  let [from, to] = [-1, -1];
  let schema: string | null = null;
  let table: string | null = null;
  let sqlstate = '';
  for (let code = reader.uint8(); code !== 0; code = reader.uint8()) {
    const at = reader.position;
    const text = reader.cstringBytes();
    if (code === detailField) [from, to] = [at, at + text.length];
    else if (code === sqlstateField) sqlstate = text.toString('latin1');
    else if (code === schemaField) schema = text.toString('utf8');
    else if (code === tableField) table = text.toString('utf8');
  }
  const of = schema === null || table === null ? null : { schema, table };
  if (from === -1 || (of === null && !ofConstraints.test(sqlstate))) return null;
  const first = bytes.indexOf(open, from);
  return first === -1 || first >= to ? null : { start: from, end: to, of };
}

/** Violations of integrity constraints, and of a view's check option. */
const ofConstraints = /^(23|44)/;

/** `(names)=(values)`, names null when they are not in UTF-8; null when the detail has no such form. */
function keyOf(bytes: Buffer, { start, end }: Detail): { names: string | null; valuesStart: number } | null {
  const at = bytes.indexOf(')=(', start, 'latin1');
  if (at === -1 || at >= end) return null;
  const names = bytes.subarray(start, at);
  return { names: isUtf8(names) ? names.toString('utf8') : null, valuesStart: at + 3 };
}
