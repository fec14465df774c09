/**
 * Values as text, for people: text format as it is, binary format for the common types, hexadecimal for the rest.
 * Layouts are those of the types' `*_send` functions. Deliberately no conversion to JavaScript values: numeric and
 * timestamp do not fit them.
 */
import { BoundedReader, BytesError } from '../../../bytes/bounded-reader.ts';

const microsecondsOf2000 = 946_684_800_000_000n;
const daysOf2000 = 10_957;

type Format = (reader: BoundedReader) => string;

const utf8: Format = (reader) => reader.take(reader.remaining).toString('utf8');

/** Binary formats by type OID (src/include/catalog/pg_type.dat). */
const binary: Readonly<Record<number, Format>> = {
  16: (reader) => (reader.uint8() === 0 ? 'f' : 't'), // bool
  17: (reader) => `\\x${reader.take(reader.remaining).toString('hex')}`, // bytea
  18: utf8, // "char"
  19: utf8, // name
  20: (reader) => String(int64(reader)), // int8
  21: (reader) => String(reader.int16()), // int2
  23: (reader) => String(reader.int32()), // int4
  25: utf8, // text
  26: (reader) => String(reader.uint32()), // oid
  114: utf8, // json
  142: utf8, // xml
  700: (reader) => String(Math.fround(reader.take(4).readFloatBE())), // float4
  701: (reader) => String(reader.take(8).readDoubleBE()), // float8
  1042: utf8, // bpchar
  1043: utf8, // varchar
  1082: date,
  1083: (reader) => timeOfDay(int64(reader)), // time
  1114: (reader) => timestamp(reader, ''), // timestamp
  1184: (reader) => timestamp(reader, '+00'), // timestamptz
  1700: numeric,
  2950: uuid,
  3802: jsonb,
};

/**
 * One value as a person reads it; null for NULL. A value that does not have its type's layout is given in hexadecimal,
 * like one of an unknown type: the sender may lie about the type.
 */
export function formatValue(typeOid: number, format: number, value: Buffer | null): string | null {
  if (value === null) return null;
  if (format === 0) return value.toString('utf8');
  const known = Object.hasOwn(binary, typeOid) ? binary[typeOid] : undefined;
  if (known === undefined) return hexadecimal(value);
  try {
    const reader = new BoundedReader(value);
    const text = known(reader);
    reader.finish();
    return text;
  } catch (error) {
    if (error instanceof BytesError || error instanceof RangeError) return hexadecimal(value);
    throw error;
  }
}

const hexadecimal = (value: Buffer): string => `\\x${value.toString('hex')}`;
const int64 = (reader: BoundedReader): bigint => reader.take(8).readBigInt64BE();
const twoDigits = (value: bigint): string => String(value).padStart(2, '0');

function timeOfDay(microseconds: bigint): string {
  const seconds = microseconds / 1_000_000n;
  const fraction = String(microseconds % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const clock = `${twoDigits(seconds / 3600n)}:${twoDigits((seconds / 60n) % 60n)}:${twoDigits(seconds % 60n)}`;
  return fraction === '' ? clock : `${clock}.${fraction}`;
}

/** `YYYY-MM-DD` of a day counted from 1970, proleptic Gregorian; throws RangeError far outside of it. */
const calendar = (day: number): string => new Date(day * 86_400_000).toISOString().replace(/T.*$/, '');

function date(reader: BoundedReader): string {
  const day = reader.int32();
  if (day === 0x7fffffff) return 'infinity';
  if (day === -0x80000000) return '-infinity';
  return calendar(day + daysOf2000);
}

function timestamp(reader: BoundedReader, zone: string): string {
  const value = int64(reader);
  if (value === 0x7fffffffffffffffn) return 'infinity';
  if (value === -0x8000000000000000n) return '-infinity';
  const sinceEpoch = value + microsecondsOf2000;
  const perDay = 86_400_000_000n;
  const inDay = ((sinceEpoch % perDay) + perDay) % perDay;
  return `${calendar(Number((sinceEpoch - inDay) / perDay))} ${timeOfDay(inDay)}${zone}`;
}

function uuid(reader: BoundedReader): string {
  const hex = reader.take(16).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function jsonb(reader: BoundedReader): string {
  if (reader.uint8() !== 1) throw new RangeError('an unknown version of jsonb');
  return utf8(reader);
}

/** Groups of four decimal digits: count, weight of the first, sign, digits after the point, groups. */
function numeric(reader: BoundedReader): string {
  const count = reader.int16();
  const weight = reader.int16();
  const sign = reader.int16() & 0xffff;
  const scale = reader.int16();
  if (sign === 0xc000) return 'NaN';
  if (sign === 0xd000) return 'Infinity';
  if (sign === 0xf000) return '-Infinity';
  if (count < 0 || scale < 0 || Math.abs(weight) > 0x4000) throw new RangeError('no numeric');
  const groups: string[] = [];
  for (let left = count; left > 0; left--) groups.push(String(reader.int16()).padStart(4, '0'));
  const group = (at: number): string => groups[at] ?? '0000';
  let whole = '';
  for (let at = 0; at <= weight; at++) whole += group(at);
  let fraction = '';
  for (let at = weight + 1; fraction.length < scale; at++) fraction += at < 0 ? '0000' : group(at);
  const text = whole.replace(/^0+/, '') || '0';
  const point = scale > 0 ? `.${fraction.slice(0, scale)}` : '';
  return `${sign === 0x4000 ? '-' : ''}${text}${point}`;
}
