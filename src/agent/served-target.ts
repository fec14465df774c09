/**
 * One target on one local port, through as many sessions as it takes: opens the session, carries local connections
 * over its tunnel, keeps the sign-in alive, and comes back when the relay was away. The port stays the same from
 * beginning to end; while there is no tunnel, clients get an ordinary connection error.
 *
 * Invariant: the relay decides when it is over. Our own deadline only makes sure that the port does not outlive a
 * session whose end could not be told.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { HoopError } from '../errors.ts';
import type { SessionEnd } from '../model/outcome.ts';
import type { SessionAnswer } from '../wire/api.ts';
import type { Account } from './account.ts';
import type { ServedView } from './control-protocol.ts';
import { AgentError } from './error.ts';
import { userName } from './postgres-client.ts';
import { RelayProblem } from './problem.ts';
import { openServedPort } from './served-port.ts';
import type { PortWish, ServedPort } from './served-port.ts';
import { endSession, openSession } from './session-client.ts';
import type { SessionWish } from './session-client.ts';
import { endedBy, failedBy, mayReopen } from './session-end.ts';
import type { ServedEnd } from './session-end.ts';
import { keepSignedIn } from './keep-signed-in.ts';
import { openTunnel } from './session-tunnel.ts';
import type { Tunnel } from './tunnel.ts';

const firstDelayMs = 100;
const longestDelayMs = 5_000;
/** The relay ends a session at its deadline and says so; this is how long its word may take. */
const deadlineGraceMs = 3_000;
const endTimeoutMs = 5_000;

/** A line for the person; not part of a result. */
export type Tell = (line: string) => void;

export interface ServedOptions {
  readonly tell?: Tell;
  /** A session that is open already. */
  readonly opened?: SessionAnswer;
}

export class ServedTarget {
  readonly #account: Account;
  readonly #wish: SessionWish;
  readonly #tell: Tell;
  readonly #user: string;
  readonly #ended = Promise.withResolvers<ServedEnd>();
  readonly #closing = new AbortController();
  /** Monotonic; fixed by the first session: those after it get what is left. */
  readonly #deadlineAt: number;
  #session: SessionAnswer;
  #tunnel: Tunnel | null;
  #port: ServedPort | null = null;
  #state: ServedView['state'] = 'open';

  private constructor(
    account: Account,
    wish: SessionWish,
    opened: { session: SessionAnswer; tunnel: Tunnel; user: string },
    tell: Tell,
  ) {
    this.#account = account;
    this.#wish = wish;
    this.#tell = tell;
    this.#user = opened.user;
    this.#session = opened.session;
    this.#tunnel = opened.tunnel;
    this.#deadlineAt = performance.now() + opened.session.remainingMs;
  }

  /**
   * Opens session (unless there is one), tunnel and port.
   * @throws RelayProblem when the relay refuses; AgentError, IdentityError
   */
  static async open(
    account: Account,
    wish: SessionWish,
    port: PortWish,
    { tell = () => undefined, opened }: ServedOptions = {},
  ): Promise<ServedTarget> {
    const session = opened ?? (await openSession(account, wish));
    let tunnel: Tunnel | null = null;
    try {
      if (session.protocol === 'ssh' && port.socket)
        throw new AgentError('target-unsuitable', `a socket is for databases, and ${wish.target} is none`, {
          hint: 'leave out --socket, or use ssh through: hoop ssh-config --write',
        });
      tunnel = await openTunnel(account, session.session);
      const { principal } = await account.signIn.credential();
      const served = new ServedTarget(account, wish, { session, tunnel, user: userName(principal) }, tell);
      served.#port = await openServedPort(account, wish.target, port, () => served.#tunnel?.open() ?? null);
      void served.#run(tunnel);
      return served;
    } catch (error) {
      tunnel?.close();
      await endSession(account, session.session).catch(() => undefined);
      throw error;
    }
  }

  /** Resolves when it is over and everything is closed. Never rejects. */
  get ended(): Promise<ServedEnd> {
    return this.#ended.promise;
  }

  view(): ServedView {
    const { target, protocol, server, session, deadline, database, ssh } = this.#session;
    return {
      target,
      relay: this.#account.relay,
      profile: this.#account.profile.name,
      protocol,
      server,
      session,
      deadline,
      host: this.#port?.host ?? '',
      port: this.#port?.port ?? 0,
      user: this.#user,
      database,
      hostKey: ssh?.hostKey ?? null,
      connections: this.#port?.local.connections ?? 0,
      state: this.#state,
    };
  }

  /** Ends the session at the relay and closes the port; resolves when both are done. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#ended.promise;
  }

  async #run(first: Tunnel): Promise<void> {
    const { signal } = this.#closing;
    const stopRenewal = keepSignedIn(this.#account.signIn, this.#tell);
    const end = await this.#serve(first, signal).catch((error: unknown) => failedBy(asHoopError(error)));
    stopRenewal();
    this.#state = 'ended';
    this.#closing.abort();
    await this.#port?.local.close();
    // The relay may be gone or slow; it ends the session by itself when its tunnel does not come back.
    if (end.why === 'ended') {
      const told = endSession(this.#account, this.#session.session).catch(() => undefined);
      await Promise.race([told, delay(endTimeoutMs, undefined, { ref: false })]);
    }
    this.#tunnel?.close();
    this.#ended.resolve(end);
  }

  /** Until it is over: by the person, by the relay, or by the clock. */
  async #serve(first: Tunnel, signal: AbortSignal): Promise<ServedEnd> {
    const leftMs = this.#deadlineAt - performance.now() + deadlineGraceMs;
    const stopped = new Promise<ServedEnd>((resolve) => {
      setTimeout(() => resolve(endedBy('deadline')), leftMs).unref();
      signal.addEventListener('abort', () => resolve(endedBy('ended')), { once: true });
    });
    for (let tunnel = first; ;) {
      const closed = await Promise.race([tunnel.closed, stopped]);
      if ('why' in closed) return closed;
      const { reason } = closed;
      this.#tunnel = null;
      if (reason !== null && !mayReopen(reason)) return endedBy(reason);
      this.#state = 'reconnecting';
      const what = reason === null ? 'connection to the relay lost' : endedBy(reason).text;
      this.#tell(`${what}; reconnecting`);
      const reopened = await Promise.race([this.#reopen(reason, signal), stopped]);
      if ('why' in reopened) return reopened;
      this.#tunnel = tunnel = reopened;
      this.#state = 'open';
      this.#tell(`connected again, session ${this.#session.session}`);
    }
  }

  /** The same session's tunnel when it still lives, else a new session for the time that is left. */
  async #reopen(why: SessionEnd | null, signal: AbortSignal): Promise<Tunnel | ServedEnd> {
    let needsSession = why !== null;
    let told = false;
    for (let wait = firstDelayMs; ; wait = Math.min(wait * 2, longestDelayMs)) {
      await delay(wait * (0.5 + Math.random()), undefined, { signal });
      const leftMs = this.#deadlineAt - performance.now();
      if (leftMs <= 0) return endedBy('deadline');
      try {
        if (needsSession)
          this.#session = await openSession(this.#account, {
            ...this.#wish,
            durationSeconds: Math.max(1, Math.floor(leftMs / 1000)),
          });
        needsSession = false;
        return await openTunnel(this.#account, this.#session.session, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        if (error instanceof RelayProblem && error.code === 'session-unknown') needsSession = true;
        else if (error instanceof RelayProblem && error.stepUp !== null) {
          // The port stays: the person may sign in again in another terminal.
          if (!told) this.#tell(`${error.message} ${error.hint ?? ''}`);
          told = true;
        } else if (isFinal(error)) return failedBy(asHoopError(error));
      }
    }
  }
}

/** What trying again does not change: the relay or the provider says no. */
function isFinal(error: unknown): boolean {
  if (error instanceof RelayProblem)
    return error.status < 500 && error.status !== 429 && error.status !== 408;
  if (error instanceof AgentError)
    return error.code !== 'relay-unreachable' && error.code !== 'relay-answer-invalid';
  return !(error instanceof HoopError) || error.code !== 'issuer-unreachable';
}

function asHoopError(error: unknown): HoopError {
  if (error instanceof HoopError) return error;
  return new AgentError('session-ended', 'the local agent failed', { cause: error });
}
