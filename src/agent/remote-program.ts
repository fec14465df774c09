/**
 * One program at a target, over a WebSocket of its own (`wire/exec.ts`): its streams, signals, window, and how it ended.
 * Nothing here knows of terminals or of this process's own streams.
 */
import type { Readable, Writable } from 'node:stream';
import WebSocket from 'ws';
import type { HoopError } from '../errors.ts';
import {
  channels,
  closeFrame,
  ExecCredit,
  execMessageBytes,
  execPieceBytes,
  execPingMs,
  ExecStatus,
  execStdinBytes,
  execSubprotocol,
  causeOf,
  frameOf,
  type ExecControl,
  type ExecRequest,
} from '../wire/exec.ts';
import { sessionEndCode } from '../wire/yamux/websocket-pipe.ts';
import { AgentError } from './error.ts';
import { explain } from './http.ts';
import { RelayProblem } from './problem.ts';
import { endedBy } from './session-end.ts';
import { isSessionEnd } from './tunnel.ts';
import { handshakeMs, readRefusal, upgraded, type Refusal, type UpgradeOptions } from './upgrade.ts';

/** Where the program's streams lead. */
export interface ProgramEnds {
  /** Null: it reads nothing. */
  readonly stdin: Readable | null;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** How it ended: by itself, or not (`failure`). */
export type ProgramEnd =
  | { readonly code: number; readonly signal: string | null; readonly failure: null }
  | {
      readonly code: null;
      readonly signal: null;
      readonly failure: HoopError;
      /** The relay has said so already, on the program's standard error. */
      readonly told: boolean;
    };

export class RemoteProgram {
  readonly ended: Promise<ProgramEnd>;
  readonly #socket: WebSocket;
  readonly #ends: ProgramEnds;
  readonly #resolve: (end: ProgramEnd) => void;
  readonly #pings: NodeJS.Timeout;
  #credit = execStdinBytes;
  #silentFor = 0;
  /** Of stdout and stderr, while they take nothing. */
  #full = 0;

  private constructor(socket: WebSocket, ends: ProgramEnds) {
    this.#socket = socket;
    this.#ends = ends;
    const { promise, resolve } = Promise.withResolvers<ProgramEnd>();
    this.ended = promise;
    this.#resolve = resolve;
    this.#pings = setInterval(() => this.#ping(), execPingMs);
    socket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary));
    for (const sign of ['ping', 'pong', 'message']) socket.on(sign, () => (this.#silentFor = 0));
    socket.on('error', () => undefined);
    socket.on('close', (code, reason) => this.#closed(code, reason.toString()));
  }

  /**
   * Asks for it; it may then wait for people.
   * @throws RelayProblem when the relay refuses; AgentError `relay-unreachable`, `relay-untrusted`
   */
  static async start(
    options: UpgradeOptions,
    request: Omit<ExecRequest, 'v' | 'stdin'>,
    ends: ProgramEnds,
  ): Promise<RemoteProgram> {
    const socket = await upgraded(options, (headers) => open(options, headers));
    const program = new RemoteProgram(socket, ends);
    const asked: ExecRequest = { v: 1, stdin: ends.stdin !== null, ...request };
    socket.send(JSON.stringify(asked));
    if (ends.stdin !== null) program.#read(ends.stdin);
    return program;
  }

  signal(name: ExecControl['signal']): void {
    this.#send(JSON.stringify({ signal: name } satisfies ExecControl));
  }

  resize(columns: number, rows: number): void {
    this.#send(frameOf(channels.resize, Buffer.from(JSON.stringify({ Width: columns, Height: rows }))));
  }

  /** Leaves it: what it was is not waited for. */
  close(): void {
    this.#socket.terminate();
  }

  #send(message: string | Buffer): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message, () => undefined);
  }

  // ---- stdin ----

  #read(stdin: Readable): void {
    stdin.on('data', (chunk: Buffer | string) => {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      for (let at = 0; at < bytes.length; at += execPieceBytes)
        this.#send(frameOf(channels.stdin, bytes.subarray(at, at + execPieceBytes)));
      this.#credit -= bytes.length;
      // What one read brings may pass the bound, by less than the relay allows for.
      if (this.#credit <= 0) stdin.pause();
    });
    const ended = (): void => this.#send(closeFrame(channels.stdin));
    stdin.on('end', ended);
    stdin.on('error', ended);
    if (stdin.readableEnded) ended();
  }

  // ---- what comes back ----

  #receive(data: Buffer, isBinary: boolean): void {
    if (!isBinary) return this.#credited(data);
    const bytes = data.subarray(1);
    if (data[0] === channels.stdout) this.#deliver(this.#ends.stdout, bytes);
    else if (data[0] === channels.stderr) this.#deliver(this.#ends.stderr, bytes);
    else if (data[0] === channels.status) {
      const status = ExecStatus.safeParse(json(bytes));
      this.#over(status.success ? endOf(status.data) : failed(invalid()));
      // The last word: nothing is lost with the socket.
      this.#socket.terminate();
    }
  }

  #credited(data: Buffer): void {
    const credit = ExecCredit.safeParse(json(data));
    if (!credit.success) return;
    this.#credit += credit.data.taken;
    if (this.#credit > 0 && this.#ends.stdin?.isPaused() === true) this.#ends.stdin.resume();
  }

  /** A reader that waits makes the relay wait. */
  #deliver(stream: Writable, bytes: Buffer): void {
    if (!stream.writable || stream.write(bytes)) return;
    this.#full += 1;
    this.#socket.pause();
    const free = (): void => {
      stream.off('drain', free);
      stream.off('close', free);
      this.#full -= 1;
      if (this.#full === 0) this.#socket.resume();
    };
    stream.on('drain', free);
    stream.on('close', free);
  }

  #closed(code: number, reason: string): void {
    clearInterval(this.#pings);
    this.#over(code === sessionEndCode ? failed(endedSession(reason)) : failed(lost()));
  }

  #over(end: ProgramEnd): void {
    this.#ends.stdin?.pause();
    this.#resolve(end);
  }

  #ping(): void {
    if (!this.#socket.isPaused) this.#silentFor += 1;
    if (this.#silentFor > 3) this.#socket.terminate();
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping(() => undefined);
  }
}

const failed = (failure: HoopError, told = false): ProgramEnd => ({
  code: null,
  signal: null,
  failure,
  told,
});

const lost = (): AgentError =>
  new AgentError('relay-unreachable', 'the connection to the relay was lost', {
    hint: 'whether the command took effect is not known; the record tells: hoop audit sessions',
  });
const invalid = (): AgentError =>
  new AgentError('relay-answer-invalid', 'the relay sent an answer that this version does not know', {
    hint: 'upgrade hoop, or the relay',
  });

/** Status codes as the relay's API would give them, so that the exit code is the same. */
function endedSession(reason: string): RelayProblem {
  const why = isSessionEnd(reason) ? reason : 'interrupted';
  const status = why === 'killed' ? 403 : why === 'access-ended' ? 401 : 503;
  return new RelayProblem({ title: endedBy(why).text, status, code: 'session-ended' });
}

function endOf(status: ExecStatus): ProgramEnd {
  if (status.status === 'Success') return { code: 0, signal: null, failure: null };
  const hint = causeOf(status, 'Hint');
  const options = hint === null ? {} : { hint };
  const message = status.message ?? 'the command was not run';
  switch (status.reason) {
    case 'NonZeroExitCode': {
      const code = Number(causeOf(status, 'ExitCode'));
      const known = Number.isInteger(code) && code >= 0 && code <= 255;
      return { code: known ? code : 255, signal: causeOf(status, 'Signal'), failure: null };
    }
    case 'Forbidden':
      return failed(new AgentError('command-denied', message, options), true);
    case 'Interrupted':
      return failed(new AgentError('command-withdrawn', message, options));
    case 'SessionEnded':
      return failed(endedSession(causeOf(status, 'SessionEnd') ?? ''));
    default: {
      const code = causeOf(status, 'Code') ?? 'target-unreachable';
      return failed(new RelayProblem({ title: message, status: 502, code, ...options }), true);
    }
  }
}

function open(options: UpgradeOptions, headers: Record<string, string>): Promise<WebSocket | Refusal> {
  const { url, authorities, signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket | Refusal>();
  if (signal?.aborted) return Promise.reject(signal.reason);
  const socket = new WebSocket(url.replace(/^http/, 'ws'), execSubprotocol, {
    headers,
    perMessageDeflate: false,
    maxPayload: execMessageBytes,
    handshakeTimeout: handshakeMs,
    minVersion: 'TLSv1.2',
    ...(authorities !== undefined && { ca: authorities }),
  });
  const abort = (): void => socket.terminate();
  const failure = (error: unknown): void => reject(signal?.aborted ? signal.reason : explain(error, url));
  signal?.addEventListener('abort', abort);
  socket.on('error', failure);
  socket.on('close', () => signal?.removeEventListener('abort', abort));
  socket.on('unexpected-response', (request, response) => {
    readRefusal(response, url)
      .then(resolve, failure)
      .finally(() => request.destroy());
  });
  socket.on('open', () => {
    signal?.removeEventListener('abort', abort);
    socket.off('error', failure);
    resolve(socket);
  });
  return promise;
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
