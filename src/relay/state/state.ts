/**
 * The relay's state: people of the embedded provider, service accounts, what that provider keeps, logins, sessions, reviews, what was used
 * once. One schema on `node:sqlite` (the default) and on PostgreSQL (several relays). The record is never in here.
 *
 * Invariant: nothing assumes to be the only process; what must happen once is one statement whose row count decides.
 */
import { Kysely, sql } from 'kysely';
import { systemClock, type Clock } from '../../system/clock.ts';
import { Artefacts } from './artefacts.ts';
import { Attempts, Replay, Settings } from './counters.ts';
import { StateError } from './error.ts';
import { Logins } from './logins.ts';
import { migrate } from './migrations.ts';
import { postgresDialect } from './postgres.ts';
import type { Tables } from './schema.ts';
import { PostgresNotices } from './notices.ts';
import { Reviews } from './reviews.ts';
import { Delegations } from './delegations.ts';
import { ServiceAccounts } from './service-accounts.ts';
import { Sessions } from './sessions.ts';
import { shortenWaits, sqliteDialect } from './sqlite.ts';
import { UpstreamSignIns } from './upstream-sign-ins.ts';
import { Users } from './users.ts';

export interface StateOptions {
  readonly clock?: Clock;
  /** Told of what goes wrong in the background: a broken idle connection, a sweep that failed. */
  readonly onError?: (error: Error) => void;
}

const sweepMs = 60_000;
const keptMs = 30 * 86_400_000;

export class State {
  readonly users: Users;
  readonly serviceAccounts: ServiceAccounts;
  readonly delegations: Delegations;
  readonly artefacts: Artefacts;
  readonly logins: Logins;
  readonly upstreamSignIns: UpstreamSignIns;
  readonly sessions: Sessions;
  readonly reviews: Reviews;
  readonly replay: Replay;
  readonly attempts: Attempts;
  readonly settings: Settings;
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;
  readonly #sweeper: NodeJS.Timeout;
  readonly #notices: PostgresNotices | null;

  private constructor(
    db: Kysely<Tables>,
    clock: Clock,
    onError: (error: Error) => void,
    notices: PostgresNotices | null,
  ) {
    this.#db = db;
    this.#clock = clock;
    this.users = new Users(db, clock);
    this.serviceAccounts = new ServiceAccounts(db, clock);
    this.delegations = new Delegations(db, clock);
    this.artefacts = new Artefacts(db, clock);
    this.logins = new Logins(db, clock);
    this.upstreamSignIns = new UpstreamSignIns(db, clock);
    this.sessions = new Sessions(db, clock);
    this.reviews = new Reviews(db, clock, notices);
    this.#notices = notices;
    this.replay = new Replay(db);
    this.attempts = new Attempts(db, clock);
    this.settings = new Settings(db);
    this.#sweeper = setInterval(() => void this.sweep().catch(onError), sweepMs).unref();
  }

  /**
   * Opens and migrates; any number of processes may do so at once.
   * @param location a file's path, or `postgres://…` (holds a password: never logged)
   * @throws StateError `state-unavailable`, `state-too-new`, `state-location-invalid`
   */
  static async open(location: string, options: StateOptions = {}): Promise<State> {
    const onError = options.onError ?? (() => undefined);
    const kind = kindOf(location);
    let db: Kysely<Tables> | null = null;
    try {
      const dialect =
        kind === 'postgres' ? postgresDialect(location, onError) : await sqliteDialect(location);
      db = new Kysely<Tables>({ dialect });
      await migrate(db, kind);
      if (kind === 'sqlite') await shortenWaits(db);
      const notices = kind === 'postgres' ? PostgresNotices.start(location, onError) : null;
      return new State(db, options.clock ?? systemClock, onError, notices);
    } catch (cause) {
      await db?.destroy().catch(onError);
      if (cause instanceof StateError) throw cause;
      throw new StateError('state-unavailable', 'The state of the relay cannot be opened.', { cause });
    }
  }

  /** True when the store answers. */
  async ready(): Promise<boolean> {
    return sql`select 1`.execute(this.#db).then(
      () => true,
      () => false,
    );
  }

  /** Removes what has expired; runs by itself every minute. */
  async sweep(): Promise<void> {
    const now = this.#clock.wallMs();
    await this.#db.deleteFrom('artefacts').where('expires_at', '<=', now).execute();
    await this.#db.deleteFrom('replay').where('expires_at', '<=', now).execute();
    await this.#db
      .deleteFrom('attempts')
      .where('window_started_at', '<=', now - 86_400_000)
      .execute();
    await this.#db.deleteFrom('delegations').where('expires_at', '<=', now).execute();
    await this.upstreamSignIns.sweep();
    await this.reviews.sweep();
    await this.#db
      .deleteFrom('sessions')
      .where('closed_at', '<=', now - keptMs)
      .execute();
    await this.#db
      .deleteFrom('logins')
      .where('valid_until', '<=', now - keptMs)
      .where('id', 'not in', (query) => query.selectFrom('sessions').select('login_id'))
      .execute();
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    await this.#notices?.close();
    await this.#db.destroy();
  }
}

function kindOf(location: string): 'sqlite' | 'postgres' {
  if (/^postgres(ql)?:\/\//.test(location)) return 'postgres';
  if (location === '' || /^[a-z][a-z0-9+.-]+:\/\//i.test(location))
    throw new StateError(
      'state-location-invalid',
      'The location of the state is no file and no postgres:// URL.',
    );
  return 'sqlite';
}
