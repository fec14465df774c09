/** Sign-ins: whose, bound to which key, good until when. A login lives while it has not ended and is renewed in time. */
import type { Kysely } from 'kysely';
import type { NewEntry } from '../../evidence/entry.ts';
import type { OperatorAct } from '../../evidence/operator-act.ts';
import type { LiveLogins, LoginScope, StoredLogin } from '../../identity/authenticator.ts';
import { PublicJwk } from '../../identity/login-key.ts';
import type { Authentication } from '../../model/authentication.ts';
import type { LoginId } from '../../model/ids.ts';
import type { Principal } from '../../model/principal.ts';
import type { Clock } from '../../system/clock.ts';
import type { LoginRow, Tables } from './schema.ts';

/** `revoked` also when the user was disabled or got another password. */
export type LoginEnd = 'logout' | 'revoked' | 'user-removed';

export interface NewLogin extends Omit<StoredLogin, 'scope'> {
  readonly id: LoginId;
  readonly validUntilMs: number;
  readonly scope?: LoginScope | null;
  /** The person's login under which an agent acts: when that one is ended, this one is. */
  readonly parent?: LoginId | null;
  /** As the log was told. */
  readonly entry: LoginEntry;
}

/** A login as a log is told of it. */
export type LoginEntry = Extract<NewEntry, { kind: 'login' }>;

export interface LiveLogin {
  readonly id: LoginId;
  readonly principal: Principal;
  readonly jkt: string;
  readonly createdAtMs: number;
  readonly renewedAtMs: number;
  readonly validUntilMs: number;
  /** The person's login under which an agent acts. */
  readonly parent: LoginId | null;
}

export interface EndedLogin {
  readonly id: LoginId;
  readonly reason: LoginEnd;
  /** Null: by no operator that is known. */
  readonly operator: OperatorAct | null;
}

/** `lapsed`: nobody ended it, but it was not renewed in time. */
export type Standing = 'live' | 'lapsed' | 'ended';

export class Logins implements LiveLogins {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async open(login: NewLogin): Promise<void> {
    const now = this.#clock.wallMs();
    await this.#db
      .insertInto('logins')
      .values({
        id: login.id,
        ...principalColumns(login.principal),
        issuer: login.principal.issuer,
        subject: login.principal.subject,
        jkt: login.jkt,
        public_jwk: JSON.stringify(login.publicJwk),
        ...authenticationColumns(login.authentication),
        created_at: now,
        renewed_at: now,
        valid_until: login.validUntilMs,
        ended_at: null,
        ended_reason: null,
        ended_by: null,
        end_untold: 0,
        entry: JSON.stringify(login.entry),
        acts_for_issuer: login.principal.actsFor?.issuer ?? null,
        acts_for_subject: login.principal.actsFor?.subject ?? null,
        parent_id: login.parent ?? null,
        scope: login.scope == null ? null : JSON.stringify(login.scope),
      })
      .execute();
  }

  /**
   * Prolongs a live login of the same principal and the same key, and takes over e-mail, groups and authentication as
   * they are now. False when there is none: ended, not in time, of somebody else, or bound to another key.
   */
  async renew(
    login: LoginId,
    { principal, jkt, authentication }: Pick<StoredLogin, 'principal' | 'jkt' | 'authentication'>,
    validUntilMs: number,
  ): Promise<boolean> {
    const now = this.#clock.wallMs();
    const { numUpdatedRows } = await this.#db
      .updateTable('logins')
      .set({
        ...principalColumns(principal),
        ...authenticationColumns(authentication),
        renewed_at: now,
        valid_until: validUntilMs,
      })
      .where('id', '=', login)
      .where('issuer', '=', principal.issuer)
      .where('subject', '=', principal.subject)
      .where('jkt', '=', jkt)
      .where('ended_at', 'is', null)
      .where('valid_until', '>', now)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  /** False when it had ended before. */
  async end(login: LoginId, reason: LoginEnd): Promise<boolean> {
    const { numUpdatedRows } = await this.#ending(reason).where('id', '=', login).executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  /** By an operator beside the relay: whichever relay sees it first tells its log. False when it had ended before. */
  async endByOperator(login: LoginId, operator: OperatorAct): Promise<boolean> {
    const { numUpdatedRows } = await this.#ending('revoked', operator)
      .where('id', '=', login)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  /** Ends all of one principal, and those of agents that act for it, to be told as `endByOperator`; returns how many. */
  async endAllOf(
    issuer: string,
    subject: string,
    reason: LoginEnd,
    operator: OperatorAct | null = null,
  ): Promise<number> {
    const { numUpdatedRows } = await this.#ending(reason, operator, 1)
      .where((where) =>
        where.or([
          where.and({ issuer, subject }),
          where.and({ acts_for_issuer: issuer, acts_for_subject: subject }),
        ]),
      )
      .executeTakeFirstOrThrow();
    return Number(numUpdatedRows);
  }

  /** Not ended and renewed in time, oldest first; of everybody, or of one principal. */
  async live(of: { readonly issuer: string; readonly subject: string } | null = null): Promise<LiveLogin[]> {
    const all = this.#db
      .selectFrom('logins')
      .selectAll()
      .where('ended_at', 'is', null)
      .where('valid_until', '>', this.#clock.wallMs())
      .orderBy('id');
    const chosen = of === null ? all : all.where('issuer', '=', of.issuer).where('subject', '=', of.subject);
    return (await chosen.execute()).map((row) => ({
      id: row.id as LoginId,
      principal: principalOf(row),
      jkt: row.jkt,
      createdAtMs: row.created_at,
      renewedAtMs: row.renewed_at,
      validUntilMs: row.valid_until,
      parent: row.parent_id as LoginId | null,
    }));
  }

  /** Whether a login of that key was ended by an operator: whoever holds a copy must not come back with it. */
  async isRevokedKey(jkt: string): Promise<boolean> {
    const row = await this.#db
      .selectFrom('logins')
      .select('id')
      .where('jkt', '=', jkt)
      .where('ended_by', 'is not', null)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Ends that no log tells yet, each for one caller; `endTold` says how it went. */
  async takeUntold(): Promise<EndedLogin[]> {
    const rows = await this.#db.selectFrom('logins').selectAll().where('end_untold', '=', 1).execute();
    const taken: EndedLogin[] = [];
    for (const row of rows)
      if (await this.#setUntold(row.id as LoginId, 1, 2))
        taken.push({
          id: row.id as LoginId,
          reason: row.ended_reason as LoginEnd,
          operator: row.ended_by === null ? null : JSON.parse(row.ended_by),
        });
    return taken;
  }

  /** False: it was not told, and is to be taken again. */
  async endTold(login: LoginId, told: boolean): Promise<void> {
    await this.#setUntold(login, 2, told ? 0 : 1);
  }

  /** What was taken by a process that died meanwhile is taken again; told twice at worst, never not at all. */
  async untellTaken(): Promise<void> {
    await this.#db.updateTable('logins').set({ end_untold: 1 }).where('end_untold', '=', 2).execute();
  }

  async findLive(login: LoginId): Promise<StoredLogin | null> {
    const found = await this.find(login);
    return found?.standing === 'live' ? found.login : null;
  }

  /** `parent`: the person's login under which an agent acts. */
  async find(
    login: LoginId,
  ): Promise<{ login: StoredLogin; standing: Standing; parent: LoginId | null } | null> {
    const row = await this.#db
      .selectFrom('logins')
      .leftJoin('logins as parent', 'parent.id', 'logins.parent_id')
      .selectAll('logins')
      .select('parent.ended_at as parent_ended_at')
      .where('logins.id', '=', login)
      .executeTakeFirst();
    if (row === undefined) return null;
    const late = row.valid_until <= this.#clock.wallMs();
    const ended = row.ended_at !== null || row.parent_ended_at !== null;
    const parent = row.parent_id as LoginId | null;
    return { login: loginOf(row), standing: ended ? 'ended' : late ? 'lapsed' : 'live', parent };
  }

  /** A log was told something new about a login; others will be told the same. */
  async told(login: LoginId, entry: LoginEntry): Promise<void> {
    await this.#db
      .updateTable('logins')
      .set({ entry: JSON.stringify(entry) })
      .where('id', '=', login)
      .execute();
  }

  /** What a log is told of a login; null when there is none. It may have ended. */
  async entryOf(login: LoginId): Promise<LoginEntry | null> {
    const row = await this.#db
      .selectFrom('logins')
      .select('entry')
      .where('id', '=', login)
      .executeTakeFirst();
    return row === undefined ? null : JSON.parse(row.entry);
  }

  async #setUntold(login: LoginId, from: number, to: number): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('logins')
      .set({ end_untold: to })
      .where('id', '=', login)
      .where('end_untold', '=', from)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  /** @param untold 0: who asks tells the log itself */
  #ending(reason: LoginEnd, operator: OperatorAct | null = null, untold = operator === null ? 0 : 1) {
    const by = operator === null ? null : JSON.stringify(operator);
    return this.#db
      .updateTable('logins')
      .set({ ended_at: this.#clock.wallMs(), ended_reason: reason, ended_by: by, end_untold: untold })
      .where('ended_at', 'is', null);
  }
}

const principalColumns = (principal: Principal) => ({
  kind: principal.kind,
  email: principal.email,
  groups: JSON.stringify(principal.groups),
  acts_for: actsForColumn(principal),
});

/** JSON; null for nobody. */
export const actsForColumn = ({ actsFor }: Principal): string | null =>
  actsFor === null ? null : JSON.stringify(actsFor);

const authenticationColumns = ({ timeMs, acr, amr }: Authentication) => ({
  auth_time: timeMs,
  acr,
  amr: JSON.stringify(amr),
});

/** Columns that `authenticationOf` reads. */
export type AuthenticationColumns = Pick<LoginRow, 'auth_time' | 'acr' | 'amr'>;

export const authenticationOf = (row: AuthenticationColumns): Authentication => ({
  timeMs: row.auth_time,
  acr: row.acr,
  amr: JSON.parse(row.amr),
});

/** Columns that `principalOf` reads. */
export type PrincipalColumns = Pick<
  LoginRow,
  'kind' | 'issuer' | 'subject' | 'email' | 'groups' | 'acts_for'
>;

export const principalOf = (row: PrincipalColumns): Principal => ({
  kind: row.kind === 'service' || row.kind === 'agent' ? row.kind : 'person',
  issuer: row.issuer,
  subject: row.subject,
  email: row.email,
  groups: JSON.parse(row.groups),
  actsFor: row.acts_for === null ? null : JSON.parse(row.acts_for),
});

const loginOf = (row: LoginRow): StoredLogin => ({
  principal: principalOf(row),
  jkt: row.jkt,
  publicJwk: PublicJwk.parse(JSON.parse(row.public_jwk)),
  scope: row.scope === null ? null : JSON.parse(row.scope),
  authentication: authenticationOf(row),
});
