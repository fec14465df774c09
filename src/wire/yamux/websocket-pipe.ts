/**
 * A WebSocket as the tunnel's pipe. Its messages have no meaning of their own: their contents, in order, are the byte
 * stream of the framing. Binary messages only, no compression (it would leak lengths of secrets beside chosen text, and
 * it costs more than the network), each at most `maxMessageBytes`; what one tick sends is one message and one write.
 *
 * RFC 6455 masks what a client sends because a script in a browser could otherwise make it look, to a proxy that does
 * not know WebSockets, like a request of its choice. Here the sender is the user's own program and what carries it is
 * TLS, or loopback; a key of zeros spares two passes over every byte.
 */
import type { Duplex } from 'node:stream';
import { giveMemory } from '../../bytes/memory.ts';
import type { LentReads } from '../../system/lent-reads.ts';
import type { YamuxError } from './frame.ts';
import { Mux, muxLimits } from './mux.ts';
import type { BytePipe, MuxOptions } from './mux.ts';
import {
  CloseCode,
  FrameReader,
  Opcode,
  WebSocketViolation,
  maxHeaderBytes,
  writeFrameHeader,
} from './websocket-frames.ts';

/** How often the keep-alive looks; with `muxLimits.silentTicks` a dead peer is found within 16 s. */
const keepAliveMs = 4000;
/** How long the peer has to answer a close. */
const closeMs = 2000;

/** Close code of a tunnel whose session has ended; the reason is a `SessionEnd`. */
export const sessionEndCode = 4000;

/** A close code of the private range, with a literal reason that the other end validates. */
export interface CloseReason {
  readonly code: number;
  readonly reason: string;
}

export interface WebSocketMuxOptions extends Pick<
  MuxOptions,
  'role' | 'accept' | 'received' | 'windowBytes' | 'maxStreams' | 'schedule'
> {
  /** After the WebSocket is closed; `peer` is what the other end gave as its reason, null when it gave none. */
  readonly closed: (error: YamuxError | null, peer: CloseReason | null) => void;
  /** Of the socket, when they are lent; until now they went into its stream. */
  readonly reads?: LentReads | null;
  /** Calls `tick` regularly and returns how to stop it; for tests. */
  readonly keepAlive?: (tick: () => void) => () => void;
}

export interface WebSocketMux {
  readonly mux: Mux;
  /** Ends the tunnel and tells the peer why. */
  close(reason: CloseReason): void;
}

/**
 * Runs a mux over an open WebSocket.
 * Call it in the handler of `upgrade`, so that nobody else listens to the socket's data or errors.
 * @param socket TCP or TLS, after the handshake; owned by the mux from now on
 */
export function muxOverWebSocket(socket: Duplex, options: WebSocketMuxOptions): WebSocketMux {
  const pipe = new WebSocketPipe(socket, options.role === 'client');
  let failure: YamuxError | null = null;
  const mux = new Mux({
    ...options,
    pipe,
    closed: (error) => {
      failure = error;
    },
  });
  const stopKeepAlive = (options.keepAlive ?? everyFewSeconds)(() => {
    pipe.reclaim();
    mux.tick();
  });
  const reader = new FrameReader(options.role === 'server', {
    payload: (bytes) => mux.receive(bytes),
    control: (opcode, payload) => pipe.control(opcode, payload, reader),
  });
  const read = (chunk: Buffer): void => {
    try {
      reader.read(chunk);
    } catch (error) {
      if (!(error instanceof WebSocketViolation)) throw error;
      reader.stop();
      pipe.fail(error.closeCode);
      mux.lost(error);
    }
  };
  socket.on('data', read);
  if (options.reads != null) {
    // What came with the handshake is in the stream, and goes first.
    options.reads.receiver = (chunk) => {
      if (socket.readableLength === 0) read(chunk);
      else socket.push(Buffer.from(chunk));
    };
  }
  socket.on('drain', () => {
    pipe.drained();
    mux.drained();
  });
  socket.on('end', () => pipe.ended());
  socket.on('error', (error) => mux.lost(error));
  socket.on('close', () => {
    stopKeepAlive();
    pipe.stop();
    mux.lost(null);
    options.closed(failure, pipe.told);
  });
  return {
    mux,
    close: (reason) => {
      pipe.reason = reason;
      mux.close();
    },
  };
}

function everyFewSeconds(tick: () => void): () => void {
  const timer = setInterval(tick, keepAliveMs);
  return () => clearInterval(timer);
}

class WebSocketPipe implements BytePipe {
  readonly #socket: Duplex;
  readonly #client: boolean;
  readonly headroom = maxHeaderBytes;
  /** Given to the socket, which reads them until it has no more to write. */
  readonly #sent: Buffer[] = [];
  #closeSent = false;
  #closeTimer: NodeJS.Timeout | null = null;
  /** Answer to the last ping, while earlier bytes wait: an answer to the last one is enough. */
  #pong: Buffer | null = null;
  /** Given to the peer when the mux closes in order. */
  reason: CloseReason | null = null;
  /** Given by the peer. */
  told: CloseReason | null = null;

  constructor(socket: Duplex, client: boolean) {
    this.#socket = socket;
    this.#client = client;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  send(memory: Buffer, end: number): void {
    if (this.#closeSent) {
      giveMemory(memory);
      return;
    }
    this.reclaim();
    this.#sent.push(memory);
    const start = writeFrameHeader(memory, maxHeaderBytes, Opcode.Binary, end - maxHeaderBytes, this.#client);
    this.#socket.write(memory.subarray(start, end));
  }

  /** Memory of messages that the machine has taken is used again. */
  reclaim(): void {
    const sent = this.#sent;
    if (sent.length === 0 || this.#socket.writableLength > 0 || this.#socket.destroyed) return;
    for (let i = 0; i < sent.length; i++) giveMemory(sent[i]!);
    sent.length = 0;
  }

  close(orderly: boolean): void {
    if (this.#closeSent) return;
    if (!orderly) this.#socket.destroy();
    else if (this.reason === null) this.#sendClose(CloseCode.Normal, '');
    else this.#sendClose(this.reason.code, this.reason.reason);
  }

  /** Tells the peer what was wrong with its frames, and hears no more of it. */
  fail(code: number): void {
    this.#sendClose(code, '');
    this.#socket.end();
  }

  /** The peer's side of the connection is over. */
  ended(): void {
    this.#socket.end();
    this.#expectClose();
  }

  drained(): void {
    const pong = this.#pong;
    this.#pong = null;
    if (pong !== null) this.#sendPong(pong);
  }

  stop(): void {
    if (this.#closeTimer !== null) clearTimeout(this.#closeTimer);
  }

  /** @throws WebSocketViolation */
  control(opcode: number, payload: Buffer, reader: FrameReader): void {
    if (opcode === Opcode.Ping) this.#sendPong(payload);
    if (opcode !== Opcode.Close) return;
    const code = closeCodeOf(payload);
    reader.stop();
    if (code >= 4000) this.told = { code, reason: payload.toString('latin1', 2) };
    this.#sendClose(code, '');
    this.#socket.end();
  }

  #sendPong(payload: Buffer): void {
    if (this.#closeSent) return;
    if (this.#socket.writableLength > muxLimits.pipeBytes) this.#pong = payload;
    else this.#sendControl(Opcode.Pong, payload);
  }

  #sendClose(code: number, reason: string): void {
    if (this.#closeSent) return;
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code, 0);
    payload.write(reason, 2);
    this.#sendControl(Opcode.Close, payload);
    this.#closeSent = true;
    this.#expectClose();
  }

  /** The peer cannot keep the connection by not answering, or by not reading. */
  #expectClose(): void {
    this.#closeTimer ??= setTimeout(() => this.#socket.destroy(), closeMs);
  }

  #sendControl(opcode: number, payload: Buffer): void {
    const frame = Buffer.allocUnsafe(maxHeaderBytes + payload.length);
    frame.set(payload, maxHeaderBytes);
    const start = writeFrameHeader(frame, maxHeaderBytes, opcode, payload.length, this.#client);
    this.#socket.write(frame.subarray(start));
  }
}

/** The code of a close frame, 1000 when it has none. @throws WebSocketViolation */
function closeCodeOf(payload: Buffer): number {
  if (payload.length === 0) return CloseCode.Normal;
  const code = payload.length === 1 ? 0 : payload.readUInt16BE(0);
  const defined = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  if (defined || (code >= 3000 && code < 5000)) return code;
  throw new WebSocketViolation(CloseCode.ProtocolError, 'close code');
}
