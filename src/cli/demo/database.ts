/**
 * The tour's database: a private cluster of the PostgreSQL that is installed; where there is none, PGlite (PostgreSQL
 * compiled to WebAssembly) behind a socket. Filled with a thousand made-up customers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { findPostgres, freePort, initCluster, serverDirectory, startCluster } from './cluster.ts';
import type { TargetAddress } from './installation.ts';

export interface Database extends TargetAddress {
  /** What it is, for people. */
  readonly label: string;
  stop(): Promise<void>;
}

const customers = `
  CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL, city text NOT NULL,
    since date NOT NULL);
  INSERT INTO customers
    SELECT id, (ARRAY['Ada','Bruno','Chen','Dara','Emil','Fatou'])[id % 6 + 1] || ' ' || 'No. ' || id,
           'customer-' || id || '@example.org',
           (ARRAY['Lisbon','Osaka','Accra','Quito'])[id % 4 + 1], date '2020-01-01' + id
    FROM generate_series(1, 1000) AS id;
`;

export type DatabaseKind = 'installed' | 'pglite';

/** @param kind `pglite` even where a PostgreSQL is installed */
export async function startDatabase(kind: DatabaseKind): Promise<Database> {
  const binDir = kind === 'pglite' ? null : findPostgres();
  return binDir === null ? startPglite() : startServer(binDir);
}

async function startServer(binDir: string): Promise<Database> {
  // Not below the tour's own directory: the server may run as another user, who cannot go in there.
  const directory = mkdtempSync(path.join(tmpdir(), 'hoop-demo-postgres-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    serverDirectory(directory);
    const dataDir = path.join(directory, 'data');
    const [superuser, password] = [crypto.randomUUID(), crypto.randomUUID()];
    await initCluster(binDir, dataDir, superuser);
    const cluster = await startCluster(binDir, dataDir);
    const at = { host: '127.0.0.1', port: cluster.port };
    const stop = async () => {
      await cluster.stop();
      remove();
    };
    try {
      const admin = { ...at, user: 'postgres', password: superuser };
      const version = await execute({ ...admin, database: 'postgres' }, 'SHOW server_version');
      await execute({ ...admin, database: 'postgres' }, `CREATE ROLE app LOGIN PASSWORD '${password}'`);
      await execute({ ...admin, database: 'postgres' }, 'CREATE DATABASE app OWNER app');
      await execute({ ...at, user: 'app', password, database: 'app' }, customers);
      const label = `the PostgreSQL ${version.split(' ')[0]} installed here, started privately`;
      return { ...at, database: 'app', user: 'app', password, label, stop };
    } catch (error) {
      await stop();
      throw error;
    }
  } catch (error) {
    remove();
    throw error;
  }
}

async function startPglite(): Promise<Database> {
  const { PGlite } = await import('@electric-sql/pglite');
  const { PGLiteSocketServer } = await import('@electric-sql/pglite-socket');
  const db = await PGlite.create();
  await db.exec(customers);
  const port = await freePort();
  const server = new PGLiteSocketServer({ db, port, host: '127.0.0.1', maxConnections: 16 });
  await server.start();
  return {
    host: '127.0.0.1',
    port,
    database: 'postgres',
    user: 'postgres',
    password: 'not-asked-for',
    label: findPostgres() === null ? 'PGlite, as no PostgreSQL is installed here' : 'PGlite',
    // Not db.close(): connections that end after it would still ask the database. It lives in memory alone.
    stop: () => server.stop(),
  };
}

/** First value of the first row, as text. */
async function execute(address: TargetAddress, sql: string): Promise<string> {
  const client = new pg.Client({ ...address });
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(sql);
    return String(Object.values(result.rows?.[0] ?? {})[0] ?? '');
  } finally {
    await client.end();
  }
}
