/** Service accounts with their keys and the digests of their secrets. A secret never comes here plain. */
import type { Kysely } from 'kysely';
import type { PublicJwk } from '../../identity/login-key.ts';
import type { ServiceAccount, ServiceCredential } from '../../identity/service-account.ts';
import type { Clock } from '../../system/clock.ts';
import { ulid } from '../../system/ulid.ts';
import type { ServiceAccountRow, ServiceCredentialRow, Tables } from './schema.ts';

export interface NewServiceAccount {
  readonly name: string;
  readonly kind: 'service' | 'agent';
  readonly groups: readonly string[];
  readonly expiresAtMs: number | null;
}

/** What a service account signs in by, before it is stored. */
export type NewCredential =
  | { readonly kind: 'key'; readonly publicJwk: PublicJwk }
  | { readonly kind: 'secret'; readonly digest: string };

export class ServiceAccounts {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Null when an account has that name. An agent that only acts for people needs no credential of its own. */
  add(account: NewServiceAccount, credential: NewCredential | null): Promise<ServiceAccount | null> {
    const now = this.#clock.wallMs();
    return this.#db.transaction().execute(async (db) => {
      const row = await db
        .insertInto('service_accounts')
        .values({
          id: `${account.name}:${ulid(now)}`,
          name: account.name,
          kind: account.kind,
          groups: JSON.stringify([...new Set(account.groups)].toSorted()),
          disabled: 0,
          expires_at: account.expiresAtMs,
          created_at: now,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) return null;
      const made = credential === null ? [] : [credentialRow(row.id, credential, now)];
      if (made.length > 0) await db.insertInto('service_credentials').values(made).execute();
      return accountOf(row, made);
    });
  }

  async byName(name: string): Promise<ServiceAccount | null> {
    return (await this.#find('name', name))[0] ?? null;
  }

  async byId(id: string): Promise<ServiceAccount | null> {
    return (await this.#find('id', id))[0] ?? null;
  }

  /** By name. */
  list(): Promise<ServiceAccount[]> {
    return this.#find(null, '');
  }

  /**
   * Puts a credential in the place of the one in use, which goes on for `overlapMs`; one that was on its way out already goes
   * at once. False when the account has gone.
   */
  rotate(id: string, credential: NewCredential, overlapMs: number): Promise<boolean> {
    const now = this.#clock.wallMs();
    return this.#db.transaction().execute(async (db) => {
      const account = await db
        .selectFrom('service_accounts')
        .select('id')
        .where('id', '=', id)
        .executeTakeFirst();
      if (account === undefined) return false;
      const before = db.deleteFrom('service_credentials').where('account_id', '=', id);
      await (overlapMs === 0 ? before : before.where('valid_until', 'is not', null)).execute();
      await db
        .updateTable('service_credentials')
        .set({ valid_until: now + overlapMs })
        .where('account_id', '=', id)
        .execute();
      await db
        .insertInto('service_credentials')
        .values(credentialRow(id, credential, now))
        .execute();
      return true;
    });
  }

  /** Ends no login by itself. */
  async setDisabled(id: string, disabled: boolean): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('service_accounts')
      .set({ disabled: disabled ? 1 : 0 })
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  /** With its credentials and what people delegated to it. Ends no login by itself. */
  async remove(id: string): Promise<boolean> {
    return this.#db.transaction().execute(async (db) => {
      await db.deleteFrom('service_credentials').where('account_id', '=', id).execute();
      await db.deleteFrom('delegations').where('account_id', '=', id).execute();
      const { numDeletedRows } = await db
        .deleteFrom('service_accounts')
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      return numDeletedRows > 0n;
    });
  }

  async #find(by: 'name' | 'id' | null, value: string): Promise<ServiceAccount[]> {
    const all = this.#db.selectFrom('service_accounts').selectAll().orderBy('name');
    const rows = await (by === null ? all : all.where(by, '=', value)).execute();
    if (rows.length === 0) return [];
    const ids = rows.map(({ id }) => id);
    const credentials = await this.#db
      .selectFrom('service_credentials')
      .selectAll()
      .where((where) => (by === null ? where.lit(true) : where('account_id', 'in', ids)))
      .orderBy('created_at', 'desc')
      .execute();
    return rows.map((row) =>
      accountOf(
        row,
        credentials.filter(({ account_id }) => account_id === row.id),
      ),
    );
  }
}

const credentialRow = (account: string, credential: NewCredential, now: number): ServiceCredentialRow => ({
  id: ulid(now),
  account_id: account,
  kind: credential.kind,
  value: credential.kind === 'key' ? JSON.stringify(credential.publicJwk) : credential.digest,
  created_at: now,
  valid_until: null,
});

function accountOf(row: ServiceAccountRow, credentials: readonly ServiceCredentialRow[]): ServiceAccount {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind === 'agent' ? 'agent' : 'service',
    groups: JSON.parse(row.groups),
    disabled: row.disabled !== 0,
    expiresAtMs: row.expires_at,
    createdAtMs: row.created_at,
    credentials: credentials.map(credentialOf),
  };
}

const credentialOf = (row: ServiceCredentialRow): ServiceCredential => ({
  createdAtMs: row.created_at,
  validUntilMs: row.valid_until,
  ...(row.kind === 'key'
    ? { kind: 'key', publicJwk: JSON.parse(row.value) }
    : { kind: 'secret', digest: row.value }),
});
