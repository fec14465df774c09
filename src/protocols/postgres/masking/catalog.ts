/**
 * Where a target's columns come from, asked on connections of the relay's own with the relay's credential: the client's
 * connection is never used, and nothing is ever executed for it. A view's column also has the names of what the view
 * selects, and a partition's (or an inheriting table's) those of its parents, so that a rule on a table holds for all.
 *
 * What a transaction that is not committed has created is not seen here: its names are unknown, and only detectors look
 * into it.
 */
import type { HandshakeReader } from '../../../bytes/handshake-reader.ts';
import { PostgresError } from '../error.ts';
import { cstring, encodeMessage, typeOf } from '../messages/frame.ts';
import { decodeDataRow, decodeRowDescription } from '../messages/query.ts';
import type { Column } from '../messages/query.ts';
import type { Dial, TargetOptions, TargetTransport } from '../target.ts';
import { openTarget, startTarget } from '../target-startup.ts';
import type { CopyStatement } from './copy-statement.ts';

export interface Origin {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
}

/** Origins of a relation's columns by attribute number; 0: of all of them, for a whole row. */
type Relation = ReadonlyMap<number, readonly Origin[]>;

export interface CatalogOptions {
  readonly dial: Dial;
  readonly target: TargetOptions;
  readonly database: string;
  /** Milliseconds, monotonic: what was learned is asked again after a minute, since names change. */
  readonly nowMs: () => number;
}

/** The catalogs of a target's databases, for all connections of a session. */
export class Catalogs {
  readonly #options: Omit<CatalogOptions, 'database'>;
  readonly #databases = new Map<string, Catalog>();

  constructor(options: Omit<CatalogOptions, 'database'>) {
    this.#options = options;
  }

  of(database: string): Catalog {
    const known = this.#databases.get(database);
    if (known !== undefined) return known;
    const catalog = new Catalog({ ...this.#options, database });
    this.#databases.set(database, catalog);
    return catalog;
  }
}

const freshMs = 60_000;
/** Views on views. */
const deepest = 16;
/** Longest message of the catalog, and all of them for one question. */
const answerLimit = 64 * 1024 * 1024;

export class Catalog {
  readonly #options: CatalogOptions;
  readonly #relations = new Map<number, Relation>();
  readonly #tables = new Map<string, ReadonlyMap<string, readonly Origin[]>>();
  /** Relations that were learned for the question at hand: columns that they have not are of no committed transaction. */
  readonly #asked = new Set<number>();
  #learnedMs = 0;

  constructor(options: CatalogOptions) {
    this.#options = options;
  }

  /** Origins of a column, the first one its own; undefined: they have to be learned first. Empty: it has none. */
  origins(tableOid: number, attributeNumber: number): readonly Origin[] | undefined {
    if (tableOid === 0) return none;
    if (this.#options.nowMs() - this.#learnedMs > freshMs) this.forget();
    const relation = this.#relations.get(tableOid);
    const origins = relation?.get(attributeNumber);
    if (relation === undefined || origins !== undefined) return origins;
    if (attributeNumber < 0 || this.#asked.has(tableOid)) return none; // ctid and the like have no name of their own
    this.#relations.delete(tableOid); // it may have got this column since
    return undefined;
  }

  /**
   * Origins, by name, of the columns that an error about a table may speak of: its own, and those that its foreign keys
   * reference. Undefined: they have to be learned first. Empty: there is no such table.
   */
  table(schema: string, table: string): ReadonlyMap<string, readonly Origin[]> | undefined {
    if (this.#options.nowMs() - this.#learnedMs > freshMs) this.forget();
    return this.#tables.get(JSON.stringify([schema, table]));
  }

  /** @throws PostgresError, BytesError when it cannot be learned */
  async learnTable(schema: string, table: string): Promise<void> {
    await this.#connected(async (connection) => {
      const named = await connection.rows(relationsNamed([table]));
      const own = named.filter((row) => row[1] === schema).map(([oid]) => Number(oid));
      const referenced = own.length === 0 ? [] : await connection.rows(referencedBy(own));
      const oids = [...own, ...referenced.map(([oid]) => Number(oid))];
      await this.#learn(connection, oids, 0);
      const columns = oids.flatMap((oid) => [...this.#relations.get(oid)!].filter(([number]) => number > 0));
      const byName = Map.groupBy(columns.map(([, origins]) => origins), (origins) => origins[0]!.column); // prettier-ignore
      this.#tables.set(
        JSON.stringify([schema, table]),
        new Map([...byName].map(([name, origins]) => [name, origins.flat()])),
      );
    });
  }

  /** A question was answered: what was not there may be there the next time. */
  answered(): void {
    this.#asked.clear();
  }

  /** Names may have changed. */
  forget(): void {
    this.#relations.clear();
    this.#tables.clear();
  }

  /** @throws PostgresError, BytesError when it cannot be learned */
  async learn(oids: readonly number[]): Promise<void> {
    await this.#connected((connection) => this.#learn(connection, oids, 0));
  }

  /**
   * The columns of what a COPY copies, with all their origins learned. Null when it cannot be told for certain which
   * table is meant, or when the target refuses to describe it.
   * @throws PostgresError, BytesError
   */
  async copied(statement: CopyStatement, relations: readonly string[]): Promise<readonly Column[] | null> {
    return this.#connected(async (connection) => {
      const columns =
        statement.query === null
          ? await this.#tableColumns(connection, statement)
          : await this.#queryColumns(connection, statement.query, relations);
      if (columns === null) return null;
      for (const { tableOid } of columns) this.#relations.delete(tableOid); // it may have got columns since
      await this.#learn(connection, columns.map(({ tableOid }) => tableOid), 0); // prettier-ignore
      return columns;
    });
  }

  async #connected<T>(work: (connection: CatalogConnection) => Promise<T>): Promise<T> {
    const { dial, target, database } = this.#options;
    const connection = await CatalogConnection.open(dial, target, database);
    try {
      return await work(connection);
    } finally {
      connection.close();
    }
  }

  async #learn(connection: CatalogConnection, wanted: readonly number[], depth: number): Promise<void> {
    if (this.#relations.size + this.#tables.size === 0) this.#learnedMs = this.#options.nowMs();
    const oids = [...new Set(wanted)].filter((oid) => oid !== 0 && !this.#relations.has(oid));
    if (oids.length === 0) return;
    const family = await connection.rows(ancestorsOf(oids));
    const all = [...new Set([...oids, ...family.map(([, parent]) => Number(parent))])];
    const attributes = await connection.rows(attributesOf(all));
    for (const oid of oids) {
      const parents = new Set(
        family.filter(([child]) => Number(child) === oid).map(([, parent]) => Number(parent)),
      );
      const own = attributes.filter((row) => Number(row[0]) === oid);
      const relation = new Map<number, Origin[]>();
      for (const [, schema, table, , number, column] of own) {
        if (number === null || number === undefined) continue;
        const origins = [{ schema: schema!, table: table!, column: column! }];
        for (const row of attributes) {
          if (parents.has(Number(row[0])) && row[5] === column) {
            origins.push({ schema: row[1]!, table: row[2]!, column: row[5]! });
          }
        }
        relation.set(Number(number), origins);
      }
      const kind = own[0]?.[3];
      if (kind === 'v' || kind === 'm') await this.#view(connection, oid, relation, depth);
      if (own.length > 0) relation.set(0, [...relation.values()].flat());
      // Not before all is known of it: other connections of the session look here too.
      this.#relations.set(oid, relation);
      this.#asked.add(oid);
    }
  }

  /** What a view selects is described, and never executed. */
  async #view(
    connection: CatalogConnection,
    oid: number,
    relation: Map<number, Origin[]>,
    depth: number,
  ): Promise<void> {
    if (depth === deepest) throw new PostgresError('postgres-masking-refused', 'views of the target stand on too many others'); // prettier-ignore
    const [definition] = await connection.rows(`select pg_catalog.pg_get_viewdef(${oid}::pg_catalog.oid)`);
    const columns = await connection.describe(definition?.[0] ?? '');
    if (columns === null)
      throw new PostgresError('postgres-masking-refused', 'a view of the target cannot be described');
    await this.#learn(connection, columns.map(({ tableOid }) => tableOid), depth + 1); // prettier-ignore
    for (const [index, { tableOid, attributeNumber }] of columns.entries()) {
      const selected = tableOid === 0 ? expression : this.#relations.get(tableOid);
      // Another connection of the session may have had all forgotten meanwhile.
      if (selected === undefined) throw new PostgresError('postgres-masking-refused', 'names have changed'); // prettier-ignore
      relation.get(index + 1)?.push(...(selected.get(attributeNumber) ?? none));
    }
  }

  async #tableColumns(
    connection: CatalogConnection,
    { table, columns }: CopyStatement,
  ): Promise<Column[] | null> {
    const candidates = await connection.rows(relationsNamed([table!.name]));
    const meant = candidates.filter(([, schema]) => table!.schema === null || schema === table!.schema);
    if (meant.length !== 1) return null; // a temporary one may be the client's, and would be the one that it means
    const oid = Number(meant[0]![0]);
    const attributes = await connection.rows(copiedAttributes(oid));
    const all = attributes.map(([number, name, type]) => columnOf(oid, Number(number), name!, Number(type)));
    if (columns === null) return all.filter((_, index) => attributes[index]![3] === '');
    const listed = columns.map((name) => all.find((column) => column.name === name));
    return listed.includes(undefined) ? null : (listed as Column[]);
  }

  /** Unless a name may mean another table to the client, whose search path is not known. */
  async #queryColumns(
    connection: CatalogConnection,
    query: string,
    relations: readonly string[],
  ): Promise<Column[] | null> {
    const names = [...new Set(relations.filter((name) => !name.includes('.')))];
    const found = names.length === 0 ? [] : await connection.rows(relationsNamed(names));
    const twice = names.some((name) => found.filter((row) => row[2] === name).length > 1);
    return twice ? null : connection.describeAsClient(query);
  }
}

const none: readonly Origin[] = [];
/** What no table's column is. */
const expression: Relation = new Map();

const columnOf = (tableOid: number, attributeNumber: number, name: string, typeOid: number): Column => ({
  name,
  tableOid,
  attributeNumber,
  typeOid,
  typeSize: -1,
  typeModifier: -1,
  format: 0,
});

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const ancestorsOf = (oids: readonly number[]): string => `
  with recursive up(child, parent) as (
    select inhrelid, inhparent from pg_catalog.pg_inherits where inhrelid in (${oids.join(',')})
    union select up.child, i.inhparent from up join pg_catalog.pg_inherits i on i.inhrelid = up.parent)
  select child, parent from up`;

const attributesOf = (oids: readonly number[]): string => `
  select c.oid, n.nspname, c.relname, c.relkind, a.attnum, a.attname from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where c.oid in (${oids.join(',')})`;

/** Tables that foreign keys of these tables reference. */
const referencedBy = (oids: readonly number[]): string => `
  select distinct confrelid from pg_catalog.pg_constraint where contype = 'f' and conrelid in (${oids.join(',')})`;

const relationsNamed = (names: readonly string[]): string => `
  select c.oid, n.nspname, c.relname from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname in (${names.map(quoted).join(',')})`;

/** Number, name, type (a domain's is the one below it, as in a result), and whether it is generated. */
const copiedAttributes = (oid: number): string => `
  with recursive below(domain, type) as (
    select oid, typbasetype from pg_catalog.pg_type where typtype = 'd'
    union all select b.domain, t.typbasetype from below b join pg_catalog.pg_type t on t.oid = b.type and t.typtype = 'd')
  select a.attnum, a.attname, coalesce((
      select b.type from below b join pg_catalog.pg_type t on t.oid = b.type and t.typtype <> 'd' where b.domain = a.atttypid
    ), a.atttypid), coalesce(pg_catalog.to_jsonb(a) ->> 'attgenerated', '')
  from pg_catalog.pg_attribute a where a.attrelid = ${oid} and a.attnum > 0 and not a.attisdropped order by a.attnum`;

/** One connection for a few questions, one after another. */
class CatalogConnection {
  readonly #reader: HandshakeReader;
  readonly #transport: TargetTransport;

  private constructor(reader: HandshakeReader, transport: TargetTransport) {
    this.#reader = reader;
    this.#transport = transport;
  }

  static async open(dial: Dial, target: TargetOptions, database: string): Promise<CatalogConnection> {
    const made: TargetTransport[] = [];
    try {
      const open = await openTarget(dial, target.tls, (transport) => made.push(transport));
      const { reader } = await startTarget(open, target, database, [['application_name', 'hoop']]);
      const connection = new CatalogConnection(reader, made[0]!);
      await connection.rows(
        // A search path of the role's own could put operators of anybody's before those that the questions mean.
        "set search_path = pg_catalog; set standard_conforming_strings = on; set statement_timeout = '10s'; " +
          "set client_encoding = 'UTF8'",
      );
      return connection;
    } catch (error) {
      for (const { channel } of made) channel.destroy();
      throw error;
    }
  }

  close(): void {
    const { channel } = this.#transport;
    channel.write(encodeMessage('X'));
    channel.end();
    this.#reader.finished().then(
      () => channel.destroy(),
      () => channel.destroy(),
    );
  }

  /** Rows of a query, in text. @throws PostgresError when the target refuses */
  async rows(sql: string): Promise<(string | null)[][]> {
    this.#reader.channel.write(encodeMessage('Q', cstring(sql)));
    const rows: (string | null)[][] = [];
    const failed = await this.#answers((type, body) => {
      if (type === typeOf('D'))
        rows.push(decodeDataRow(body).map((value) => value?.toString('utf8') ?? null));
    });
    if (failed)
      throw new PostgresError('postgres-masking-refused', 'the target does not tell where columns come from');
    return rows;
  }

  /** The columns of a statement; null when the target does not accept it, or when it returns no rows. */
  async describe(sql: string): Promise<Column[] | null> {
    const { channel } = this.#reader;
    channel.write(encodeMessage('P', cstring(''), cstring(sql), Buffer.alloc(2)));
    channel.write(encodeMessage('D', Buffer.from('S'), cstring('')));
    channel.write(encodeMessage('S'));
    let columns: Column[] | null = null;
    const failed = await this.#answers((type, body) => {
      if (type === typeOf('T')) columns = decodeRowDescription(body);
    });
    return failed ? null : columns;
  }

  /** The same, with names found as a client finds them. */
  async describeAsClient(sql: string): Promise<Column[] | null> {
    await this.rows('reset search_path');
    const columns = await this.describe(sql);
    await this.rows('set search_path = pg_catalog');
    return columns;
  }

  /** Up to ReadyForQuery; true when there was an error among them. */
  async #answers(each: (type: number, body: Buffer) => void): Promise<boolean> {
    let failed = false;
    for (let total = 0; ;) {
      const header = await this.#reader.read(5);
      const length = header.readUInt32BE(1);
      total += length;
      if (length < 4 || total > answerLimit)
        throw new PostgresError('postgres-message-too-large', 'the catalog of the target is too large');
      const body = await this.#reader.read(length - 4);
      if (header[0] === typeOf('Z')) return failed;
      if (header[0] === typeOf('E')) failed = true;
      else each(header[0]!, body);
    }
  }
}
