/**
 * Migrations that run on both databases. Append only: what was released is never edited. All that are missing run in one
 * transaction that holds the database's own lock, so any number of processes may start at once.
 */
import { sql, type Kysely, type Transaction } from 'kysely';
import { StateError } from './error.ts';
import type { Tables } from './schema.ts';

interface Migration {
  readonly name: string;
  up(db: Transaction<Tables>): Promise<void>;
}

const migrations: readonly Migration[] = [
  {
    name: '0001-first',
    async up(db) {
      for (const statement of first) await sql.raw(statement).execute(db);
    },
  },
  {
    name: '0002-reviews',
    async up(db) {
      for (const statement of reviews) await sql.raw(statement).execute(db);
    },
  },
  {
    name: '0003-authentication',
    async up(db) {
      for (const statement of authentication) await sql.raw(statement).execute(db);
    },
  },
  {
    name: '0004-machines',
    async up(db) {
      for (const statement of machines) await sql.raw(statement).execute(db);
    },
  },
  {
    name: '0005-broker',
    async up(db) {
      for (const statement of broker) await sql.raw(statement).execute(db);
    },
  },
  {
    name: '0007-lifecycle',
    async up(db) {
      for (const statement of lifecycle) await sql.raw(statement).execute(db);
    },
  },
];

const first = [
  `create table users (id text primary key, email text not null unique, groups text not null,
     password_hash text not null, disabled integer not null, created_at bigint not null, updated_at bigint not null)`,
  `create table artefacts (model text not null, id text not null, payload text not null, grant_id text, account_id text,
     user_code text, uid text, consumed_at bigint, expires_at bigint not null, primary key (model, id))`,
  `create index artefacts_grant on artefacts (grant_id)`,
  `create index artefacts_account on artefacts (account_id)`,
  `create index artefacts_user_code on artefacts (user_code)`,
  `create index artefacts_uid on artefacts (uid)`,
  `create index artefacts_expiry on artefacts (expires_at)`,
  `create table logins (id text primary key, kind text not null, issuer text not null, subject text not null, email text,
     groups text not null, jkt text not null, public_jwk text not null, created_at bigint not null,
     renewed_at bigint not null, valid_until bigint not null, ended_at bigint, ended_reason text,
     entry text not null)`,
  `create index logins_principal on logins (issuer, subject)`,
  `create table sessions (id text primary key, login_id text not null references logins (id), target text not null,
     process_id text not null, reason text, task text, opened_at bigint not null, deadline bigint not null,
     closed_at bigint, outcome text, kill_requested_at bigint, kill_request text, kill_login_id text)`,
  `create index sessions_process on sessions (process_id, closed_at)`,
  `create index sessions_login on sessions (login_id)`,
  `create table replay (id text primary key, expires_at bigint not null)`,
  `create index replay_expiry on replay (expires_at)`,
  `create table attempts (key text primary key, window_started_at bigint not null, count integer not null)`,
  `create table settings (key text primary key, value text not null)`,
];

const reviews = [
  `create table reviews (id text primary key, session_id text not null, process_id text not null, state text not null,
     kind text not null, issuer text not null, subject text not null, email text, groups text not null,
     target text not null, reason text, task text, command_text text not null, parameters text,
     parameter_types text not null, encoding text not null, facts text not null, policies text not null,
     needed text not null, digest text not null, created_at bigint not null, expires_at bigint not null,
     changed bigint not null)`,
  `create index reviews_state on reviews (state, expires_at)`,
  `create index reviews_changed on reviews (changed)`,
  `create index reviews_session on reviews (session_id)`,
  `create table review_decisions (review_id text not null references reviews (id) on delete cascade, kind text not null,
     issuer text not null, subject text not null, email text, groups text not null, login_id text not null,
     decision text not null, reason text, request text not null, decided_at bigint not null, standing text not null,
     primary key (review_id, issuer, subject))`,
  `create table counters (name text primary key, value bigint not null)`,
  `insert into counters (name, value) values ('reviews', 0)`,
];

const authentication = [
  `alter table logins add column auth_time bigint`,
  `alter table logins add column acr text`,
  `alter table logins add column amr text not null default '[]'`,
];

const machines = [
  `create table service_accounts (id text primary key, name text not null unique, kind text not null,
     groups text not null, disabled integer not null, expires_at bigint, created_at bigint not null)`,
  `create table service_credentials (id text primary key,
     account_id text not null references service_accounts (id) on delete cascade, kind text not null,
     value text not null, created_at bigint not null, valid_until bigint)`,
  `create index service_credentials_account on service_credentials (account_id)`,
  `create table delegations (id text primary key, digest text not null unique, login_id text not null,
     account_id text not null references service_accounts (id) on delete cascade, scope text not null,
     request text not null, expires_at bigint not null)`,
  `create index delegations_expiry on delegations (expires_at)`,
  `alter table logins add column acts_for text`,
  `alter table logins add column acts_for_issuer text`,
  `alter table logins add column acts_for_subject text`,
  `alter table logins add column parent_id text`,
  `alter table logins add column scope text`,
  `create index logins_acts_for on logins (acts_for_issuer, acts_for_subject)`,
  `alter table reviews add column acts_for text`,
  `alter table review_decisions add column acts_for text`,
];

const broker = [
  `create table upstream_sign_ins (id text primary key, upstream text not null, issuer text not null, subject text not null,
     session text, identity text not null, login_id text, created_at bigint not null, expires_at bigint not null,
     leased_by text, leased_until bigint not null)`,
  `create index upstream_sign_ins_subject on upstream_sign_ins (subject)`,
  `create index upstream_sign_ins_session on upstream_sign_ins (session)`,
  `create index upstream_sign_ins_login on upstream_sign_ins (login_id)`,
  `create index upstream_sign_ins_expiry on upstream_sign_ins (expires_at)`,
];

const lifecycle = [
  `alter table logins add column ended_by text`,
  `alter table logins add column end_untold integer not null default 0`,
  `create index logins_untold on logins (end_untold)`,
  `create index logins_key on logins (jkt)`,
  `alter table sessions add column kill_operator text`,
];

/** Any constant will do, as long as nothing else in the database takes the same advisory lock. */
const advisoryLock = 7_310_579_203;

/**
 * @throws StateError `state-too-new` when the database was migrated by a newer version; it is left untouched
 */
export async function migrate(db: Kysely<Tables>, kind: 'sqlite' | 'postgres'): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    // SQLite: every transaction of our dialect begins immediate, which is the lock.
    if (kind === 'postgres') await sql`select pg_advisory_xact_lock(${advisoryLock})`.execute(transaction);
    await sql`create table if not exists migrations (name text primary key, applied_at bigint not null)`.execute(
      transaction,
    );
    const { rows } = await sql<{ name: string }>`select name from migrations`.execute(transaction);
    const applied = new Set(rows.map(({ name }) => name));
    const known = new Set(migrations.map(({ name }) => name));
    if (![...applied].every((name) => known.has(name)))
      throw new StateError('state-too-new', 'The state was written by a newer version of hoop.', {
        hint: 'start the newer version, or restore a copy of the state from before the upgrade',
      });
    for (const migration of migrations) {
      if (applied.has(migration.name)) continue;
      await migration.up(transaction);
      await sql`insert into migrations (name, applied_at) values (${migration.name}, ${Date.now()})`.execute(
        transaction,
      );
    }
  });
}
