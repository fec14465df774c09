/**
 * A session while it lives in this process: its gate, its recorder, its connections, the tunnel that carries them, its
 * deadline. Self-contained: it shares nothing mutable with other sessions but the log and the sealer.
 *
 * Invariant: it ends once, for one reason, and after that delivers nothing but the error that says so. `session.closed`
 * follows when its last segment is committed.
 */
import type { ByteChannel } from '../../bytes/channel.ts';
import type { ClosedRecording, SessionRecorder } from '../../evidence/recording/recorder.ts';
import { MaskedRecorder } from '../../gate/masked-recorder.ts';
import type { Masking } from '../../gate/masking.ts';
import type { Reviews } from '../../gate/reviews.ts';
import { SessionGate, type GateTally, type SessionGateOptions } from '../../gate/session-gate.ts';
import type { Authorization } from '../../gate/authorization.ts';
import type { Authentication } from '../../model/authentication.ts';
import type { LoginId, SessionId } from '../../model/ids.ts';
import type { Principal } from '../../model/principal.ts';
import type { SessionEnd } from '../../model/outcome.ts';
import type { ExecutePolicy } from '../../policy/execute-policy.ts';
import type { Clock } from '../../system/clock.ts';
import type { AskedFor } from '../../protocols/ssh/asked-program.ts';
import type { RelayedProgram } from '../../protocols/ssh/exec.ts';
import type { ClientEnd } from '../../protocols/ssh/program.ts';
import type { Standing } from '../state/sessions.ts';
import type { ServedConnection, SessionProtocol } from './protocol.ts';

/** The tunnel as the session sees it. */
export interface SessionTunnel {
  /** Sends the frames of the tick. */
  flush(): void;
  /** Tells the agent why, and closes. */
  close(why: SessionEnd): void;
}

/** What carries one program, as the session sees it. */
export interface ProgramSocket {
  /** The session ends; the program hears of it next. */
  ending(why: SessionEnd): void;
  /** Closes when everything has been said. */
  close(why: SessionEnd): void;
}

export interface SessionFacts {
  readonly id: SessionId;
  readonly login: LoginId;
  readonly authorization: Authorization;
  /** Of whoever opened it. */
  readonly sourceAddress: string;
  /** When it was opened; `LiveSession.authentication` is that of now. */
  readonly authentication: Authentication;
  readonly reason: string | null;
  readonly task: string | null;
  readonly openedAtMs: number;
  readonly deadlineMs: number;
}

export interface LiveSessionOptions extends SessionFacts {
  readonly protocol: SessionProtocol;
  readonly durability: 'process' | 'disk';
  readonly tally: GateTally;
  readonly clock: Clock;
  /** Made with the session's `onFailure`. */
  readonly recorder: (onFailure: (error: Error) => void) => SessionRecorder;
  /** Policy on its commands. */
  readonly execute: Pick<ExecutePolicy, 'decide' | 'standing'>;
  /** Null: nothing is masked. */
  readonly masking: Masking | null;
  /** Null: nobody can be asked. */
  readonly reviews: Reviews | null;
  readonly blocked: SessionGateOptions['blocked'];
  /** Time without a tunnel after which the session ends. */
  readonly detachedMs: number;
  /** The recording is complete; resolves when `session.closed` is durable. */
  readonly onEnded: (session: LiveSession, why: SessionEnd, recording: ClosedRecording) => Promise<void>;
  /** It ends now, and this is why; before anything is waited for. */
  readonly onEnding: (session: LiveSession, why: SessionEnd, error: Error | null) => void;
}

/** Connections get this long to say goodbye once the session ends. */
const farewellMs = 500;
/** What arrives in pieces of this size goes on arriving. */
const bulkBytes = 8 * 1024;

export class LiveSession {
  readonly facts: SessionFacts;
  readonly gate: SessionGate;
  readonly #options: LiveSessionOptions;
  readonly #recorder: SessionRecorder;
  readonly #connections = new Set<ServedConnection>();
  readonly #deadline: NodeJS.Timeout;
  #detached: NodeJS.Timeout | null = null;
  #tunnel: SessionTunnel | null = null;
  /** Sockets of single programs; any number beside the tunnel. */
  readonly #sockets = new Set<ProgramSocket>();
  /** `bytesToClient` when the last flush was asked for. */
  #tallied = 0;
  #ending: SessionEnd | null = null;
  #ended: Promise<void> | null = null;
  #principal: Principal;
  #authentication: Authentication;
  #standsSince: number | null = null;

  constructor(options: LiveSessionOptions, remainingMs: number) {
    this.#options = options;
    this.facts = options;
    this.#principal = options.authorization.principal;
    this.#authentication = options.authentication;
    const onFailure = (error: Error): void => void this.end('evidence-failed', error);
    this.#recorder = options.recorder(onFailure);
    const { masking, protocol } = options;
    const masked =
      masking === null
        ? null
        : new MaskedRecorder({ recorder: this.#recorder, masking, ...protocol.literals });
    this.gate = new SessionGate({
      recorder: masked ?? this.#recorder,
      quoting: masked,
      masking,
      decide: (facts) => options.execute.decide(facts),
      reviews: options.reviews,
      blocked: options.blocked,
      durability: options.durability,
      tally: options.tally,
      nowMs: () => options.clock.monotonicMs(),
      schedule: (flush) => this.#schedule(flush),
      onFailure,
      onMaskingFailure: (error) => void this.end('masking-failed', error),
      onReleased: () => this.#tunnel?.flush(),
    });
    this.#deadline = setTimeout(() => void this.end('deadline'), remainingMs).unref();
    this.#awaitTunnel();
  }

  /** Null while it lives. */
  get ending(): SessionEnd | null {
    return this.#ending;
  }

  /** As the login of the session has it now. */
  get authentication(): Authentication {
    return this.#authentication;
  }

  /** With the groups of now; it is the one that opened the session. */
  get principal(): Principal {
    return this.#principal;
  }

  /** `renewedAtMs` of the standing that it was told last; null: of none yet. */
  get standsSince(): number | null {
    return this.#standsSince;
  }

  /** The person has perhaps signed in again, or has other groups. */
  standing({ principal, authentication, renewedAtMs }: Standing): void {
    this.#principal = principal;
    this.#authentication = authentication;
    this.#standsSince = renewedAtMs;
    this.#options.execute.standing(principal, authentication);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** A tunnel for this session; one that was there before is replaced, and its connections with it. */
  attach(tunnel: SessionTunnel): void {
    const before = this.#tunnel;
    this.#tunnel = tunnel;
    this.#attached();
    before?.close('disconnected');
    if (this.#ending !== null) tunnel.close(this.#ending);
  }

  detach(tunnel: SessionTunnel): void {
    if (this.#tunnel !== tunnel) return;
    this.#tunnel = null;
    this.#left();
  }

  /** One local connection of the client. */
  accept(client: ByteChannel): void {
    if (this.#ending !== null) {
      client.destroy();
      return;
    }
    const connection = this.#options.protocol.serve(client, () => this.gate.connection());
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
  }

  /** The protocol runs programs for clients that do not speak it. */
  get runsPrograms(): boolean {
    return this.#options.protocol.exec !== null;
  }

  /**
   * Runs one program over a socket of its own, which keeps the session alive as a tunnel does.
   * @returns null when the session is ending, or `runsPrograms` is false
   */
  exec(socket: ProgramSocket, client: ClientEnd, asked: AskedFor): RelayedProgram | null {
    const { protocol } = this.#options;
    if (this.#ending !== null || protocol.exec === null) return null;
    this.#attached();
    this.#sockets.add(socket);
    const program = protocol.exec(client, asked, this.gate.connection());
    const fail = (why: SessionEnd): void => {
      socket.ending(why);
      program.abandon('session-ended');
    };
    const connection = { closed: program.closed, fail };
    this.#connections.add(connection);
    void program.closed.then(() => this.#connections.delete(connection));
    return program;
  }

  /** The socket of a program is gone, whoever closed it. */
  leave(socket: ProgramSocket): void {
    if (this.#sockets.delete(socket)) this.#left();
  }

  /**
   * Ends the session: no new connection, the live ones get the protocol's error, the recording closes. Resolves when
   * `session.closed` is durable, which waits as long as the disk refuses. Only the first reason counts.
   */
  end(why: SessionEnd, error: Error | null = null): Promise<void> {
    this.#ended ??= this.#end(why, error);
    return this.#ended;
  }

  async #end(why: SessionEnd, error: Error | null): Promise<void> {
    this.#ending = why;
    clearTimeout(this.#deadline);
    if (this.#detached !== null) clearTimeout(this.#detached);
    this.#options.onEnding(this, why, error);
    const closed = [...this.#connections].map((connection) => connection.closed);
    for (const connection of this.#connections) connection.fail(why);
    this.gate.flush();
    this.#tunnel?.flush();
    const said = Promise.race([
      Promise.all(closed),
      new Promise((resolve) => setTimeout(resolve, farewellMs)),
    ]);
    // There the last words wait for the disk; else they went with the flush.
    if (this.#options.durability === 'disk') await said;
    for (const socket of [this.#tunnel, ...this.#sockets]) socket?.close(why);
    await said;
    this.gate.stop();
    const recording = await this.#recorder.close();
    await this.#options.onEnded(this, why, recording);
  }

  /**
   * What several connections say, or one says in bulk, is recorded together once everything that can be read has been; a
   * connection alone is not made to wait for others.
   */
  #schedule(flush: () => void): void {
    const { bytesToClient } = this.#options.tally;
    const bulk = bytesToClient - this.#tallied >= bulkBytes;
    this.#tallied = bytesToClient;
    if (bulk || this.#connections.size > 1) setImmediate(flush);
    else process.nextTick(flush);
  }

  #attached(): void {
    if (this.#detached !== null) clearTimeout(this.#detached);
    this.#detached = null;
  }

  #left(): void {
    if (this.#ending === null && this.#tunnel === null && this.#sockets.size === 0) this.#awaitTunnel();
  }

  #awaitTunnel(): void {
    this.#detached = setTimeout(() => void this.end('disconnected'), this.#options.detachedMs).unref();
  }
}
