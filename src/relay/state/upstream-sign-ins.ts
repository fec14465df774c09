/**
 * Sign-ins that an upstream of the embedded provider vouches for: whose, under which session there, and what its renewal
 * needs, encrypted by the provider. Renewing uses up a refresh token, so one process at a time does it, under a lease.
 */
import type { Kysely } from 'kysely';
import type { LoginId } from '../../model/ids.ts';
import { isLoginId } from '../../model/ids.ts';
import type { Clock } from '../../system/clock.ts';
import type { Tables, UpstreamSignInRow } from './schema.ts';

export interface NewUpstreamSignIn {
  /** Subject of the embedded provider's tokens; ULID. */
  readonly id: string;
  /** `Upstream.id`. */
  readonly upstream: string;
  readonly issuer: string;
  readonly subject: string;
  /** Of the upstream; null when it names none. */
  readonly session: string | null;
  /** Encrypted. */
  readonly identity: string;
  readonly expiresAtMs: number;
}

export interface UpstreamSignIn extends NewUpstreamSignIn {
  /** The login that was opened by it last. */
  readonly login: LoginId | null;
}

export class UpstreamSignIns {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async open(signIn: NewUpstreamSignIn): Promise<void> {
    const { expiresAtMs, ...columns } = signIn;
    await this.#db
      .insertInto('upstream_sign_ins')
      .values({
        ...columns,
        login_id: null,
        created_at: this.#clock.wallMs(),
        expires_at: expiresAtMs,
        leased_by: null,
        leased_until: 0,
      })
      .execute();
  }

  /** Null when it has ended. */
  async find(id: string): Promise<UpstreamSignIn | null> {
    const row = await this.#db
      .selectFrom('upstream_sign_ins')
      .selectAll()
      .where('id', '=', id)
      .where('expires_at', '>', this.#clock.wallMs())
      .executeTakeFirst();
    return row === undefined ? null : signInOf(row);
  }

  /** All of one session of the upstream, or of one subject there. */
  async of(upstream: string, by: 'session' | 'subject', value: string): Promise<UpstreamSignIn[]> {
    const rows = await this.#db
      .selectFrom('upstream_sign_ins')
      .selectAll()
      .where('upstream', '=', upstream)
      .where(by, '=', value)
      .execute();
    return rows.map(signInOf);
  }

  /**
   * The sign-in has this login from now on; nothing when the sign-in has ended.
   * @returns the login that it had; of two that come at once each takes the place of another
   */
  async hasLogin(id: string, login: LoginId): Promise<LoginId | null> {
    for (;;) {
      const row = await this.#db
        .selectFrom('upstream_sign_ins')
        .select('login_id')
        .where('id', '=', id)
        .executeTakeFirst();
      if (row === undefined) return null;
      const { numUpdatedRows } = await this.#db
        .updateTable('upstream_sign_ins')
        .set({ login_id: login })
        .where('id', '=', id)
        .where((where) =>
          row.login_id === null ? where('login_id', 'is', null) : where('login_id', '=', row.login_id),
        )
        .executeTakeFirstOrThrow();
      if (numUpdatedRows > 0n) return loginOf(row.login_id);
    }
  }

  /** True for one holder at a time, until it gives the lease back or the time is over. */
  async lease(id: string, holder: string, lengthMs: number): Promise<boolean> {
    const now = this.#clock.wallMs();
    const { numUpdatedRows } = await this.#db
      .updateTable('upstream_sign_ins')
      .set({ leased_by: holder, leased_until: now + lengthMs })
      .where('id', '=', id)
      .where('leased_until', '<=', now)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  /** False when the lease was lost, or the sign-in has ended: nothing was kept. */
  async keep(id: string, holder: string, session: string | null, identity: string): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('upstream_sign_ins')
      .set({ session, identity })
      .where('id', '=', id)
      .where('leased_by', '=', holder)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  async giveBack(id: string, holder: string): Promise<void> {
    await this.#db
      .updateTable('upstream_sign_ins')
      .set({ leased_by: null, leased_until: 0 })
      .where('id', '=', id)
      .where('leased_by', '=', holder)
      .execute();
  }

  /** @returns the login that was opened by it last; null when there was none, or the sign-in had ended before */
  async remove(id: string): Promise<LoginId | null> {
    const row = await this.#db
      .deleteFrom('upstream_sign_ins')
      .where('id', '=', id)
      .returning('login_id')
      .executeTakeFirst();
    return loginOf(row?.login_id ?? null);
  }

  async removeOfLogin(login: LoginId): Promise<void> {
    await this.#db.deleteFrom('upstream_sign_ins').where('login_id', '=', login).execute();
  }

  async sweep(): Promise<void> {
    await this.#db.deleteFrom('upstream_sign_ins').where('expires_at', '<=', this.#clock.wallMs()).execute();
  }
}

const signInOf = (row: UpstreamSignInRow): UpstreamSignIn => ({
  id: row.id,
  upstream: row.upstream,
  issuer: row.issuer,
  subject: row.subject,
  session: row.session,
  identity: row.identity,
  expiresAtMs: row.expires_at,
  login: loginOf(row.login_id),
});

const loginOf = (id: string | null): LoginId | null => (id !== null && isLoginId(id) ? id : null);
