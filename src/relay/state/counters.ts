/** Small shared memory of all relay processes: what was used once, how often something was tried, named settings. */
import { hash } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import type { ReplayCache } from '../../identity/replay.ts';
import type { Clock } from '../../system/clock.ts';
import type { Tables } from './schema.ts';

/** See `identity/replay.ts`. */
export class Replay implements ReplayCache {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async firstUse(id: string, expiresAtMs: number): Promise<boolean> {
    const { numInsertedOrUpdatedRows } = await this.#db
      .insertInto('replay')
      .values({ id, expires_at: Math.ceil(expiresAtMs) })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow();
    return numInsertedOrUpdatedRows === 1n;
  }
}

export interface Attempt {
  /** This one included. */
  readonly count: number;
  /** When the counting starts anew. */
  readonly resetInMs: number;
}

/** Counts per key in fixed windows of time. Keys are stored as digests. */
export class Attempts {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Counts before the thing is tried, so that tries at the same time are all counted. */
  async count(key: string, windowMs: number): Promise<Attempt> {
    const now = this.#clock.wallMs();
    const over = sql<boolean>`attempts.window_started_at <= ${now - windowMs}`;
    const row = await this.#db
      .insertInto('attempts')
      .values({ key: digest(key), window_started_at: now, count: 1 })
      .onConflict((conflict) =>
        conflict.column('key').doUpdateSet({
          count: sql`case when ${over} then 1 else attempts.count + 1 end`,
          window_started_at: sql`case when ${over} then ${now} else attempts.window_started_at end`,
        }),
      )
      .returning(['count', 'window_started_at'])
      .executeTakeFirstOrThrow();
    return { count: row.count, resetInMs: row.window_started_at + windowMs - now };
  }

  /** Takes one counted attempt back: it turned out to be no failure. */
  async forgive(key: string): Promise<void> {
    await this.#db
      .updateTable('attempts')
      .set({ count: sql`count - 1` })
      .where('key', '=', digest(key))
      .where('count', '>', 0)
      .execute();
  }

  async clear(key: string): Promise<void> {
    await this.#db.deleteFrom('attempts').where('key', '=', digest(key)).execute();
  }
}

const digest = (key: string): string => hash('sha256', key, 'base64url');

/** Named values that all processes share. Not for secrets. */
export class Settings {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async get(key: string): Promise<string | null> {
    const row = await this.#db
      .selectFrom('settings')
      .select('value')
      .where('key', '=', key)
      .executeTakeFirst();
    return row?.value ?? null;
  }

  async set(key: string, value: string): Promise<void> {
    await this.#db
      .insertInto('settings')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
  }
}
