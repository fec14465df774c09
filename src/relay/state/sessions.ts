/**
 * Sessions as all relay processes see them: which process holds which, and who asked to end one. The process that holds
 * a session polls `due` (one query) and ends what it names; deadlines it keeps itself, by its monotonic clock.
 */
import type { Kysely, SelectQueryBuilder } from 'kysely';
import type { OperatorAct } from '../../evidence/operator-act.ts';
import type { Authentication } from '../../model/authentication.ts';
import type { LoginId, SessionId, TargetName } from '../../model/ids.ts';
import type { SessionEnd } from '../../model/outcome.ts';
import type { Principal } from '../../model/principal.ts';
import type { Clock } from '../../system/clock.ts';
import { authenticationOf, principalOf, type PrincipalColumns } from './logins.ts';
import type { SessionRow, Tables } from './schema.ts';

export interface NewSession {
  readonly id: SessionId;
  readonly login: LoginId;
  readonly target: TargetName;
  /** Names the relay process that holds it; unique over all processes that share the state. */
  readonly processId: string;
  readonly reason: string | null;
  readonly task: string | null;
  readonly openedAtMs: number;
  readonly deadlineMs: number;
}

export interface StoredSession extends NewSession {
  readonly principal: Principal;
  readonly closedAtMs: number | null;
  readonly outcome: SessionEnd | null;
}

/** The person behind a session, as their login has it now. */
export interface Standing {
  readonly principal: Principal;
  readonly authentication: Authentication;
  /** When the login was renewed last, by the clock of whichever relay did it: changes with everything else here. */
  readonly renewedAtMs: number;
}

/** Why a session must end now. `kill` carries the signed request and the login whose key signed it. */
export type DueSession =
  | { readonly session: SessionId; readonly why: 'access-ended' }
  | {
      readonly session: SessionId;
      readonly why: 'killed';
      readonly request: string;
      readonly login: LoginId;
    }
  /** By an operator: the process that ends it tells the log. */
  | { readonly session: SessionId; readonly why: 'killed'; readonly operator: OperatorAct };

export class Sessions {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;

  constructor(db: Kysely<Tables>, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async open(session: NewSession): Promise<void> {
    await this.#db
      .insertInto('sessions')
      .values({
        id: session.id,
        login_id: session.login,
        target: session.target,
        process_id: session.processId,
        reason: session.reason,
        task: session.task,
        opened_at: session.openedAtMs,
        deadline: session.deadlineMs,
        closed_at: null,
        outcome: null,
        kill_requested_at: null,
        kill_request: null,
        kill_login_id: null,
        kill_operator: null,
      })
      .execute();
  }

  /** False when it was closed before. */
  async close(session: SessionId, outcome: SessionEnd): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('sessions')
      .set({ closed_at: this.#clock.wallMs(), outcome })
      .where('id', '=', session)
      .where('closed_at', 'is', null)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  async find(session: SessionId): Promise<StoredSession | null> {
    const row = await this.#withPrincipal().where('sessions.id', '=', session).executeTakeFirst();
    return row === undefined ? null : sessionOf(row);
  }

  /** Not closed, oldest first; of all processes, or of one. */
  async live(processId: string | null = null): Promise<StoredSession[]> {
    const all = this.#withPrincipal().where('sessions.closed_at', 'is', null).orderBy('sessions.id');
    const rows = await (
      processId === null ? all : all.where('sessions.process_id', '=', processId)
    ).execute();
    return rows.map(sessionOf);
  }

  /** @returns false when the session is not live, or somebody asked before */
  async requestKill(session: SessionId, request: string, login: LoginId): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('sessions')
      .set({ kill_requested_at: this.#clock.wallMs(), kill_request: request, kill_login_id: login })
      .where('id', '=', session)
      .where('closed_at', 'is', null)
      .where('kill_requested_at', 'is', null)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  /** The same by an operator. @returns false when the session is not live, or somebody asked before */
  async requestKillByOperator(session: SessionId, operator: OperatorAct): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('sessions')
      .set({ kill_requested_at: this.#clock.wallMs(), kill_operator: JSON.stringify(operator) })
      .where('id', '=', session)
      .where('closed_at', 'is', null)
      .where('kill_requested_at', 'is', null)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  /** Of a run of a relay that was killed: nobody holds them any more. */
  async closeInterrupted(sessions: readonly SessionId[]): Promise<void> {
    for (const session of sessions) await this.close(session, 'interrupted');
  }

  /** What this process must end: killed, or of a login that no longer lives. */
  async due(processId: string): Promise<DueSession[]> {
    const rows = await this.#db
      .selectFrom('sessions')
      .leftJoin('logins', 'logins.id', 'sessions.login_id')
      .leftJoin('logins as parent', 'parent.id', 'logins.parent_id')
      .select(['sessions.id', 'kill_request', 'kill_login_id', 'kill_operator'])
      .where('process_id', '=', processId)
      .where('closed_at', 'is', null)
      .where((where) =>
        where.or([
          where('kill_requested_at', 'is not', null),
          where('logins.id', 'is', null),
          where('logins.ended_at', 'is not', null),
          where('parent.ended_at', 'is not', null),
          where('logins.valid_until', '<=', this.#clock.wallMs()),
        ]),
      )
      .execute();
    return rows.map(({ id, kill_request: request, kill_login_id: login, kill_operator: operator }) => {
      const session = id as SessionId;
      if (operator !== null) return { session, why: 'killed', operator: JSON.parse(operator) };
      if (request === null || login === null) return { session, why: 'access-ended' };
      return { session, why: 'killed', request, login: login as LoginId };
    });
  }

  /**
   * How the people behind the live sessions of this process stand now: a renewal or a step-up changes it under them.
   * @param known `renewedAtMs` of what the caller has of each session; what has not changed since is left out
   */
  async standings(
    processId: string,
    known: (session: SessionId) => number | null,
  ): Promise<ReadonlyMap<SessionId, Standing>> {
    const live = await this.#db
      .selectFrom('sessions')
      .innerJoin('logins', 'logins.id', 'sessions.login_id')
      .select(['sessions.id', 'logins.renewed_at'])
      .where('process_id', '=', processId)
      .where('closed_at', 'is', null)
      .execute();
    const standings = new Map<SessionId, Standing>();
    for (const { id, renewed_at: renewedAtMs } of live) {
      if (known(id as SessionId) === renewedAtMs) continue;
      const row = await this.#withPrincipal()
        .select(['logins.auth_time', 'logins.acr', 'logins.amr', 'logins.renewed_at'])
        .where('sessions.id', '=', id)
        .executeTakeFirst();
      if (row === undefined) continue;
      standings.set(id as SessionId, {
        principal: principalOf(row),
        authentication: authenticationOf(row),
        renewedAtMs: row.renewed_at,
      });
    }
    return standings;
  }

  #withPrincipal(): SelectQueryBuilder<Tables, 'sessions' | 'logins', SessionRow & PrincipalColumns> {
    return this.#db
      .selectFrom('sessions')
      .innerJoin('logins', 'logins.id', 'sessions.login_id')
      .selectAll('sessions')
      .select([
        'logins.kind',
        'logins.issuer',
        'logins.subject',
        'logins.email',
        'logins.groups',
        'logins.acts_for',
      ]);
  }
}

const sessionOf = (row: SessionRow & PrincipalColumns): StoredSession => ({
  id: row.id as SessionId,
  login: row.login_id as LoginId,
  target: row.target as TargetName,
  processId: row.process_id,
  reason: row.reason,
  task: row.task,
  openedAtMs: row.opened_at,
  deadlineMs: row.deadline,
  principal: principalOf(row),
  closedAtMs: row.closed_at,
  outcome: row.outcome as SessionEnd | null,
});
