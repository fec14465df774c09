/**
 * The live sessions of this process: opens them, finds them, ends them. The order in which a session opens is the order in
 * which its evidence becomes true:
 *
 *   request verified → policy → `session.opened` durable → target reached → answer
 *
 * Other processes ask for an end through the state store, which is polled; when the store does not answer for longer than
 * a revocation may take, live sessions end: access that cannot be checked is no access.
 */
import type { EntryOf } from '../../evidence/entry.ts';
import type { Log } from '../../evidence/log/log.ts';
import { SessionRecorder, type ClosedRecording } from '../../evidence/recording/recorder.ts';
import type { Sealer } from '../../evidence/recording/sealer.ts';
import { actorOf, relayActor } from '../../evidence/entry.ts';
import { EvidenceError } from '../../evidence/error.ts';
import type { BlockedCommand, GateTally } from '../../gate/session-gate.ts';
import type { Masking } from '../../gate/masking.ts';
import type { Reviews } from '../../gate/reviews.ts';
import { Authorization } from '../../gate/authorization.ts';
import type { Authenticated, LoginScope } from '../../identity/authenticator.ts';
import { compileMasking, type SessionRules } from '../../masking/masking.ts';
import type { Authentication } from '../../model/authentication.ts';
import type { SessionId } from '../../model/ids.ts';
import { sameStanding } from '../../model/principal.ts';
import type { SessionEnd } from '../../model/outcome.ts';
import { ExecutePolicy } from '../../policy/execute-policy.ts';
import type { Policies } from '../../policy/policies.ts';
import type { Clock } from '../../system/clock.ts';
import { ulid } from '../../system/ulid.ts';
import type { SessionOpenClaims } from '../../wire/api.ts';
import type { RelayConfig } from '../config/config.ts';
import type { TargetConfig } from '../config/targets.ts';
import { RelayError, StepUpRequired } from '../error.ts';
import type { BreakGlass } from '../space/break-glass.ts';
import type { ReviewedSession } from '../reviews/held-review.ts';
import type { DueSession, Sessions } from '../state/sessions.ts';
import { blockedEntry } from './blocked-entry.ts';
import { keepsGrants } from './grants.ts';
import { LiveSession, type SessionFacts } from './live-session.ts';
import type { SessionProtocol } from './protocol.ts';

export interface RegistryOptions {
  readonly config: RelayConfig;
  readonly policies: () => Policies;
  /** Resolves when the entry is durable. */
  readonly append: Log['append'];
  readonly sealer: Sealer;
  /** Who may open a session, as far as room for its record goes. */
  readonly room: Pick<BreakGlass, 'admit' | 'used'>;
  readonly state: Pick<Sessions, 'open' | 'close' | 'due' | 'standings'>;
  readonly processId: string;
  readonly clock: Clock;
  readonly protocol: (authorization: Authorization, target: TargetConfig) => SessionProtocol;
  /** Of the hashes that masking puts in place of values. */
  readonly maskingKey: Uint8Array;
  /** Of one session; null: this relay asks nobody. */
  readonly reviews: ((session: ReviewedSession) => Reviews) | null;
  readonly observe: RegistryObserver;
  readonly tally: GateTally;
}

/** For the operator's log and metrics. */
export interface RegistryObserver {
  opened(session: LiveSession): void;
  denied(principal: Authenticated, target: string, policies: readonly string[]): void;
  /** Policy denied a command of a session. */
  blocked(session: SessionFacts, command: BlockedCommand): void;
  ending(session: LiveSession, why: SessionEnd, error: Error | null): void;
  /** The state store or the log did not take something that is tried again or found by recovery. */
  trouble(what: string, error: unknown): void;
}

export interface OpenRequest {
  readonly caller: Authenticated;
  readonly claims: SessionOpenClaims;
  /** The signed request as it came. */
  readonly request: string;
  readonly sourceAddress: string;
}

export interface OpenedSession {
  readonly session: LiveSession;
  readonly target: TargetConfig;
  /** `PostgreSQL 15.18` */
  readonly server: string;
  /** What an SSH client has to know; null for other protocols. */
  readonly ssh: { readonly hostKey: string } | null;
  readonly remainingMs: number;
}

const pollMs = 500;
/** Longest time in which a revocation may go unseen. */
const blindMs = 5000;

export class SessionRegistry {
  readonly #options: RegistryOptions;
  readonly #live = new Map<SessionId, LiveSession>();
  readonly #ends = new Set<Promise<void>>();
  readonly #poller: NodeJS.Timeout;
  #polling = false;
  #seenAt: number;
  #draining = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#seenAt = options.clock.monotonicMs();
    this.#poller = setInterval(() => void this.#poll(), pollMs).unref();
  }

  get live(): Iterable<LiveSession> {
    return this.#live.values();
  }

  get size(): number {
    return this.#live.size;
  }

  /** Sessions that have ended and are not recorded to their end yet. */
  get ending(): number {
    return this.#ends.size;
  }

  find(session: SessionId): LiveSession | null {
    return this.#live.get(session) ?? null;
  }

  /**
   * @throws RelayError `target-unknown`, `connect-denied`, `evidence-unavailable`, `target-unreachable`, `relay-draining`,
   *   `session-unknown` when it ended meanwhile
   */
  async open(open: OpenRequest): Promise<OpenedSession> {
    const { append, state, clock, processId, room } = this.#options;
    if (this.#draining) throw draining();
    const { authorization, target, ...granted } = this.#authorize(open);
    const lent = room.admit(open.caller.principal);
    const durationMs = Math.min(granted.durationMs, lent?.remainingMs ?? Infinity);
    const protocol = this.#options.protocol(authorization, target);
    const id = ulid(clock.wallMs()) as SessionId;
    const { masking, exemptions } = this.#maskingFor(authorization, target);
    const entry = {
      ...sessionOpened(id, open, authorization, clock.wallMs() + durationMs),
      protocol: protocol.name,
      ...(exemptions.length > 0 && {
        exemptions: exemptions.map(({ rule, groups }) => ({ rule, groups: [...groups] })),
      }),
    };
    const startedAt = clock.monotonicMs();
    const { time } = await append(entry).catch((cause: unknown) => {
      throw new RelayError('evidence-unavailable', 'The relay cannot record, so it opens no session.', {
        cause,
      });
    });
    const facts = {
      id,
      login: open.caller.login,
      authorization,
      sourceAddress: open.sourceAddress,
      authentication: open.caller.authentication,
      reason: entry.reason,
      task: entry.task,
      openedAtMs: Date.parse(time),
      deadlineMs: Date.parse(entry.deadline),
    };
    const remainingMs = durationMs - (clock.monotonicMs() - startedAt);
    const session = this.#make({ facts, protocol, target, masking, remainingMs });
    try {
      // The log may have taken its time.
      if (this.#draining) throw draining();
      // Asked again: break-glass may have ended meanwhile, and no use of it may stand behind its end.
      const use = room.admit(open.caller.principal);
      if (use !== null) {
        const { actor } = entry;
        await append({ kind: 'break-glass.used', actor, breakGlass: use.breakGlass, session: id });
        room.used(use);
      }
      await state.open({ ...facts, target: target.name, processId });
      this.#seenAt = clock.monotonicMs();
      if (session.ending !== null) {
        // It ended before the store knew it: nothing is dialled, and no row stays that says it lives.
        await state.close(id, session.ending);
        throw new RelayError('session-unknown', 'The session ended before it was open.');
      }
      const server = await protocol.probe();
      this.#options.observe.opened(session);
      return {
        session,
        target,
        server,
        ssh: protocol.ssh,
        remainingMs: durationMs - (clock.monotonicMs() - startedAt),
      };
    } catch (error) {
      void session.end(endOf(error), error instanceof Error ? error : null);
      throw error;
    }
  }

  /** No session is opened from now on; live ones go on. */
  refuseNew(): void {
    this.#draining = true;
  }

  /** Resolves when no session is live. */
  async whenIdle(): Promise<void> {
    while (this.#live.size > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  /**
   * After a change of policies: ends (`access-ended`) each session that could not be opened now as it was. What goes on is
   * decided command by command, by the new policies.
   * @returns how many it ended
   */
  endUnauthorized(): number {
    let ended = 0;
    for (const session of this.#live.values()) {
      if (this.#couldOpen(session)) continue;
      ended++;
      void session.end('access-ended').catch(() => undefined);
    }
    return ended;
  }

  /**
   * Looks how the people behind live sessions stand now: a step-up counts in the sessions that they have open, and so does a
   * change of groups. A session that they could not open any more, or not as it is, ends (`access-ended`).
   */
  async followLogins(): Promise<void> {
    const { state, processId } = this.#options;
    if (this.#live.size === 0) return;
    const known = (id: SessionId): number | null => this.#live.get(id)?.standsSince ?? null;
    for (const [id, standing] of await state.standings(processId, known)) {
      const session = this.#live.get(id);
      if (session === undefined) continue;
      const before = session.principal;
      session.standing(standing);
      if (sameStanding(before, session.principal) || this.#mayGoOn(session)) continue;
      void session.end('access-ended').catch(() => undefined);
    }
  }

  /** Whether policy still lets its person in, with what the session has of their groups: a login at the target, exemptions. */
  #mayGoOn(session: LiveSession): boolean {
    const { config } = this.#options;
    const { principal: opened, target: name } = session.facts.authorization;
    const target = config.targets.get(name);
    if (target === undefined || !this.#couldOpen(session)) return false;
    return keepsGrants(config, target, opened, session.principal);
  }

  #couldOpen(session: LiveSession): boolean {
    const { config, policies, clock } = this.#options;
    const { authorization, sourceAddress, reason, task, openedAtMs, deadlineMs } = session.facts;
    const target = config.targets.get(authorization.target);
    const durationSeconds = Math.ceil((deadlineMs - openedAtMs) / 1000);
    const authentication = asWhenOpened(session, clock.wallMs());
    const now = { timeMs: clock.wallMs(), sourceAddress, authentication, durationSeconds, reason, task };
    return target !== undefined && policies().connect(session.principal, target, now).decision === 'allow';
  }

  /** Ends what is live; the relay goes on. */
  endLive(why: SessionEnd): void {
    for (const session of this.#live.values()) void session.end(why).catch(() => undefined);
  }

  /** Ends what is live; resolves when each is recorded to its end. */
  async endAll(why: SessionEnd): Promise<void> {
    clearInterval(this.#poller);
    const ends = [...this.#live.values()].map((session) => session.end(why));
    await Promise.all([...ends, ...this.#ends]);
  }

  #authorize({ caller, claims, sourceAddress }: OpenRequest) {
    const { config, policies, clock } = this.#options;
    const target = [...config.targets.values()].find(({ name }) => name === claims.target);
    if (target === undefined)
      throw new RelayError('target-unknown', `There is no target ${claims.target}.`, {
        hint: 'list them: hoop targets',
      });
    refuseOutside(caller.scope, claims);
    const { defaultDurationMs, maxDurationMs } = config.sessions;
    const askedMs = claims.durationSeconds === undefined ? defaultDurationMs : claims.durationSeconds * 1000;
    const durationMs = Math.min(askedMs, maxDurationMs);
    const authorization = Authorization.connect(policies(), caller.principal, target, {
      timeMs: clock.wallMs(),
      sourceAddress,
      authentication: caller.authentication,
      durationSeconds: Math.ceil(durationMs / 1000),
      reason: claims.reason ?? null,
      task: claims.task ?? null,
    });
    if (authorization.denied) {
      this.#options.observe.denied(caller, target.name, authorization.policies);
      if (authorization.stepUp !== null)
        throw new StepUpRequired(`To connect to ${target.name}`, authorization.stepUp);
      const why =
        authorization.policies.length === 0
          ? 'no policy permits it'
          : `by ${authorization.policies.join(', ')}`;
      throw new RelayError('connect-denied', `You may not connect to ${target.name}: ${why}.`, {
        hint: 'ask whoever keeps the policies; an operator explains it with: hoop policy check',
      });
    }
    return { authorization, target, durationMs };
  }

  #maskingFor({ principal }: Authorization, target: TargetConfig): SessionRules {
    const { config, maskingKey: hashKey } = this.#options;
    return compileMasking(config.masking, { target, groups: principal.groups, hashKey });
  }

  #make({ facts, protocol, target, masking, remainingMs }: NewSession): LiveSession {
    const { config, clock, sealer, tally, policies, reviews, append, observe } = this.#options;
    const { principal } = facts.authorization;
    const { id, sourceAddress, authentication, reason, task, deadlineMs } = facts;
    const { detachedMs } = config.sessions;
    const { directory, durability, syncTimeoutMs, originals } = config.evidence;
    const session = new LiveSession(
      {
        ...facts,
        protocol,
        durability,
        detachedMs,
        clock,
        tally,
        execute: new ExecutePolicy({
          policies,
          principal,
          target,
          sourceAddress,
          authentication,
          reason,
          task,
          wallMs: () => clock.wallMs(),
        }),
        masking,
        reviews: reviews?.({ id, principal, target: target.name, reason, task, deadlineMs }) ?? null,
        blocked: async (command) => {
          observe.blocked(facts, command);
          await append(blockedEntry(id, principal, command));
        },
        recorder: (onFailure) =>
          new SessionRecorder({
            directory,
            durability,
            syncTimeoutMs,
            clock,
            sealer,
            originals,
            onFailure,
            session: facts.id,
            openedAtMs: facts.openedAtMs,
            protocol: protocol.name,
          }),
        onEnding: (ending, why, error) => this.#ending(ending, why, error),
        onEnded: (ended, why, recording) => this.#ended(ended, why, recording),
      },
      remainingMs,
    );
    this.#live.set(facts.id, session);
    return session;
  }

  #ending(session: LiveSession, why: SessionEnd, error: Error | null): void {
    const { state, observe } = this.#options;
    this.#live.delete(session.facts.id);
    observe.ending(session, why, error);
    // `end` is running: asking again gives its promise, to wait for when draining.
    queueMicrotask(() => {
      const end = session.end(why).catch((cause: unknown) => observe.trouble('session.closed', cause));
      this.#ends.add(end);
      void end.then(() => this.#ends.delete(end));
    });
    state.close(session.facts.id, why).catch((cause: unknown) => observe.trouble('state', cause));
  }

  /** A refused append is tried until the log takes it; the process may stop first, then recovery writes its own. */
  async #ended(session: LiveSession, why: SessionEnd, recording: ClosedRecording): Promise<void> {
    for (;;) {
      try {
        await this.#options.append({
          kind: 'session.closed',
          actor: relayActor,
          session: session.facts.id,
          outcome: why,
          lastSegment: recording.lastSegmentIndex,
          totals: recording.totals,
        });
        return;
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'log-closed') throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  }

  #endDue(due: DueSession): void {
    const session = this.#live.get(due.session);
    if (session === undefined) return;
    // An operator keeps no log; whoever kills by a signed request was told of by the process that took it.
    if ('operator' in due)
      this.#options
        .append({
          kind: 'session.killed-by-operator',
          actor: relayActor,
          session: due.session,
          operator: due.operator,
        })
        .catch((error: unknown) => this.#options.observe.trouble('session.killed-by-operator', error));
    void session.end(due.why);
  }

  async #poll(): Promise<void> {
    const { state, clock, processId, observe } = this.#options;
    if (clock.monotonicMs() - this.#seenAt > blindMs && this.#live.size > 0) {
      observe.trouble('state', new Error('no answer: live sessions end'));
      for (const session of this.#live.values()) void session.end('access-ended');
    }
    if (this.#polling) return;
    this.#polling = true;
    try {
      const due = await state.due(processId);
      for (const each of due) this.#endDue(each);
      await this.followLogins();
      this.#seenAt = clock.monotonicMs();
    } catch (error) {
      observe.trouble('state', error);
    } finally {
      this.#polling = false;
    }
  }
}

interface NewSession {
  readonly facts: SessionFacts;
  readonly protocol: SessionProtocol;
  readonly target: TargetConfig;
  readonly masking: Masking | null;
  readonly remainingMs: number;
}

/** An agent acts for a person within what that person said. @throws RelayError `connect-denied` */
function refuseOutside(scope: LoginScope | null, { target, task }: SessionOpenClaims): void {
  const targets = scope?.targets ?? null;
  const only = scope?.task ?? null;
  if (targets !== null && !targets.includes(target))
    throw new RelayError('connect-denied', `You act for somebody who did not name ${target}.`, {
      hint: `it was given for: ${targets.join(', ')}`,
    });
  if (only !== null && task !== only)
    throw new RelayError('connect-denied', 'You act for somebody who named another task.', {
      hint: `name it: --task ${only}`,
    });
}

/** A sign-in ages while its session is open, which ends no session: its age is that at the opening. */
function asWhenOpened({ authentication, facts }: LiveSession, nowMs: number): Authentication {
  const { timeMs } = authentication;
  return { ...authentication, timeMs: timeMs === null ? null : timeMs + (nowMs - facts.openedAtMs) };
}

/** Why a session ended whose opening failed. */
function endOf(error: unknown): SessionEnd {
  if (error instanceof EvidenceError) return 'evidence-failed';
  if (!(error instanceof RelayError)) return 'target-unreachable';
  if (error.code === 'relay-draining') return 'relay-stopped';
  return error.code === 'evidence-unavailable' ? 'evidence-failed' : 'target-unreachable';
}

const draining = (): RelayError => new RelayError('relay-draining', 'The relay is stopping.');

function sessionOpened(
  session: SessionId,
  { caller, claims, request }: OpenRequest,
  authorization: Authorization,
  deadlineMs: number,
): Omit<EntryOf<'session.opened'>, 'v' | 'time' | 'protocol'> {
  return {
    kind: 'session.opened',
    actor: actorOf(caller.principal),
    session,
    login: caller.login,
    target: authorization.target,
    reason: claims.reason ?? null,
    task: claims.task ?? null,
    deadline: new Date(deadlineMs).toISOString(),
    policies: [...authorization.policies],
    request,
  };
}
