/**
 * Kysely over `node:sqlite`: WAL, synchronous FULL, one connection. Transactions begin immediate, so that a transaction
 * never finds out halfway that another process writes.
 */
import { chmodSync, closeSync, constants, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { setTimeout } from 'node:timers/promises';
import {
  CompiledQuery,
  sql,
  SqliteDialect,
  SqliteDriver,
  type DatabaseConnection,
  type Driver,
} from 'kysely';
import type { Kysely, SqliteDatabase, SqliteDialectConfig, SqliteStatement } from 'kysely';
import type { Tables } from './schema.ts';

/** How long a statement waits for another process's write: the process stands still meanwhile. */
const busyTimeoutMs = 5000;
/** Nothing is served yet while the state is opened, and others that open it migrate it first. */
const openingTimeoutMs = 60_000;
const sqliteBusy = 5;

/** The file is made (0600; its directory 0700) when it is not there. SQLite gives its -wal and -shm the same mode. */
export async function sqliteDialect(file: string): Promise<SqliteDialect> {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  closeSync(openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  chmodSync(file, 0o600);
  const database = new DatabaseSync(file, { timeout: openingTimeoutMs });
  try {
    await enterWal(database);
    database.exec('pragma synchronous = full; pragma foreign_keys = on;');
  } catch (error) {
    database.close();
    throw error;
  }
  return new NodeSqliteDialect({ database: new Database(database) });
}

/** From now on it serves. */
export async function shortenWaits(db: Kysely<Tables>): Promise<void> {
  await sql`pragma busy_timeout = ${sql.lit(busyTimeoutMs)}`.execute(db);
}

/** The one statement for which SQLite does not wait: several processes that make the file at once meet here. */
async function enterWal(database: DatabaseSync): Promise<void> {
  const endMs = performance.now() + openingTimeoutMs;
  for (;;) {
    try {
      database.exec('pragma journal_mode = wal');
      return;
    } catch (error) {
      const busy = error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy;
      if (!busy || performance.now() > endMs) throw error;
      await setTimeout(10);
    }
  }
}

class NodeSqliteDialect extends SqliteDialect {
  readonly #config: SqliteDialectConfig;

  constructor(config: SqliteDialectConfig) {
    super(config);
    this.#config = config;
  }

  override createDriver(): Driver {
    return new ImmediateDriver(this.#config);
  }
}

class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }
}

/** What Kysely expects of a database, over node:sqlite; statements are prepared once. */
class Database implements SqliteDatabase {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  prepare(text: string): SqliteStatement {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(text);
    const prepared: SqliteStatement = {
      reader: statement.columns().length > 0,
      all: (parameters) => statement.all(...values(parameters)),
      run: (parameters) => statement.run(...values(parameters)),
      iterate: (parameters) => statement.iterate(...values(parameters)),
    };
    if (this.#statements.size < 200) this.#statements.set(text, prepared);
    return prepared;
  }
}

const values = (parameters: readonly unknown[]): SQLInputValue[] => parameters.map(value);

function value(parameter: unknown): SQLInputValue {
  if (parameter === null || typeof parameter === 'string' || typeof parameter === 'number') return parameter;
  if (typeof parameter === 'bigint' || parameter instanceof Uint8Array) return parameter;
  throw new TypeError(`SQLite cannot store a ${typeof parameter}`);
}
