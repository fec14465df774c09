/** What people let agents do for them, by the digest of the token that the agent got. */
import type { Kysely } from 'kysely';
import type { LoginScope } from '../../identity/authenticator.ts';
import type { LoginId } from '../../model/ids.ts';
import type { Clock } from '../../system/clock.ts';
import type { Tables } from './schema.ts';

export interface Delegation {
  readonly id: string;
  /** The person's login. */
  readonly login: LoginId;
  /** Id of the agent's account. */
  readonly account: string;
  readonly scope: LoginScope;
  /** The compact JWS that the person signed. */
  readonly request: string;
  readonly expiresAtMs: number;
}

export class Delegations {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** @param digest SHA-256 of the token, hex */
  async add(digest: string, delegation: Delegation): Promise<void> {
    const { id, login, account, scope, request, expiresAtMs } = delegation;
    await this.#db
      .insertInto('delegations')
      .values({
        id,
        digest,
        login_id: login,
        account_id: account,
        scope: JSON.stringify(scope),
        request,
        expires_at: expiresAtMs,
      })
      .execute();
  }

  /** What a person's login lets an agent do: its tokens are worth nothing from now on. */
  async removeOf(login: LoginId, account: string): Promise<void> {
    await this.#db
      .deleteFrom('delegations')
      .where('login_id', '=', login)
      .where('account_id', '=', account)
      .execute();
  }

  /** Null when there is none, or its time is over. */
  async byDigest(digest: string): Promise<Delegation | null> {
    const row = await this.#db
      .selectFrom('delegations')
      .selectAll()
      .where('digest', '=', digest)
      .where('expires_at', '>', this.#clock.wallMs())
      .executeTakeFirst();
    if (row === undefined) return null;
    return {
      id: row.id,
      login: row.login_id as LoginId,
      account: row.account_id,
      scope: JSON.parse(row.scope),
      request: row.request,
      expiresAtMs: row.expires_at,
    };
  }
}
