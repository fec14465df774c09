/**
 * PostgreSQL, frontend/backend protocol 3 (https://www.postgresql.org/docs/current/protocol.html), relayed between two
 * byte channels through a gate. Read in this order: `client-startup`, `target-startup`, `frontend`, `backend`,
 * `exchange`; the messages themselves are in `messages/`.
 *
 * Deliberately opens no socket, reads no clock and touches no file: the caller dials, and imposes deadlines by `fail`.
 * Serves no replication, and no TLS towards the client (the tunnel has it).
 *
 * Invariant: nothing goes to the target and nothing to the client that was not handed to the gate before, and then
 * only in `release`; the exceptions are start-up and the one error that ends a connection.
 */
import { BytesError } from '../../bytes/bounded-reader.ts';
import type { ByteChannel, ByteReceiver } from '../../bytes/channel.ts';
import { HandshakeReader } from '../../bytes/handshake-reader.ts';
import { Outbox } from '../../bytes/outbox.ts';
import type { ConnectionGate, Releasable } from '../../gate/gate.ts';
import { unknownFacts } from '../../model/command-facts.ts';
import type { CommandFacts } from '../../model/command-facts.ts';
import { Backend } from './backend.ts';
import type { CancelKeys, ClientKey } from './cancel-keys.ts';
import { acceptStartup, readClientStartup } from './client-startup.ts';
import type { ClientStartup } from './client-startup.ts';
import { peerError, PostgresError } from './error.ts';
import type { PeerError, PostgresErrorCode } from './error.ts';
import { Exchange } from './exchange.ts';
import { defaultMessageLimit, Frontend } from './frontend.ts';
import { encodeAuthenticationOk } from './messages/authentication.ts';
import { encodeErrorResponse } from './messages/error.ts';
import { encodeMessage } from './messages/frame.ts';
import { Catalogs } from './masking/catalog.ts';
import type { Catalog } from './masking/catalog.ts';
import { ResultMasking } from './masking/result-masking.ts';
import { encodeBackendKeyData, encodeNegotiateProtocolVersion } from './messages/startup.ts';
import type { Dial, TargetOptions, TargetTransport } from './target.ts';
import { cancelTarget, openTarget, startTarget } from './target-startup.ts';
import type { ReadyTarget, TargetKey } from './target-startup.ts';

export interface RelayPostgresOptions {
  readonly client: ByteChannel;
  readonly target: TargetOptions;
  readonly dial: Dial;
  readonly gate: ConnectionGate;
  /** The session's: a client can cancel only what runs in its own session. */
  readonly cancelKeys: CancelKeys;
  /** What a text does; without it, everything is unknown. Never throws. */
  readonly classify?: (text: Uint8Array) => CommandFacts;
  /** The same for texts that are prepared (`ParsedTexts`); `classify` unless said otherwise. */
  readonly classifyParsed?: (text: Uint8Array) => CommandFacts;
  /** The session's, for masking; without it each connection learns for itself. */
  readonly catalogs?: Catalogs;
  /** Longest Query, Parse, Bind or FunctionCall; 64 MiB + 64 KiB unless said otherwise. */
  readonly messageLimitBytes?: number;
}

/** Why a connection ended, as `ConnectionGate.closed` is told. */
export type ConnectionEnd =
  'terminated' | 'client-disconnected' | 'target-closed' | 'cancel-request' | PostgresErrorCode;

export interface PostgresRelay {
  /** True once the client was told ReadyForQuery; false when the connection ended before. Never rejects. */
  readonly ready: Promise<boolean>;
  /** The connection is over; what was said before may still be on its way to the client. Never rejects. */
  readonly ended: Promise<void>;
  /** Both channels are closed and every command has its outcome. Never rejects. */
  readonly closed: Promise<void>;
  /**
   * Ends the connection in any phase: the client is told `error`, what runs at the target is cancelled, what was not
   * recorded is not delivered. Idempotent.
   */
  fail(error: PeerError): void;
}

/** Serves one connection of a client. */
export function relayPostgres(options: RelayPostgresOptions): PostgresRelay {
  return new Connection(options);
}

/** Bytes that may wait for the record before their sender is made to wait; little, so that they stay in the cache. */
const heldBytes = 256 * 1024;

class Connection implements PostgresRelay, Releasable {
  readonly ready: Promise<boolean>;
  readonly ended: Promise<void>;
  readonly closed: Promise<void>;
  readonly #options: RelayPostgresOptions;
  readonly #gate: ConnectionGate;
  readonly #client: ByteChannel;
  readonly #clientReader: HandshakeReader;
  readonly #exchange: Exchange;
  readonly #masking: ResultMasking | null;
  readonly #frontend: Frontend;
  readonly #backend: Backend;
  readonly #toClient: Outbox;
  #toTarget: Outbox | null = null;
  #target: ByteChannel | null = null;
  #key: TargetKey | null = null;
  #clientKey: ClientKey | null = null;
  readonly #settleReady: (ready: boolean) => void;
  readonly #settleEnded: () => void;
  readonly #settleClosed: () => void;

  #ended = false;
  #clientClosed = false;
  #targetClosed = false;
  /** The client sends no more; the target is told when everything is forwarded. */
  #clientDone = false;
  #targetTold = false;
  /** The target sends no more; the client is told when everything is delivered. */
  #targetDone = false;
  /** An error ends the connection as soon as it is delivered. */
  #closing: ConnectionEnd | null = null;
  #clientBlocked = false;
  #targetBlocked = false;
  #clientPaused = true;
  #targetPaused = true;
  /** Whether the last message ends beyond what is pending, staged, written. */
  #midPending = false;
  #midStaged = false;
  #midWritten = false;

  constructor(options: RelayPostgresOptions) {
    this.#options = options;
    this.#gate = options.gate;
    this.#client = options.client;
    this.#clientReader = new HandshakeReader(options.client);
    this.#toClient = new Outbox(options.client);
    this.#exchange = new Exchange(options.gate);
    const exchange = this.#exchange;
    const { masking: rules } = options.gate;
    const masking = rules === null ? null : new ResultMasking(options.gate, rules);
    this.#masking = masking;
    const classify = options.classify ?? (() => unknownFacts);
    this.#frontend = new Frontend({
      gate: options.gate,
      exchange,
      classify,
      classifyParsed: options.classifyParsed ?? classify,
      forward: (bytes) => this.#toTarget!.add(bytes),
      tell: (message) => this.#toClient.add(this.#gate.output(0, message)),
      awake: (work) => this.#guarded(work),
      onTerminate: () => (this.#clientDone = true),
      attended: () => !this.#clientDone,
      masking,
      messageLimit: options.messageLimitBytes ?? defaultMessageLimit,
    });
    this.#backend = new Backend({
      gate: options.gate,
      exchange,
      deliver: (bytes, midMessage) => {
        this.#toClient.add(bytes);
        this.#midPending = midMessage;
      },
      masking,
      awake: (work) =>
        this.#guarded(() => {
          work();
          this.#answered();
        }),
    });
    const ready = Promise.withResolvers<boolean>();
    const ended = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.ended = ended.promise;
    this.closed = closed.promise;
    this.#settleReady = ready.resolve;
    this.#settleEnded = ended.resolve;
    this.#settleClosed = closed.resolve;
    this.#clientReader.onClosed = () => this.#clientGone();
    this.#start().catch((error: unknown) => this.#abort(error));
  }

  fail(error: PeerError): void {
    this.#end(error, 'postgres-ended');
  }

  readonly #gone: Omit<ByteReceiver, 'data'> = {
    end: () => undefined,
    drained: () => undefined,
    closed: () => this.#clientGone(),
  };

  // ---- start-up ----

  async #start(): Promise<void> {
    const { target: options, dial, cancelKeys } = this.#options;
    const packet = await readClientStartup(this.#clientReader);
    if (packet.kind === 'CancelRequest') {
      const key = cancelKeys.find(packet.processId, packet.secret);
      const dialled = (transport: TargetTransport): void => this.#dialled(transport);
      if (key !== null && !key.cancelHeld()) await cancelTarget(dial, options.tls, key.target, dialled);
      this.#end(null, 'cancel-request');
      return;
    }
    const startup = acceptStartup(packet, options);
    const open = await openTarget(dial, options.tls, (transport) => this.#dialled(transport));
    const target = await startTarget(open, options, startup.database, startup.passedOn);
    if (this.#ended) return;
    this.#serve(startup, target);
  }

  #dialled(transport: TargetTransport): void {
    if (this.#ended) transport.channel.destroy();
    else this.#target = transport.channel;
  }

  #serve(startup: ClientStartup, target: ReadyTarget): void {
    const { reader, serverVersion } = target;
    this.#gate.opened({ parameters: startup.parameters, serverVersion });
    this.#masking?.useCatalog(this.#catalogOf(startup.database));
    this.#toTarget = new Outbox(reader.channel);
    this.#key = target.key;
    for (const message of this.#welcome(startup, target)) this.#toClient.add(message);
    this.#gate.whenRecorded(this);
    this.#settleReady(true);
    reader.handOver(
      this.#receiver((chunk) => this.#fromTarget(chunk), {
        end: () => this.#targetEnded(),
        drained: () => (this.#targetBlocked = false),
        closed: () => {
          this.#targetClosed = true;
          this.#targetEnded();
        },
      }),
    );
    this.#clientReader.handOver(
      this.#receiver((chunk) => this.#fromClient(chunk), {
        end: () => this.#clientEnded(),
        drained: () => (this.#clientBlocked = false),
        closed: () => this.#clientGone(),
      }),
    );
    this.#flow();
  }

  /** A parameter or a notice of the target's start-up, masked where it has to be. */
  #announced(message: Buffer): Buffer {
    return this.#masking?.text(0, message[0]!, message, 0, message.length) ?? message;
  }

  #catalogOf(database: string): Catalog {
    const { catalogs, dial, target } = this.#options;
    return (catalogs ?? new Catalogs({ dial, target, nowMs: () => 0 })).of(database);
  }

  #welcome(startup: ClientStartup, target: ReadyTarget): Buffer[] {
    const messages: Buffer[] = [];
    if (startup.negotiate !== null) messages.push(encodeNegotiateProtocolVersion(startup.negotiate));
    messages.push(encodeAuthenticationOk(), ...target.announcements.map((bytes) => this.#announced(bytes)));
    if (target.key !== null) {
      const cancellable = { target: target.key, cancelHeld: () => this.#frontend.cancel() };
      this.#clientKey = this.#options.cancelKeys.issue(cancellable, startup.minor >= 2 ? 32 : 4);
      messages.push(encodeBackendKeyData(this.#clientKey.processId, this.#clientKey.secret));
    }
    messages.push(encodeMessage('Z', Buffer.from([target.status])));
    return messages;
  }

  /** What is thrown while something is received ends this connection, and only this one. */
  #receiver(data: (chunk: Buffer) => void, rest: Omit<ByteReceiver, 'data'>): ByteReceiver {
    return {
      data: (chunk) => {
        if (this.#ended) return;
        try {
          data(chunk);
          this.#settle();
        } catch (error) {
          this.#abort(error);
        }
      },
      end: () => rest.end(),
      drained: () => {
        rest.drained();
        this.#flow();
      },
      closed: (error) => rest.closed(error),
    };
  }

  #guarded(work: () => void): void {
    if (this.#ended) return;
    try {
      work();
      this.#settle();
    } catch (error) {
      this.#abort(error);
    }
  }

  // ---- the stream ----

  #fromClient(chunk: Buffer): void {
    if (!this.#clientDone) this.#frontend.receive(chunk);
  }

  #fromTarget(chunk: Buffer): void {
    if (this.#targetDone) return;
    this.#backend.receive(chunk);
    this.#answered();
  }

  /** Answers have come, or were looked at that had to wait. */
  #answered(): void {
    if (this.#frontend.held) this.#frontend.resume();
    if (!this.#clientClosed) return;
    // Nobody is there to take it: what is complete counts, what goes on is stopped.
    if (this.#exchange.producing) this.#end(null, 'client-disconnected');
  }

  /** After something was received: what was accepted goes when it is recorded. */
  #settle(): void {
    if (this.#ended) return;
    if (this.#toClient.bytes > 0 || this.#toTarget!.bytes > 0) this.#gate.whenRecorded(this);
    else this.#finishHalves();
    this.#flow();
  }

  stage(): void {
    this.#toClient.stage();
    this.#toTarget?.stage();
    this.#midStaged = this.#midPending;
  }

  release(): void {
    if (this.#ended) return;
    if (!this.#toClient.release()) this.#clientBlocked = true;
    if (this.#toTarget?.release() === false) this.#targetBlocked = true;
    this.#midWritten = this.#midStaged;
    this.#finishHalves();
    this.#flow();
  }

  /** Back-pressure, both ways: a sender waits while its receiver does, or the record. */
  #flow(): void {
    if (this.#ended || this.#toTarget === null) return;
    const pauseClient = this.#targetBlocked || this.#toTarget.bytes > heldBytes || this.#frontend.blocked;
    if (pauseClient !== this.#clientPaused) {
      this.#clientPaused = pauseClient;
      if (pauseClient) this.#client.pause();
      else this.#client.resume();
    }
    const pauseTarget = this.#clientBlocked || this.#toClient.bytes > heldBytes || this.#backend.waiting;
    if (pauseTarget !== this.#targetPaused) {
      this.#targetPaused = pauseTarget;
      if (pauseTarget) this.#target!.pause();
      else this.#target!.resume();
    }
  }

  // ---- the end ----

  #clientEnded(): void {
    this.#clientDone = true;
    this.#leave('disconnected');
    this.#settleHalves();
  }

  #clientGone(): void {
    this.#clientClosed = true;
    this.#backend.discarding = true;
    if (this.#toTarget === null) this.#end(null, 'postgres-client-gone');
    this.#clientBlocked = false;
    this.#toClient.clear();
    this.#clientEnded();
    this.#settleClosedIfDone();
  }

  /** The target went away. Unless it said why, the client gets an ordinary error. */
  #targetEnded(): void {
    if (this.#targetDone || this.#ended) {
      this.#settleClosedIfDone();
      return;
    }
    this.#targetDone = true;
    this.#leave('disconnected');
    const expected = this.#clientDone && !this.#exchange.busy;
    if (!expected && !this.#backend.errorLast && !this.#backend.midMessage && !this.#clientClosed) {
      const error = encodeErrorResponse('FATAL', connectionLost);
      this.#toClient.add(this.#gate.output(0, error));
    }
    this.#exchange.abandon(connectionLost.sqlstate);
    this.#gate.whenRecorded(this);
    this.#settleHalves();
  }

  #settleHalves(): void {
    if (this.#ended || this.#toTarget === null) return;
    if (this.#toClient.bytes === 0 && this.#toTarget.bytes === 0) this.#finishHalves();
    this.#flow();
  }

  /** Ends the direction in which everything was said. */
  #finishHalves(): void {
    if (this.#targetDone && this.#toClient.bytes === 0) {
      this.#end(null, this.#closing ?? this.#reason());
    } else if (this.#clientDone && !this.#targetTold && this.#toTarget!.bytes === 0 && !this.#frontend.held) {
      this.#targetTold = true;
      this.#target!.end();
    }
  }

  #reason(): ConnectionEnd {
    if (this.#frontend.terminated) return 'terminated';
    return this.#clientDone ? 'client-disconnected' : 'target-closed';
  }

  #abort(error: unknown): void {
    const known = this.#leftDuringStartup(error) ?? error;
    const reason = known instanceof PostgresError ? known.code : 'postgres-malformed-message';
    if (this.#toTarget === null || this.#midPending || this.#clientClosed)
      this.#end(peerError(known), reason);
    else if (this.#closing === null && !this.#ended) this.#close(peerError(known), reason);
  }

  /** Ends in order: what was accepted before is delivered and recorded, and so is the error. */
  #close(error: PeerError, reason: ConnectionEnd): void {
    this.#leave('session-ended');
    this.#closing = reason;
    this.#clientDone = true;
    this.#targetDone = true;
    this.#toTarget!.clear();
    this.#stopTarget();
    this.#toClient.add(this.#gate.output(0, encodeErrorResponse('FATAL', error)));
    this.#exchange.abandon(error.sqlstate);
    this.#gate.whenRecorded(this);
  }

  #leave(why: 'disconnected' | 'session-ended'): void {
    this.#frontend.leave(why);
  }

  #leftDuringStartup(error: unknown): PostgresError | null {
    if (!(error instanceof BytesError) || error.code !== 'bytes-ended') return null;
    return this.#target === null
      ? new PostgresError('postgres-client-gone', 'the connection ended before the start-up message')
      : new PostgresError('postgres-connection-lost', connectionLost.message, { hint: connectionLost.hint });
  }

  #end(error: PeerError | null, reason: ConnectionEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#settleReady(false);
    this.#settleEnded();
    this.#leave(reason === 'client-disconnected' ? 'disconnected' : 'session-ended');
    this.#toClient.clear();
    this.#toTarget?.clear();
    this.#stopTarget();
    this.#exchange.abandon(error?.sqlstate ?? connectionLost.sqlstate);
    this.#gate.closed(reason);
    this.#gate.whenRecorded(this);
    if (this.#clientKey !== null) this.#options.cancelKeys.revoke(this.#clientKey.processId);
    if (!this.#clientClosed) {
      if (error !== null && !this.#midWritten) this.#client.write(encodeErrorResponse('FATAL', error));
      if (this.#toTarget === null) this.#clientReader.handOver(this.#receiver(() => undefined, this.#gone));
      this.#client.resume(); // what it still sends is dropped, so that its end is seen
      if (this.#midWritten) this.#client.destroy();
      else this.#client.end();
    }
    if (this.#toTarget === null) this.#targetClosed = true;
    this.#settleClosedIfDone();
  }

  /** The target would go on with what it does until it notices, so it is told to cancel. Nothing waits for that. */
  #stopTarget(): void {
    const { dial, target } = this.#options;
    const key = this.#key;
    this.#key = null;
    if (key !== null && this.#exchange.busy && !this.#targetClosed) {
      cancelTarget(dial, target.tls, key).catch(() => undefined);
    }
    this.#target?.destroy();
  }

  #settleClosedIfDone(): void {
    if (this.#ended && this.#clientClosed && this.#targetClosed) this.#settleClosed();
  }
}

const connectionLost = {
  sqlstate: '08006',
  message: 'the connection to the target was lost',
  hint: 'Connect again; if it happens again, ask the relay’s operator about this target.',
} satisfies PeerError;
