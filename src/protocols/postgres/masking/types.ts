/**
 * How values of PostgreSQL's types are written, as far as masking must know it to keep them valid
 * (src/include/catalog/pg_type.dat; binary layouts are those of the types' `*_send` functions).
 */

/** What may stand in a value's text format. */
export const Form = {
  text: 0, // anything
  digits: 1, // int2, int4, int8, numeric, oid: a number
  number: 2, // float, money, geometric types: numbers with other marks; only digits change
  json: 3,
  structured: 4, // array, composite, range, hstore, tsvector: marks that must stay between the values
  xml: 5,
  network: 6, // inet, cidr
  hex: 7, // uuid, macaddr, pg_lsn
  clock: 8, // date, time, timestamp, interval
  bits: 9, // bit, varbit
  boolean: 10,
  bytea: 11,
} as const;
export type Form = (typeof Form)[keyof typeof Form];

/** What a value's binary format is made of. */
export const Layout = {
  unknown: 0, // of a type that the target defines itself, or of no known type
  text: 1, // the bytes of the text
  json: 2,
  jsonb: 3, // a version, then the text
  integer: 4, // int2, int4, int8, oid, money
  float: 5,
  numeric: 6,
  bytea: 7,
  network: 8,
  fixed: 9, // of fixed length, and zero bytes are a value of it
  array: 10,
  record: 11,
  range: 12,
  multirange: 13,
  bits: 14,
} as const;
export type Layout = (typeof Layout)[keyof typeof Layout];

export interface TypeFacts {
  readonly form: Form;
  readonly layout: Layout;
  /** A value may hold something that a detector looks for. */
  readonly scanned: boolean;
  /** Of an array or a range: the type of its elements; 0 otherwise. */
  readonly element: number;
}

const types = new Map<number, TypeFacts>();

function add(form: Form, layout: Layout, scanned: boolean, oids: readonly number[]): void {
  for (const oid of oids) types.set(oid, { form, layout, scanned, element: 0 });
}

function addContainer(layout: Layout, pairs: readonly (readonly [oid: number, element: number])[]): void {
  for (const [oid, element] of pairs) {
    const scanned = types.get(element)?.scanned ?? true;
    types.set(oid, { form: Form.structured, layout, scanned, element });
  }
}

add(Form.text, Layout.text, true, [18, 19, 25, 705, 1042, 1043, 2275]); // "char", name, text, unknown, bpchar, varchar, cstring
add(Form.text, Layout.text, true, [1790]); // refcursor
add(Form.text, Layout.unknown, true, [1033]); // aclitem
add(Form.text, Layout.fixed, true, [24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191]); // reg*: names as text
add(Form.text, Layout.jsonb, true, [4072]); // jsonpath
add(Form.boolean, Layout.fixed, false, [16]);
add(Form.bytea, Layout.bytea, true, [17]);
add(Form.digits, Layout.integer, true, [20]);
add(Form.digits, Layout.integer, true, [23]);
add(Form.digits, Layout.integer, true, [26]);
add(Form.digits, Layout.integer, false, [21]);
add(Form.digits, Layout.numeric, true, [1700]);
add(Form.number, Layout.float, true, [700, 701]);
add(Form.number, Layout.integer, true, [790]); // money
add(Form.number, Layout.fixed, false, [27, 28, 29, 600, 601, 603, 628, 718, 5069]); // tid, xid, cid, point, lseg, box, line, circle, xid8
add(Form.number, Layout.unknown, false, [602, 604, 2970, 5038]); // path, polygon, snapshots
add(Form.json, Layout.json, true, [114]);
add(Form.json, Layout.jsonb, true, [3802]);
add(Form.xml, Layout.text, true, [142]);
add(Form.network, Layout.network, true, [650, 869]);
add(Form.hex, Layout.fixed, false, [774, 829, 2950, 3220]); // macaddr8, macaddr, uuid, pg_lsn
add(Form.clock, Layout.fixed, false, [1082, 1083, 1114, 1184, 1186, 1266]);
add(Form.bits, Layout.bits, false, [1560, 1562]);
add(Form.structured, Layout.unknown, true, [22, 30, 3614, 3615, 3642]); // int2vector, oidvector, tsvector, tsquery, gtsvector
add(Form.structured, Layout.record, true, [2249]);
add(Form.text, Layout.fixed, false, [2278]); // void

addContainer(Layout.range, [[3904, 23], [3906, 1700], [3908, 1114], [3910, 1184], [3912, 1082], [3926, 20]]); // prettier-ignore
addContainer(Layout.multirange, [[4451, 3904], [4532, 3906], [4533, 3908], [4534, 3910], [4535, 3912], [4536, 3926]]); // prettier-ignore
addContainer(Layout.array, [
  [143, 142], [199, 114], [271, 5069], [629, 628], [651, 650], [719, 718], [775, 774], [791, 790], [1000, 16], [1001, 17],
  [1002, 18], [1003, 19], [1005, 21], [1006, 22], [1007, 23], [1008, 24], [1009, 25], [1010, 27], [1011, 28], [1012, 29],
  [1013, 30], [1014, 1042], [1015, 1043], [1016, 20], [1017, 600], [1018, 601], [1019, 602], [1020, 603], [1021, 700],
  [1022, 701], [1027, 604], [1028, 26], [1034, 1033], [1040, 829], [1041, 869], [1115, 1114], [1182, 1082], [1183, 1083],
  [1185, 1184], [1187, 1186], [1231, 1700], [1263, 2275], [1270, 1266], [1561, 1560], [1563, 1562], [2201, 1790],
  [2287, 2249], [2951, 2950], [3221, 3220], [3643, 3614], [3645, 3615], [3807, 3802], [3905, 3904], [3907, 3906],
  [3909, 3908], [3911, 3910], [3913, 3912], [3927, 3926], [4073, 4072], [6150, 4451], [6151, 4532], [6152, 4533],
  [6153, 4534], [6155, 4535], [6157, 4536],
]); // prettier-ignore

/** A type that the target defines itself (enum, composite, domain's array, extension's), or one that is not listed. */
const custom: TypeFacts = {
  form: Form.structured,
  layout: Layout.unknown,
  scanned: true,
  element: 0,
};

/** Never fails: of an OID that is not known as little is assumed as possible. */
export const typeFacts = (oid: number): TypeFacts => types.get(oid) ?? custom;

/** Types that are listed, for a test that compares them with a server's catalog. */
export const knownTypes: ReadonlyMap<number, TypeFacts> = types;
