/** What the embedded provider keeps between two requests, with an expiry. The payloads are the provider's own. */
import type { Kysely } from 'kysely';
import type { Clock } from '../../system/clock.ts';
import type { ArtefactRow, Tables } from './schema.ts';

export interface Artefact {
  readonly model: string;
  readonly id: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly grantId: string | null;
  /** Whose it is; null when it is nobody's yet. */
  readonly accountId: string | null;
  readonly userCode: string | null;
  readonly uid: string | null;
  readonly expiresAtMs: number;
}

export interface StoredArtefact {
  readonly id: string;
  readonly payload: Record<string, unknown>;
  readonly consumedAtMs: number | null;
}

export class Artefacts {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Whether it was consumed is kept when it is written again. */
  async put(artefact: Artefact): Promise<void> {
    const values = {
      payload: JSON.stringify(artefact.payload),
      grant_id: artefact.grantId,
      account_id: artefact.accountId,
      user_code: artefact.userCode,
      uid: artefact.uid,
      expires_at: artefact.expiresAtMs,
    };
    await this.#db
      .insertInto('artefacts')
      .values({ model: artefact.model, id: artefact.id, consumed_at: null, ...values })
      .onConflict((conflict) => conflict.columns(['model', 'id']).doUpdateSet(values))
      .execute();
  }

  /** Null when there is none, or it has expired. */
  find(model: string, by: 'id' | 'user_code' | 'uid', value: string): Promise<StoredArtefact | null> {
    return this.#db
      .selectFrom('artefacts')
      .selectAll()
      .where('model', '=', model)
      .where(by, '=', value)
      .where('expires_at', '>', this.#clock.wallMs())
      .executeTakeFirst()
      .then((row) => (row === undefined ? null : artefactOf(row)));
  }

  /** False when it had been consumed before, or is gone: of two that race, one gets true. */
  async consume(model: string, id: string): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('artefacts')
      .set({ consumed_at: this.#clock.wallMs() })
      .where('model', '=', model)
      .where('id', '=', id)
      .where('consumed_at', 'is', null)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  async remove(model: string, id: string): Promise<void> {
    await this.#db.deleteFrom('artefacts').where('model', '=', model).where('id', '=', id).execute();
  }

  /** Everything that was issued to the account: its refresh tokens are worth nothing afterwards. */
  async removeAccount(accountId: string): Promise<void> {
    await this.#db.deleteFrom('artefacts').where('account_id', '=', accountId).execute();
  }

  /**
   * Everything that was issued under the grants whose refresh token is bound to the key (RFC 9449).
   * @param jkt RFC 7638 thumbprint; a key is of one login
   */
  async removeBoundTo(jkt: string): Promise<void> {
    const rows = await this.#db
      .selectFrom('artefacts')
      .select(['grant_id', 'payload'])
      .where('model', '=', 'RefreshToken')
      .execute();
    for (const { grant_id: grant, payload } of rows)
      if (grant !== null && JSON.parse(payload).jkt === jkt) await this.removeGrant(grant);
  }

  /** Everything that was issued under the grant. */
  async removeGrant(grantId: string): Promise<void> {
    await this.#db.deleteFrom('artefacts').where('grant_id', '=', grantId).execute();
  }
}

const artefactOf = (row: ArtefactRow): StoredArtefact => ({
  id: row.id,
  payload: JSON.parse(row.payload),
  consumedAtMs: row.consumed_at,
});
