/** Kysely over PostgreSQL (`pg`), for several relays that share one state. */
import { PostgresDialect } from 'kysely';
import pg from 'pg';

/** `bigint` comes back as a number: every one of ours is a time in milliseconds or a small count. */
const int8 = 20;

/**
 * @param url `postgres://…`; holds a password, so it never enters a message
 * @param onError told when an idle connection breaks; the pool makes a new one
 */
export function postgresDialect(url: string, onError: (error: Error) => void): PostgresDialect {
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 30_000,
    query_timeout: 10_000,
    application_name: 'hoop relay',
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === int8 ? exactInteger : pg.types.getTypeParser(oid, format),
    },
  });
  pool.on('error', onError);
  return new PostgresDialect({ pool });
}

function exactInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('bigint beyond 2^53 in the state');
  return value;
}
