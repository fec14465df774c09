/**
 * Reviews as all relay processes see them. The process that holds the command alone moves a review's state; any process
 * proposes decisions. Every change has a place in one order (`changed`), so that watchers miss none.
 *
 * Invariant: a change of state is one conditional statement whose row count decides; within a transaction the counter of
 * changes is locked first, so the order of changes is the order of commits.
 */
import { sql, type Kysely, type Transaction } from 'kysely';
import type { CommandFacts } from '../../model/command-facts.ts';
import type { LoginId, SessionId, TargetName } from '../../model/ids.ts';
import type { Principal } from '../../model/principal.ts';
import type { NeededGroup } from '../../model/review.ts';
import type { ReviewErrorCode } from '../../reviews/error.ts';
import type { Clock } from '../../system/clock.ts';
import type { ReviewState } from '../../wire/reviews.ts';
import { actsForColumn, principalOf } from './logins.ts';
import type { PostgresNotices } from './notices.ts';
import type { ReviewDecisionRow, ReviewRow, Tables } from './schema.ts';

export interface NewReview {
  readonly id: string;
  readonly session: SessionId;
  /** Names the relay process that holds the command. */
  readonly processId: string;
  readonly requester: Principal;
  readonly target: TargetName;
  readonly reason: string | null;
  readonly task: string | null;
  /** As recorded. */
  readonly text: Buffer;
  readonly parameters: Buffer | null;
  readonly parameterTypes: readonly number[];
  readonly encoding: string;
  readonly facts: CommandFacts;
  readonly policies: readonly string[];
  readonly needed: readonly NeededGroup[];
  readonly digest: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

export interface NewDecision {
  readonly reviewer: Principal;
  readonly login: LoginId;
  readonly decision: 'approve' | 'reject';
  readonly reason: string | null;
  /** The signed request as it came. */
  readonly request: string;
}

export interface StoredDecision extends NewDecision {
  readonly decidedAtMs: number;
}

/** In lists `text` is cut and parameters are left out; `whole` is false when there is more than is here. */
export interface StoredReview extends NewReview {
  readonly state: ReviewState;
  /** Those that counted, in order. */
  readonly decisions: readonly StoredDecision[];
  readonly changed: number;
  readonly whole: boolean;
}

/** What became of a proposed decision. */
export type Standing = 'proposed' | 'counted' | ReviewErrorCode;

export interface ReviewFilter {
  readonly state: ReviewState | null;
  readonly requester: Pick<Principal, 'issuer' | 'subject'> | null;
}

/** Reviews of an answer. */
export const listed = 200;
/** Characters of base64 that a list shows; a multiple of 4. */
const excerptLength = 1024;
const keptMs = 7 * 86_400_000;
/** A process that lives says itself that a review has expired; after this long it does not. */
const overdueMs = 60_000;

/** All but the command's own bytes. */
const shortColumns = [
  ...([
    'id',
    'session_id',
    'process_id',
    'state',
    'kind',
    'issuer',
    'subject',
    'email',
    'groups',
    'acts_for',
  ] as const),
  ...(['target', 'reason', 'task', 'parameter_types', 'encoding', 'facts', 'policies', 'needed'] as const),
  ...(['digest', 'created_at', 'expires_at', 'changed'] as const),
] as const;

type Read = Kysely<Tables> | Transaction<Tables>;

export class Reviews {
  readonly #db: Kysely<Tables>;
  readonly #clock: Clock;
  readonly #notices: PostgresNotices | null;
  readonly #listeners = new Set<() => void>();

  constructor(db: Kysely<Tables>, clock: Clock, notices: PostgresNotices | null) {
    this.#db = db;
    this.#clock = clock;
    this.#notices = notices;
    notices?.subscribe(() => this.#tell());
  }

  /** Called when something may have changed here or (PostgreSQL only) in another process. Returns how to stop. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async open(review: NewReview): Promise<void> {
    await this.#changing(async (db, changed) => {
      await db
        .insertInto('reviews')
        .values({ ...columnsOf(review), changed })
        .execute();
      return true;
    });
  }

  async find(id: string): Promise<StoredReview | null> {
    const row = await this.#db.selectFrom('reviews').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? null : (await this.#withDecisions(this.#db, [{ ...row, whole: 1 }]))[0]!;
  }

  /** Ids that begin so, newest first; at most 20. */
  async beginningWith(prefix: string): Promise<StoredReview[]> {
    const rows = await this.#listed()
      .where(sql<boolean>`substr(id, 1, ${prefix.length}) = ${prefix}`)
      .orderBy('id', 'desc')
      .limit(20)
      .execute();
    return this.#withDecisions(this.#db, rows);
  }

  /**
   * Newest first, at most 200: ask again for those `before` the last one.
   * @param before an id; null: from the newest
   */
  async list(filter: ReviewFilter, before: string | null = null): Promise<StoredReview[]> {
    let query = this.#filtered(filter);
    if (before !== null) query = query.where('id', '<', before);
    const rows = await query.orderBy('id', 'desc').limit(listed).execute();
    return this.#withDecisions(this.#db, rows);
  }

  /** What changed after a place in the order of changes, in that order; at most 200. */
  async changedAfter(place: number, filter: ReviewFilter): Promise<StoredReview[]> {
    const rows = await this.#filtered(filter)
      .where('changed', '>', place)
      .orderBy('changed')
      .limit(listed)
      .execute();
    return this.#withDecisions(this.#db, rows);
  }

  /** The place of the last change. */
  async lastChange(): Promise<number> {
    const row = await this.#db
      .selectFrom('counters')
      .select('value')
      .where('name', '=', 'reviews')
      .executeTakeFirstOrThrow();
    return row.value;
  }

  /**
   * Puts a decision before the process that holds the command.
   * @returns why it cannot be; null when it is proposed
   */
  async propose(review: string, decision: NewDecision): Promise<ReviewErrorCode | null> {
    const now = this.#clock.wallMs();
    let refused: ReviewErrorCode | null = null;
    await this.#changing(async (db) => {
      const row = await db
        .selectFrom('reviews')
        .select(['state', 'expires_at'])
        .where('id', '=', review)
        .executeTakeFirst();
      if (row === undefined) refused = 'review-unknown';
      else if (row.state !== 'pending')
        refused = row.state === 'expired' ? 'review-expired' : 'review-not-pending';
      else if (row.expires_at <= now) refused = 'review-expired';
      if (refused !== null) return false;
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('review_decisions')
        .values({ review_id: review, ...decisionColumns(decision), decided_at: now, standing: 'proposed' })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      if (numInsertedOrUpdatedRows !== 1n) refused = 'review-decided-before';
      return numInsertedOrUpdatedRows === 1n;
    });
    return refused;
  }

  /** Decisions that wait for this process, oldest first. */
  async proposals(processId: string): Promise<{ review: string; decision: StoredDecision }[]> {
    const rows = await this.#db
      .selectFrom('review_decisions')
      .innerJoin('reviews', 'reviews.id', 'review_decisions.review_id')
      .selectAll('review_decisions')
      .where('reviews.process_id', '=', processId)
      .where('review_decisions.standing', '=', 'proposed')
      .orderBy('review_decisions.decided_at')
      .execute();
    return rows.map((row) => ({ review: row.review_id, decision: decisionOf(row) }));
  }

  /** Null when it was taken back: the relay could not go on with it, and it may be proposed again. */
  async standing(review: string, { issuer, subject }: Principal): Promise<Standing | null> {
    const row = await this.#db
      .selectFrom('review_decisions')
      .select('standing')
      .where('review_id', '=', review)
      .where('issuer', '=', issuer)
      .where('subject', '=', subject)
      .executeTakeFirst();
    return (row?.standing as Standing | undefined) ?? null;
  }

  /**
   * Lets a proposed decision count.
   * @returns false, and nothing changes, when the review is no longer pending or the decision was taken back
   */
  count(review: string, reviewer: Principal, state: ReviewState): Promise<boolean> {
    return this.#changing(async (db, changed) => {
      const row = await db.selectFrom('reviews').select('state').where('id', '=', review).executeTakeFirst();
      if (row?.state !== 'pending' || !(await this.#settle(db, review, reviewer, 'counted'))) return false;
      await db.updateTable('reviews').set({ state, changed }).where('id', '=', review).execute();
      return true;
    });
  }

  /** A proposed decision that does not count; null takes it back. */
  async dismiss(review: string, reviewer: Principal, standing: ReviewErrorCode | null): Promise<void> {
    await this.#changing(async (db) => {
      if (standing !== null) await this.#settle(db, review, reviewer, standing);
      else
        await db
          .deleteFrom('review_decisions')
          .where('review_id', '=', review)
          .where('issuer', '=', reviewer.issuer)
          .where('subject', '=', reviewer.subject)
          .where('standing', '=', 'proposed')
          .execute();
      return true;
    });
  }

  /** @returns false when it was not in the state `from` */
  move(review: string, from: ReviewState, to: ReviewState): Promise<boolean> {
    return this.#changing(async (db, changed) => {
      const { numUpdatedRows } = await db
        .updateTable('reviews')
        .set({ state: to, changed })
        .where('id', '=', review)
        .where('state', '=', from)
        .executeTakeFirstOrThrow();
      return numUpdatedRows === 1n;
    });
  }

  /** Reviews of these sessions that nobody has decided. */
  async pendingOf(sessions: readonly SessionId[]): Promise<{ id: string; session: SessionId }[]> {
    if (sessions.length === 0) return [];
    const rows = await this.#db
      .selectFrom('reviews')
      .select(['id', 'session_id'])
      .where('session_id', 'in', [...sessions])
      .where('state', '=', 'pending')
      .execute();
    return rows.map((row) => ({ id: row.id, session: row.session_id as SessionId }));
  }

  /** Removes what is old; marks as expired what nobody did. */
  async sweep(): Promise<void> {
    const now = this.#clock.wallMs();
    await this.#db
      .deleteFrom('reviews')
      .where('expires_at', '<=', now - keptMs)
      .execute();
    await this.#changing(async (db, changed) => {
      const { numUpdatedRows } = await db
        .updateTable('reviews')
        .set({ state: 'expired', changed })
        .where('state', '=', 'pending')
        .where('expires_at', '<=', now - overdueMs)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    });
  }

  /** Runs `work` in a transaction that holds the order of changes; tells the watchers when it says that it changed something. */
  async #changing(work: (db: Transaction<Tables>, changed: number) => Promise<boolean>): Promise<boolean> {
    const changed = await this.#db.transaction().execute(async (db) => {
      const counter = await db
        .updateTable('counters')
        .set({ value: sql`value + 1` })
        .where('name', '=', 'reviews')
        .returning('value')
        .executeTakeFirstOrThrow();
      const did = await work(db, counter.value);
      if (did) await this.#notices?.send(db);
      return did;
    });
    if (changed) this.#tell();
    return changed;
  }

  async #settle(
    db: Transaction<Tables>,
    review: string,
    { issuer, subject }: Principal,
    standing: Standing,
  ): Promise<boolean> {
    const { numUpdatedRows } = await db
      .updateTable('review_decisions')
      .set({ standing })
      .where('review_id', '=', review)
      .where('issuer', '=', issuer)
      .where('subject', '=', subject)
      .where('standing', '=', 'proposed')
      .executeTakeFirstOrThrow();
    return numUpdatedRows === 1n;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Rows with the beginning of the text instead of the whole. */
  #listed() {
    const whole = sql`length(command_text) <= ${excerptLength} and parameters is null`;
    return this.#db
      .selectFrom('reviews')
      .select(shortColumns)
      .select([
        sql<string>`substr(command_text, 1, ${excerptLength})`.as('command_text'),
        sql<null>`null`.as('parameters'),
        sql<number>`case when ${whole} then 1 else 0 end`.as('whole'),
      ]);
  }

  #filtered({ state, requester }: ReviewFilter) {
    let query = this.#listed();
    if (state !== null) query = query.where('state', '=', state);
    if (state === 'pending') query = query.where('expires_at', '>', this.#clock.wallMs());
    if (requester !== null)
      query = query.where('issuer', '=', requester.issuer).where('subject', '=', requester.subject);
    return query;
  }

  async #withDecisions(db: Read, rows: readonly (ReviewRow & { whole: number })[]): Promise<StoredReview[]> {
    if (rows.length === 0) return [];
    const decisions = await db
      .selectFrom('review_decisions')
      .selectAll()
      .where(
        'review_id',
        'in',
        rows.map(({ id }) => id),
      )
      .where('standing', '=', 'counted')
      .orderBy('decided_at')
      .execute();
    return rows.map((row) =>
      reviewOf(
        row,
        decisions.filter(({ review_id }) => review_id === row.id),
      ),
    );
  }
}

const columnsOf = (review: NewReview): Omit<ReviewRow, 'changed'> => ({
  id: review.id,
  session_id: review.session,
  process_id: review.processId,
  state: 'pending',
  ...principalColumns(review.requester),
  target: review.target,
  reason: review.reason,
  task: review.task,
  command_text: review.text.toString('base64'),
  parameters: review.parameters?.toString('base64') ?? null,
  parameter_types: JSON.stringify(review.parameterTypes),
  encoding: review.encoding,
  facts: JSON.stringify(review.facts),
  policies: JSON.stringify(review.policies),
  needed: JSON.stringify(review.needed),
  digest: review.digest,
  created_at: review.createdAtMs,
  expires_at: review.expiresAtMs,
});

const principalColumns = (principal: Principal) => ({
  kind: principal.kind,
  issuer: principal.issuer,
  subject: principal.subject,
  email: principal.email,
  groups: JSON.stringify(principal.groups),
  acts_for: actsForColumn(principal),
});

const decisionColumns = (decision: NewDecision) => ({
  ...principalColumns(decision.reviewer),
  login_id: decision.login,
  decision: decision.decision,
  reason: decision.reason,
  request: decision.request,
});

const decisionOf = (row: ReviewDecisionRow): StoredDecision => ({
  reviewer: principalOf(row),
  login: row.login_id as LoginId,
  decision: row.decision === 'approve' ? 'approve' : 'reject',
  reason: row.reason,
  request: row.request,
  decidedAtMs: row.decided_at,
});

const reviewOf = (
  row: ReviewRow & { whole: number },
  decisions: readonly ReviewDecisionRow[],
): StoredReview => ({
  id: row.id,
  session: row.session_id as SessionId,
  processId: row.process_id,
  state: row.state as ReviewState,
  requester: principalOf(row),
  target: row.target as TargetName,
  reason: row.reason,
  task: row.task,
  text: Buffer.from(row.command_text, 'base64'),
  whole: row.whole === 1,
  parameters: row.parameters === null ? null : Buffer.from(row.parameters, 'base64'),
  parameterTypes: JSON.parse(row.parameter_types),
  encoding: row.encoding,
  facts: JSON.parse(row.facts),
  policies: JSON.parse(row.policies),
  needed: JSON.parse(row.needed),
  digest: row.digest,
  createdAtMs: row.created_at,
  expiresAtMs: row.expires_at,
  decisions: decisions.map(decisionOf),
  changed: row.changed,
});
