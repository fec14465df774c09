/**
 * What has to be done with each column of a result, decided once when the target describes it. Nothing here holds a value.
 */
import type { ColumnSource, Masking } from '../../../gate/masking.ts';
import { PostgresError } from '../error.ts';
import type { Column } from '../messages/query.ts';
import { Form, Layout, typeFacts } from './types.ts';
import type { TypeFacts } from './types.ts';

/** How the values of a column are treated. */
export const Way = {
  pass: 0, // exempt, or of a type that cannot hold what detectors look for
  scan: 1, // scanned as they are, many at once
  unescape: 2, // the same, unless there is a backslash in the value
  look: 3, // looked at one by one: by a rule of the column, or since their format hides them from a scan
} as const;
export type Way = (typeof Way)[keyof typeof Way];

export interface ColumnPlan {
  readonly way: Way;
  /** The rule that masks all values; -1: none. */
  readonly rule: number;
  readonly exempt: boolean;
  readonly binary: boolean;
  readonly typeOid: number;
  readonly type: TypeFacts;
}

/** A result's columns. */
export interface ResultShape {
  readonly columns: readonly ColumnPlan[];
  /** `columns[i].way`, where the walk of every row reads it. */
  readonly ways: Uint8Array;
  /** No column needs anything: rows pass without being walked. */
  readonly idle: boolean;
}

/** A column's names; the first is where it stands, the others are what that stands for (a view's table, a parent). */
export type Sources = (column: Column) => readonly ColumnSource[];

export function resultShape(masking: Masking, columns: readonly Column[], sources: Sources): ResultShape {
  const plans = columns.map((column) => columnPlan(masking, column, sources(column)));
  const ways = Uint8Array.from(plans, (plan) => plan.way);
  return { columns: plans, ways, idle: ways.every((way) => way === Way.pass) };
}

/** What is to be done with one column. */
export function columnPlan(masking: Masking, column: Column, sources: readonly ColumnSource[]): ColumnPlan {
  const { typeOid, format } = column;
  if (format !== 0 && format !== 1) throw malformed();
  const type = typeFacts(typeOid);
  let rule = -1;
  for (const source of sources) if (rule === -1) rule = masking.columnRule(source);
  const exempt = rule === -1 && sources.some((source) => masking.isExempt(source));
  const binary = format === 1;
  const plan = { rule, exempt, binary, typeOid, type };
  if (rule !== -1) return { ...plan, way: Way.look };
  if (exempt || !masking.detects || !type.scanned) return { ...plan, way: Way.pass };
  return { ...plan, way: binary ? binaryWay(type.layout) : textWay(type.form) };
}

function textWay(form: Form): Way {
  switch (form) {
    case Form.text:
    case Form.xml:
    case Form.json:
    case Form.structured:
      return Way.unescape;
    case Form.bytea:
    case Form.number:
      return Way.look;
    default:
      return Way.scan;
  }
}

function binaryWay(layout: Layout): Way {
  if (layout === Layout.text) return Way.scan;
  return layout === Layout.json ? Way.unescape : Way.look;
}

const malformed = (): PostgresError =>
  new PostgresError(
    'postgres-malformed-message',
    'the target described a column in a format that does not exist',
  );
