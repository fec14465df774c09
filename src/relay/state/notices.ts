/**
 * Word between the relay processes that share a PostgreSQL, by LISTEN and NOTIFY: that something changed, never what. It
 * only makes things quick: a notice may be lost (a broken connection, a pooler between), so whoever listens also polls.
 */
import { sql, type Kysely, type Transaction } from 'kysely';
import pg from 'pg';
import type { Tables } from './schema.ts';

const channel = 'hoop_reviews';
const reconnectMs = 1000;

/** One connection of its own, made again when it breaks. */
export class PostgresNotices {
  readonly #url: string;
  readonly #onError: (error: Error) => void;
  readonly #listeners = new Set<() => void>();
  #client: pg.Client | null = null;
  #again: NodeJS.Timeout | null = null;
  #closed = false;

  private constructor(url: string, onError: (error: Error) => void) {
    this.#url = url;
    this.#onError = onError;
  }

  /** @param url holds a password: it never enters a message */
  static start(url: string, onError: (error: Error) => void): PostgresNotices {
    const notices = new PostgresNotices(url, onError);
    void notices.#connect();
    return notices;
  }

  /** Returns how to stop. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Heard by all processes once the transaction is committed. */
  async send(transaction: Transaction<Tables> | Kysely<Tables>): Promise<void> {
    await sql`select pg_notify(${channel}, '')`.execute(transaction);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#again !== null) clearTimeout(this.#again);
    await this.#client?.end().catch(() => undefined);
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      connectionTimeoutMillis: 5000,
      keepAlive: true,
      application_name: 'hoop relay notices',
    });
    this.#client = client;
    client.on('notification', () => this.#tell());
    client.on('error', this.#onError);
    client.once('end', () => this.#reconnect());
    try {
      await client.connect();
      await client.query(`listen ${channel}`);
      // What was said before.
      this.#tell();
    } catch (error) {
      if (!this.#closed && error instanceof Error) this.#onError(error);
      await client.end().catch(() => undefined);
      this.#reconnect();
    }
  }

  #reconnect(): void {
    if (this.#closed || this.#again !== null) return;
    this.#again = setTimeout(() => {
      this.#again = null;
      void this.#connect();
    }, reconnectMs).unref();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
