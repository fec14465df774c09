/**
 * Simple query, extended query and COPY: messages that the record needs again when it is read
 * (https://www.postgresql.org/docs/current/protocol-message-formats.html).
 */
import { BoundedReader } from '../../../bytes/bounded-reader.ts';

/** One column of a RowDescription. */
export interface Column {
  readonly name: string;
  /** OID of the table and number of the attribute in it; 0 and 0 for an expression. */
  readonly tableOid: number;
  readonly attributeNumber: number;
  readonly typeOid: number;
  /** Negative: variable width. */
  readonly typeSize: number;
  readonly typeModifier: number;
  /** 0 text, 1 binary; 0 also where it is not known yet (Describe of a statement). */
  readonly format: number;
}

/** @throws BytesError */
export function decodeRowDescription(body: Buffer): Column[] {
  const reader = new BoundedReader(body);
  const columns: Column[] = [];
  for (let left = reader.int16(); left > 0; left--) {
    columns.push({
      name: reader.cstring(),
      tableOid: reader.uint32(),
      attributeNumber: reader.int16(),
      typeOid: reader.uint32(),
      typeSize: reader.int16(),
      typeModifier: reader.int32(),
      format: reader.int16(),
    });
  }
  reader.finish();
  return columns;
}

/** Values of one row as views of `body`; null is SQL's NULL. @throws BytesError */
export function decodeDataRow(body: Buffer): (Buffer | null)[] {
  const reader = new BoundedReader(body);
  const values = takeValues(reader, reader.int16());
  reader.finish();
  return values;
}

function takeValues(reader: BoundedReader, count: number): (Buffer | null)[] {
  const values: (Buffer | null)[] = [];
  for (let left = count; left > 0; left--) {
    const length = reader.int32();
    values.push(length === -1 ? null : reader.take(length));
  }
  return values;
}

/** A CommandComplete. `rows` is the count that the tag ends with (`INSERT 0 3`); null when it has none (`BEGIN`). */
export interface CommandComplete {
  readonly tag: string;
  readonly rows: number | null;
}

/** @throws BytesError */
export function decodeCommandComplete(body: Buffer): CommandComplete {
  const reader = new BoundedReader(body);
  const tag = reader.cstring();
  reader.finish();
  const count = / (\d{1,16})$/.exec(tag)?.[1];
  return { tag, rows: count === undefined ? null : Number(count) };
}

/** ParameterDescription: type OIDs of a statement's parameters. @throws BytesError */
export function decodeParameterDescription(body: Buffer): number[] {
  const reader = new BoundedReader(body);
  const types: number[] = [];
  for (let left = reader.int16() & 0xffff; left > 0; left--) types.push(reader.uint32());
  reader.finish();
  return types;
}

/** NotificationResponse. @throws BytesError */
export function decodeNotificationResponse(body: Buffer): {
  processId: number;
  channel: string;
  payload: string;
} {
  const reader = new BoundedReader(body);
  const notification = { processId: reader.int32(), channel: reader.cstring(), payload: reader.cstring() };
  reader.finish();
  return notification;
}

/** CopyInResponse, CopyOutResponse: overall format (0 text, 1 binary) and one per column. @throws BytesError */
export function decodeCopyResponse(body: Buffer): { format: number; columnFormats: number[] } {
  const reader = new BoundedReader(body);
  const format = reader.uint8();
  const columnFormats: number[] = [];
  for (let left = reader.int16(); left > 0; left--) columnFormats.push(reader.int16());
  reader.finish();
  return { format, columnFormats };
}

/** Parse: a statement's name ('' the unnamed one), its text and the types that the client fixed. */
export interface Parse {
  readonly statement: Buffer;
  readonly text: Buffer;
  readonly parameterTypes: readonly number[];
}

const noTypes: readonly number[] = [];

/** Views of `bytes`, which hold the body from `start` to `end`. @throws BytesError */
export function decodeParse(bytes: Buffer, start = 0, end = bytes.length): Parse {
  const reader = new BoundedReader(bytes, start, end);
  const statement = reader.cstringBytes();
  const text = reader.cstringBytes();
  let count = reader.int16() & 0xffff;
  if (count === 0) {
    reader.finish();
    return { statement, text, parameterTypes: noTypes };
  }
  const parameterTypes: number[] = [];
  for (; count > 0; count--) parameterTypes.push(reader.uint32());
  reader.finish();
  return { statement, text, parameterTypes };
}

/** What a Bind carries after its two names: parameter formats, values, result formats. */
export interface BindParameters {
  /** One per value, 0 text or 1 binary. */
  readonly formats: readonly number[];
  readonly values: readonly (Buffer | null)[];
  /** As sent: none (all text), one for all, or one per column. */
  readonly resultFormats: readonly number[];
}

/**
 * Decodes a Bind from its parameter format codes to its end, which is what the record keeps.
 * @throws BytesError
 */
export function decodeBindParameters(bytes: Buffer): BindParameters {
  const reader = new BoundedReader(bytes);
  const codes = takeInt16s(reader);
  const values = takeValues(reader, reader.int16() & 0xffff);
  const resultFormats = takeInt16s(reader);
  reader.finish();
  return { formats: values.map((_, index) => formatAt(codes, index)), values, resultFormats };
}

/**
 * Decodes the arguments of a FunctionCall from its argument format codes to its end.
 * @throws BytesError
 */
export function decodeFunctionArguments(bytes: Buffer): BindParameters {
  const reader = new BoundedReader(bytes);
  const codes = takeInt16s(reader);
  const values = takeValues(reader, reader.int16() & 0xffff);
  const resultFormats = [reader.int16()];
  reader.finish();
  return { formats: values.map((_, index) => formatAt(codes, index)), values, resultFormats };
}

function takeInt16s(reader: BoundedReader): number[] {
  const codes: number[] = [];
  for (let left = reader.int16() & 0xffff; left > 0; left--) codes.push(reader.int16());
  return codes;
}

const formatAt = (codes: readonly number[], index: number): number =>
  codes.length === 1 ? codes[0]! : (codes[index] ?? 0);
