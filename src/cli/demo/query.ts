/** A query as Ana would make it: by psql where it is installed, else by the `pg` driver. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { formatTable } from '../table.ts';
import { findPostgres } from './cluster.ts';
import { run } from './hoop.ts';

export interface Query {
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly sql: string;
}

export interface Answer {
  /** As a person would type it. */
  readonly command: string;
  readonly output: string;
  /** Path of psql; null where it is missing. */
  readonly psql: string | null;
}

export async function queryThrough(query: Query): Promise<Answer> {
  const psql = findPsql();
  const { port, user, database, sql } = query;
  if (psql === null) return byDriver(query);
  const address = `host=127.0.0.1 port=${port} user=${user} dbname=${database}`;
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', LANG: 'C.UTF-8' };
  const { output } = await run(psql, ['-X', address, '-c', sql], { env });
  return { command: `psql "${address}" -c "${sql}"`, output, psql };
}

async function byDriver({ port, user, database, sql }: Query): Promise<Answer> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, database });
  await client.connect();
  try {
    const { rows, fields } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    const cells = rows.map((row) => row.map(String));
    const output = formatTable(
      fields.map(({ name }) => name),
      cells,
      { width: null },
    );
    const url = `postgres://${user}@127.0.0.1:${port}/${database}`;
    return { command: `(the pg driver, as psql is not installed) ${url} ${sql}`, output, psql: null };
  } finally {
    await client.end();
  }
}

function findPsql(): string | null {
  const directories = [findPostgres() ?? '', ...(process.env['PATH'] ?? '').split(path.delimiter)];
  const files = directories
    .filter((directory) => directory !== '')
    .map((directory) => path.join(directory, 'psql'));
  return files.find((file) => existsSync(file)) ?? null;
}
