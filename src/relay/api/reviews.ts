/**
 * Reviews: list, watch, show, decide (`wire/reviews.ts`). Here is decided who sees a review and whose decision is heard:
 *
 *   caller → sees it (own, or policy lets them `review` the session) → signature → not own, of a needed group → digest
 *
 * Who may not see a review is told that there is none. A decision that is refused leaves an entry.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HoopError } from '../../errors.ts';
import { actorOf, type NewEntry } from '../../evidence/entry.ts';
import type { Authenticated } from '../../identity/authenticator.ts';
import type { ReplayCache } from '../../identity/replay.ts';
import { verifySignedRequest } from '../../identity/signed-request.ts';
import type { SessionId } from '../../model/ids.ts';
import { owns } from '../../model/principal.ts';
import type { Decision } from '../../policy/decision.ts';
import type { Policies } from '../../policy/policies.ts';
import { refusal } from '../../reviews/review.ts';
import type { Clock } from '../../system/clock.ts';
import { SignedRequest } from '../../wire/api.ts';
import { ReviewDecisionClaims, ReviewQuery, type ReviewList, type ReviewView } from '../../wire/reviews.ts';
import type { RelayConfig } from '../config/config.ts';
import { RelayError, StepUpRequired } from '../error.ts';
import { refusalError, type ReviewDesk } from '../reviews/desk.ts';
import { summaryOf, viewOf, type Viewer } from '../reviews/view.ts';
import type { Attempts } from '../state/counters.ts';
import { listed, type ReviewFilter, type Reviews, type StoredReview } from '../state/reviews.ts';

export interface ReviewRoutesOptions {
  readonly config: Pick<RelayConfig, 'publicUrl' | 'targets'>;
  readonly policies: () => Policies;
  readonly desk: ReviewDesk;
  readonly state: Reviews;
  readonly attempts: Attempts;
  readonly replay: ReplayCache;
  readonly clock: Clock;
  readonly append: (entry: NewEntry) => Promise<unknown>;
  /** @throws IdentityError */
  readonly authenticate: (request: FastifyRequest) => Promise<Authenticated>;
}

/** Decisions of one person in a minute; each refused one is an entry. */
const decisionsPerMinute = 60;
/** Looks at the store for one list: those that the caller may see may stand behind many others. */
const listsAsked = 10;
/** Callers that wait at a time: in all, and of one login. */
const watchers = 1000;
const watchersOfLogin = 8;
/** Between looks at the store while somebody waits and nobody gives notice. */
const watchMs = 1000;

const wholeId = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const idPrefix = /^[0-7][0-9A-HJKMNP-TV-Z]{5,25}$/;

export function reviewRoutes(app: FastifyInstance, options: ReviewRoutesOptions): void {
  const { authenticate } = options;
  const watches = new Watches();
  app.get('/v1/reviews', async (request, reply): Promise<ReviewList> => {
    const caller = await authenticate(request);
    const query = ReviewQuery.safeParse(request.query);
    if (!query.success) throw new RelayError('request-invalid', 'The query is not one of reviews.');
    const look = (): Look => lookOf(options, caller, request);
    const filter = filterOf(query.data, caller);
    if (query.data.after === undefined) return listNow(options, look(), filter);
    const waitMs = Number(query.data.wait ?? 0) * 1000;
    const after = Number(query.data.after);
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const { signal } = gone;
    return watches.during(caller.login, () => watch({ options, look, filter, signal }, after, waitMs));
  });
  app.get<{ Params: { id: string } }>('/v1/reviews/:id', async (request): Promise<ReviewView> => {
    const looks = lookOf(options, await authenticate(request), request);
    const review = await find(options, looks, request.params.id.toUpperCase());
    return viewOf(review, looks.viewerOf(review), protocolOf(options, review));
  });
  app.post<{ Params: { id: string } }>('/v1/reviews/:id/decision', async (request): Promise<ReviewView> => {
    const caller = await authenticate(request);
    const looks = lookOf(options, caller, request);
    await refuseFlood(options, caller);
    const review = wholeId.test(request.params.id) ? await options.state.find(request.params.id) : null;
    if (review === null) throw refusalError('review-unknown');
    looks.requireSight(review);
    try {
      await decide(options, caller, review, request, looks.viewerOf(review));
    } catch (error) {
      await tellRefused(options, caller, review, error);
      throw error;
    }
    const decided = (await options.state.find(review.id)) ?? review;
    return viewOf(decided, looks.viewerOf(decided), protocolOf(options, decided));
  });
}

/** One caller's eyes, at one moment. */
interface Look {
  sees(review: StoredReview): boolean;
  /** @throws ReviewError `review-unknown`, RelayError `step-up-required` */
  requireSight(review: StoredReview): void;
  viewerOf(review: StoredReview): Viewer;
}

/** Of a target that is no longer configured: that of most. */
const protocolOf = ({ config }: Pick<ReviewRoutesOptions, 'config'>, { target }: StoredReview): string =>
  config.targets.get(target)?.protocol ?? 'postgres';

function lookOf(options: ReviewRoutesOptions, caller: Authenticated, { ip }: FastifyRequest): Look {
  const { config, policies, clock } = options;
  const { principal, authentication } = caller;
  // Policy is asked about sessions, and takes a millisecond; one session may have very many reviews.
  const known = new Map<SessionId, Decision>();
  const decisionOn = (review: StoredReview): Decision => {
    const before = known.get(review.session);
    if (before !== undefined) return before;
    const groups = config.targets.get(review.target)?.groups ?? [];
    const target = { name: review.target, protocol: protocolOf(options, review), groups };
    const session = { session: review.session, target, owner: review.requester };
    const circumstances = { timeMs: clock.wallMs(), sourceAddress: ip, authentication };
    const decision = policies().review(principal, session, circumstances);
    known.set(review.session, decision);
    return decision;
  };
  const permitted = (review: StoredReview): boolean =>
    decisionOn(review).allows('review', principal, review.session);
  const sees = (review: StoredReview): boolean => owns(principal, review.requester) || permitted(review);
  return {
    sees,
    requireSight: (review) => {
      if (sees(review)) return;
      const { stepUp } = decisionOn(review);
      throw stepUp === null
        ? refusalError('review-unknown')
        : new StepUpRequired('To see and decide this review', stepUp);
    },
    viewerOf: (review) => ({ principal, permitted: permitted(review), nowMs: clock.wallMs() }),
  };
}

const filterOf = ({ state, mine }: ReviewQuery, { principal }: Authenticated): ReviewFilter => ({
  state: state ?? null,
  requester: mine === 'true' ? principal : null,
});

async function listNow(
  { state }: ReviewRoutesOptions,
  looks: Look,
  filter: ReviewFilter,
): Promise<ReviewList> {
  // The cursor first: what changes meanwhile is told twice rather than never.
  const cursor = await state.lastChange();
  const seen: StoredReview[] = [];
  let before: string | null = null;
  // Those that others must not see are in between, and somebody may hold very many.
  for (let asked = 0; asked < listsAsked && seen.length < listed; asked++) {
    const found = await state.list(filter, before);
    seen.push(...found.filter((review) => looks.sees(review)));
    before = found.at(-1)?.id ?? null;
    if (found.length < listed) break;
  }
  const reviews = seen.slice(0, listed).map((review) => summaryOf(review, looks.viewerOf(review)));
  return { reviews, cursor: `${cursor}` };
}

interface Watch {
  readonly options: ReviewRoutesOptions;
  readonly look: () => Look;
  readonly filter: ReviewFilter;
  /** The caller hung up. */
  readonly signal: AbortSignal;
}

async function watch(
  { options, look, filter, signal }: Watch,
  after: number,
  waitMs: number,
): Promise<ReviewList> {
  const { state, desk, clock } = options;
  const untilMs = clock.monotonicMs() + waitMs;
  let cursor = after;
  for (;;) {
    const changed = desk.changes.next(Math.min(watchMs, Math.max(1, untilMs - clock.monotonicMs())), signal);
    const changes = await state.changedAfter(cursor, filter);
    // A client that is ahead of us has seen another state: it starts again from here.
    cursor = changes.at(-1)?.changed ?? Math.min(cursor, await state.lastChange());
    const looks = look();
    const reviews = changes.filter((review) => looks.sees(review));
    const over = clock.monotonicMs() >= untilMs || signal.aborted || desk.changes.closed;
    if (reviews.length > 0 || over)
      return {
        reviews: reviews.map((review) => summaryOf(review, looks.viewerOf(review))),
        cursor: `${cursor}`,
      };
    await changed;
  }
}

/** Bounds how many wait. */
class Watches {
  readonly #ofLogin = new Map<string, number>();
  #all = 0;

  async during<Answer>(login: string, work: () => Promise<Answer>): Promise<Answer> {
    const own = this.#ofLogin.get(login) ?? 0;
    if (own >= watchersOfLogin || this.#all >= watchers)
      throw new RelayError('relay-overloaded', 'Too many are watching reviews.', {
        hint: 'end some of them',
      });
    this.#all++;
    this.#ofLogin.set(login, own + 1);
    try {
      return await work();
    } finally {
      this.#all--;
      const left = (this.#ofLogin.get(login) ?? 1) - 1;
      if (left === 0) this.#ofLogin.delete(login);
      else this.#ofLogin.set(login, left);
    }
  }
}

async function find({ state }: ReviewRoutesOptions, looks: Look, id: string): Promise<StoredReview> {
  if (wholeId.test(id)) {
    const review = await state.find(id);
    if (review === null) throw refusalError('review-unknown');
    looks.requireSight(review);
    return review;
  }
  const candidates = idPrefix.test(id) ? await state.beginningWith(id) : [];
  const seen = candidates.filter((review) => looks.sees(review));
  if (seen.length > 1)
    throw new RelayError('request-invalid', 'More than one review begins so.', {
      hint: 'give more of the id',
    });
  const [unseen] = candidates;
  if (seen.length === 0 && unseen !== undefined && candidates.length === 1) looks.requireSight(unseen);
  const whole = seen[0] === undefined ? null : await state.find(seen[0].id);
  if (whole === null) throw refusalError('review-unknown');
  return whole;
}

async function refuseFlood({ attempts }: ReviewRoutesOptions, { principal }: Authenticated): Promise<void> {
  const { count } = await attempts.count(`review ${principal.issuer} ${principal.subject}`, 60_000);
  if (count > decisionsPerMinute)
    throw new RelayError('relay-overloaded', 'You decide faster than anybody can read.', {
      hint: 'wait a minute',
    });
}

async function decide(
  options: ReviewRoutesOptions,
  caller: Authenticated,
  review: StoredReview,
  http: FastifyRequest,
  viewer: Viewer,
): Promise<void> {
  const { replay, clock, config, desk } = options;
  const parsed = SignedRequest.safeParse(http.body);
  if (!parsed.success) throw new RelayError('request-invalid', 'The body is not a signed request.');
  const { request } = parsed.data;
  const { publicJwk, jkt, principal, login } = caller;
  const claims = await verifySignedRequest(request, {
    schema: ReviewDecisionClaims,
    publicJwk,
    jkt,
    relay: config.publicUrl,
    clock,
    replay,
  });
  if (claims.review !== review.id)
    throw new RelayError('request-invalid', 'The signed request names another review.');
  const refused = refusal(review, principal, viewer);
  if (refused !== null) throw refusalError(refused);
  if (claims.digest !== review.digest) throw refusalError('review-digest-mismatch');
  const reason = claims.reason ?? null;
  if (claims.decision === 'reject' && reason === null) throw refusalError('review-reason-missing');
  await desk.decide(review.id, { reviewer: principal, login, decision: claims.decision, reason, request });
}

/** Who tried what is on record. A log that refuses does not change the answer: it is a refusal already. */
async function tellRefused(
  { append }: ReviewRoutesOptions,
  { principal }: Authenticated,
  { id: review, session }: StoredReview,
  error: unknown,
): Promise<void> {
  if (!(error instanceof HoopError) || error.code === 'evidence-unavailable') return;
  const entry = {
    kind: 'review.refused',
    actor: actorOf(principal),
    review,
    session,
    reason: error.code,
  } as const;
  await append(entry).catch(() => undefined);
}
