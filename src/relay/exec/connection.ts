/** One exec socket: what is asked for first, then the program's streams, signals and windows, then how it ended. */
import { finished } from 'node:stream/promises';
import { constants } from 'node:os';
import type { WebSocket } from 'ws';
import type { SessionEnd } from '../../model/outcome.ts';
import type { AskedFor } from '../../protocols/ssh/asked-program.ts';
import type { RelayedProgram } from '../../protocols/ssh/exec.ts';
import type { ClientEnd, ExitStatus, Refusal } from '../../protocols/ssh/program.ts';
import {
  channels,
  ExecControl,
  execFailure,
  execPingMs,
  ExecRequest,
  ExecResize,
  execSucceeded,
  frameOf,
  type ExecCredit,
  type ExecStatus,
} from '../../wire/exec.ts';
import { sessionEndCode } from '../../wire/yamux/websocket-pipe.ts';
import type { ProgramSocket } from '../sessions/live-session.ts';
import type { ExecSession } from './service.ts';
import { ChannelWritable, StdinReadable } from './streams.ts';

/** From the handshake to the request. */
const requestMs = 15_000;
/** A client that takes nothing does not keep a socket whose program has ended, or whose session has. */
const lingerMs = 5000;
const protocolError = 1002;
const longestResize = 256;

export class ExecConnection implements ProgramSocket {
  readonly #socket: WebSocket;
  readonly #session: ExecSession;
  readonly #input: StdinReadable;
  readonly #client: ClientEnd;
  readonly #timer: NodeJS.Timeout;
  readonly #pings: NodeJS.Timeout;
  #program: RelayedProgram | null = null;
  #asked: ExecRequest | null = null;
  #sessionEnd: SessionEnd | null = null;
  #finishing = false;
  #endedSession = false;
  #silentFor = 0;

  constructor(socket: WebSocket, session: ExecSession, closed: () => void) {
    this.#socket = socket;
    this.#session = session;
    this.#input = new StdinReadable(socket, (taken) => this.#say({ taken }));
    this.#client = this.#clientEnd();
    this.#timer = setTimeout(() => this.#refuse('nothing was asked for'), requestMs);
    this.#pings = setInterval(() => this.#ping(), execPingMs);
    socket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary));
    for (const sign of ['ping', 'pong', 'message']) socket.on(sign, () => (this.#silentFor = 0));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(this.#timer);
      clearInterval(this.#pings);
      this.#program?.abandon('disconnected');
      this.#input.destroy();
      session.leave(this);
      if (this.#asked?.endsSession === true)
        void this.#endSession(this.#finishing ? 'ended' : 'disconnected');
      closed();
    });
  }

  ending(why: SessionEnd): void {
    this.#sessionEnd ??= why;
  }

  close(why: SessionEnd): void {
    this.ending(why);
    setTimeout(() => this.#socket.terminate(), lingerMs).unref();
    if (!this.#finishing) this.#socket.close(sessionEndCode, why);
  }

  // ---- what the client says ----

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#program === null) this.#start(isBinary ? null : data);
    else if (!isBinary) {
      const control = ExecControl.safeParse(json(data));
      if (control.success) this.#program.signal(control.data.signal);
      else this.#refuse('not a message of this protocol');
    } else this.#take(data[0], data.subarray(1));
  }

  #take(channel: number | undefined, bytes: Buffer): void {
    if (channel === channels.stdin) return this.#input.receive(bytes);
    if (channel === channels.close && bytes.length === 1) {
      if (bytes[0] === channels.stdin) this.#input.end();
      return;
    }
    const size =
      channel === channels.resize && bytes.length <= longestResize ? ExecResize.safeParse(json(bytes)) : null;
    if (size?.success === true) this.#program?.resize({ columns: size.data.Width, rows: size.data.Height });
    else this.#refuse('not a message of this protocol');
  }

  #start(data: Buffer | null): void {
    if (this.#finishing || this.#asked !== null) return;
    const asked = ExecRequest.safeParse(data === null ? null : json(data));
    if (!asked.success) return this.#refuse('the request cannot be read');
    clearTimeout(this.#timer);
    this.#asked = asked.data;
    if (!asked.data.stdin) this.#input.end();
    this.#program = this.#session.exec(this, this.#client, askedFor(asked.data));
    if (this.#program === null) this.close('ended');
    else this.#input.watch();
  }

  #refuse(why: string): void {
    this.#socket.close(protocolError, why);
    setTimeout(() => this.#socket.terminate(), lingerMs).unref();
  }

  // ---- what it is told ----

  #clientEnd(): ClientEnd {
    const output = new ChannelWritable(this.#socket, channels.stdout);
    const errorOutput = new ChannelWritable(this.#socket, channels.stderr);
    return {
      input: this.#input,
      output,
      errorOutput,
      exit: (status, refusal) => {
        if (this.#finishing) return;
        this.#finishing = true;
        setTimeout(() => this.#socket.terminate(), lingerMs).unref();
        output.end();
        errorOutput.end();
        const said = Promise.all([finished(output), finished(errorOutput)]);
        said.then(
          () => this.#finish(this.#statusOf(status, refusal)),
          () => this.#socket.terminate(),
        );
      },
      destroy: () => this.#socket.terminate(),
    };
  }

  #finish(status: ExecStatus): void {
    this.#socket.send(frameOf(channels.status, Buffer.from(JSON.stringify(status))), () => undefined);
    const why = this.#sessionEnd;
    if (why === null) this.#socket.close(1000);
    else this.#socket.close(sessionEndCode, why);
    void this.#endSession('ended');
  }

  #statusOf(status: ExitStatus, refusal: Refusal | null): ExecStatus {
    if (this.#sessionEnd !== null)
      return execFailure('SessionEnded', 'the session ended', [['SessionEnd', this.#sessionEnd]]);
    if (refusal !== null)
      return execFailure(reasons[refusal.kind], refusal.message, [
        ['Code', refusal.code],
        ['Hint', refusal.hint],
      ]);
    if ('code' in status && status.code === 0) return execSucceeded;
    if ('code' in status)
      return execFailure('NonZeroExitCode', `command terminated with non-zero exit code: ${status.code}`, [
        ['ExitCode', String(status.code)],
      ]);
    const signal = status.signal.replace(/^SIG/, '');
    return execFailure('NonZeroExitCode', `command terminated by signal ${signal}`, [
      ['ExitCode', String(exitOfSignal(signal))],
      ['Signal', signal],
    ]);
  }

  #say(message: ExecCredit): void {
    this.#socket.send(JSON.stringify(message), () => undefined);
  }

  #ping(): void {
    this.#silentFor += 1;
    if (this.#silentFor > 3 && !this.#socket.isPaused) this.#socket.terminate();
    else this.#socket.ping(() => undefined);
  }

  async #endSession(why: SessionEnd): Promise<void> {
    if (this.#asked?.endsSession !== true || this.#endedSession) return;
    this.#endedSession = true;
    // Whoever looks after the session hears of a record that cannot be closed.
    await this.#session.end(why).catch(() => undefined);
  }
}

const reasons: Readonly<Record<Refusal['kind'], string>> = {
  denied: 'Forbidden',
  cancelled: 'Interrupted',
  unreachable: 'TargetUnavailable',
};

function exitOfSignal(name: string): number {
  const { signals } = constants;
  const key = `SIG${name}`;
  return 128 + (Object.hasOwn(signals, key) ? signals[key as NodeJS.Signals] : 0);
}

function askedFor({ command, environment, terminal }: ExecRequest): AskedFor {
  return {
    kind: command === null ? 'shell' : 'exec',
    text: command ?? '',
    environment,
    terminal: terminal === null ? null : { ...terminal, width: 0, height: 0, modes: {} },
    agent: false,
    x11: null,
  };
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
