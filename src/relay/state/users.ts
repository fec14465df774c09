/** People of the embedded provider. Passwords come here hashed (`relay/idp/password.ts`), never plain. */
import type { Kysely } from 'kysely';
import type { Clock } from '../../system/clock.ts';
import { ulid } from '../../system/ulid.ts';
import type { Tables, UserRow } from './schema.ts';

export interface User {
  /** Subject (`sub`) at the embedded provider; never used again for somebody else. */
  readonly id: string;
  readonly email: string;
  readonly groups: readonly string[];
  readonly disabled: boolean;
  readonly createdAtMs: number;
}

export class Users {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Null when somebody has that address already. Addresses are compared without case. */
  async add(email: string, groups: readonly string[], passwordHash: string): Promise<User | null> {
    const now = this.#clock.wallMs();
    const row = await this.#db
      .insertInto('users')
      .values({
        id: ulid(now),
        email: email.toLowerCase(),
        groups: groupsText(groups),
        password_hash: passwordHash,
        disabled: 0,
        created_at: now,
        updated_at: now,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returningAll()
      .executeTakeFirst();
    return row === undefined ? null : userOf(row);
  }

  async byId(id: string): Promise<User | null> {
    const row = await this.#db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? null : userOf(row);
  }

  async byEmail(email: string): Promise<User | null> {
    const row = await this.#row(email);
    return row === undefined ? null : userOf(row);
  }

  /** The hash too, to check a password against. */
  async credentialsOf(email: string): Promise<{ user: User; passwordHash: string } | null> {
    const row = await this.#row(email);
    return row === undefined ? null : { user: userOf(row), passwordHash: row.password_hash };
  }

  /** By address. */
  async list(): Promise<User[]> {
    return (await this.#db.selectFrom('users').selectAll().orderBy('email').execute()).map(userOf);
  }

  setGroups(id: string, groups: readonly string[]): Promise<boolean> {
    return this.#set(id, { groups: groupsText(groups) });
  }

  setPasswordHash(id: string, passwordHash: string): Promise<boolean> {
    return this.#set(id, { password_hash: passwordHash });
  }

  /** Ends no login by itself: see `Accounts`. */
  setDisabled(id: string, disabled: boolean): Promise<boolean> {
    return this.#set(id, { disabled: disabled ? 1 : 0 });
  }

  /** Ends no login by itself: see `Accounts`. */
  async remove(id: string): Promise<boolean> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('users')
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    return numDeletedRows > 0n;
  }

  #row(email: string): Promise<UserRow | undefined> {
    return this.#db
      .selectFrom('users')
      .selectAll()
      .where('email', '=', email.toLowerCase())
      .executeTakeFirst();
  }

  async #set(id: string, values: Partial<UserRow>): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('users')
      .set({ ...values, updated_at: this.#clock.wallMs() })
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }
}

const groupsText = (groups: readonly string[]): string => JSON.stringify([...new Set(groups)].toSorted());

function userOf(row: UserRow): User {
  return {
    id: row.id,
    email: row.email,
    groups: JSON.parse(row.groups),
    disabled: row.disabled !== 0,
    createdAtMs: row.created_at,
  };
}
