/** The channels of an exec socket as streams, and how much may wait in them. */
import { Readable, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { execPieceBytes, execStdinBytes, execWaitingBytes, frameOf } from '../../wire/exec.ts';

/** A channel towards the client. Whoever writes waits while too much is on its way. */
export class ChannelWritable extends Writable {
  readonly #socket: WebSocket;
  readonly #channel: number;

  constructor(socket: WebSocket, channel: number) {
    super({ highWaterMark: execWaitingBytes });
    this.#socket = socket;
    this.#channel = channel;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: () => void): void {
    const socket = this.#socket;
    for (let at = 0; at < chunk.length; at += execPieceBytes) {
      const frame = frameOf(this.#channel, chunk.subarray(at, at + execPieceBytes));
      const last = at + execPieceBytes >= chunk.length;
      // A socket that is gone takes everything and sends nothing: its close is heard elsewhere.
      if (last && socket.bufferedAmount > execWaitingBytes) socket.send(frame, () => written());
      else {
        socket.send(frame, () => undefined);
        if (last) written();
      }
    }
  }
}

/** What the client sends to the program. */
export class StdinReadable extends Readable {
  readonly #socket: WebSocket;
  readonly #credit: (taken: number) => void;
  #unread = 0;
  #untold = 0;
  #over = false;

  /** @param credit told when a good part of what came was taken */
  constructor(socket: WebSocket, credit: (taken: number) => void) {
    super({ highWaterMark: execStdinBytes });
    this.#socket = socket;
    this.#credit = credit;
  }

  /** Call it when somebody reads. */
  watch(): void {
    this.on('data', (chunk: Buffer) => this.#taken(chunk.length));
  }

  receive(bytes: Buffer): void {
    if (this.#over || bytes.length === 0) return;
    this.#unread += bytes.length;
    this.push(bytes);
    // One that knows no bound is bounded by its socket; hoop's own never come here.
    if (this.#unread > 2 * execStdinBytes) this.#socket.pause();
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.push(null);
  }

  override _read(): void {}

  #taken(bytes: number): void {
    this.#unread -= bytes;
    this.#untold += bytes;
    if (this.#socket.isPaused && this.#unread <= execStdinBytes) this.#socket.resume();
    if (this.#untold < execStdinBytes / 4) return;
    this.#credit(this.#untold);
    this.#untold = 0;
  }
}
