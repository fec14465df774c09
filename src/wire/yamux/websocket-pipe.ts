/**
 * A WebSocket as the tunnel's pipe. Its messages have no meaning of their own: their contents, in order, are the byte
 * stream of the framing. Binary messages only, no compression (it would leak lengths of secrets beside chosen text, and
 * it costs more than the network), each at most `maxMessageBytes`.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { Mux } from './mux.ts';
import type { BytePipe, MuxOptions } from './mux.ts';
import type { YamuxError } from './frame.ts';

/** Both ends refuse a longer message before it is read. We send at most one data frame in a message. */
export const maxMessageBytes = 1024 * 1024;

/** Options of `ws` that both ends need; the rest differs between client and server. */
export const webSocketOptions = {
  perMessageDeflate: false,
  maxPayload: maxMessageBytes,
  maxFragments: 16,
  maxBufferedChunks: 4096,
  skipUTF8Validation: true,
  closeTimeout: 2000,
} as const;

/** How often the keep-alive looks; with `muxLimits.silentTicks` a dead peer is found within 16 s. */
const keepAliveMs = 4000;

const binary = { binary: true, compress: false } as const;

/** Close code of a tunnel whose session has ended; the reason is a `SessionEnd`. */
export const sessionEndCode = 4000;

/** A close code of the private range, with a literal reason that the other end validates. */
export interface CloseReason {
  readonly code: number;
  readonly reason: string;
}

export interface WebSocketMuxOptions extends Pick<
  MuxOptions,
  'role' | 'accept' | 'received' | 'windowBytes' | 'maxStreams'
> {
  /** After the WebSocket is closed; `peer` is what the other end gave as its reason, null when it gave none. */
  readonly closed: (error: YamuxError | null, peer: CloseReason | null) => void;
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
 * Call it in the handler of `open` (client) or of `handleUpgrade` (server), so that no message comes before it.
 * @param socket the TCP or TLS socket below `webSocket`, as the upgrade gave it
 */
export function muxOverWebSocket(
  webSocket: WebSocket,
  socket: Duplex,
  options: WebSocketMuxOptions,
): WebSocketMux {
  const pipe = new WebSocketPipe(webSocket, socket);
  let failure: YamuxError | null = null;
  let told: CloseReason | null = null;
  const mux = new Mux({
    ...options,
    pipe,
    closed: (error) => {
      failure = error;
    },
  });
  const stopKeepAlive = (options.keepAlive ?? everyFewSeconds)(() => mux.tick());
  webSocket.binaryType = 'fragments';
  webSocket.on('message', (data, isBinary) => {
    if (!isBinary) {
      webSocket.close(1003);
      return;
    }
    // `fragments`: an array of buffers, as they were received.
    for (const fragment of data as Buffer[]) mux.receive(fragment);
  });
  socket.on('drain', () => mux.drained());
  webSocket.on('error', (error) => {
    pipe.close(false);
    mux.lost(error);
  });
  webSocket.on('close', (code, reason) => {
    stopKeepAlive();
    if (code >= 4000 && code < 5000) told = { code, reason: reason.toString('latin1') };
    mux.lost(null);
    options.closed(failure, told);
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
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  /** Given to the peer when the mux closes in order. */
  reason: CloseReason | null = null;

  constructor(webSocket: WebSocket, socket: Duplex) {
    this.#webSocket = webSocket;
    this.#socket = socket;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  send(pieces: Uint8Array[]): void {
    this.#socket.cork();
    for (const piece of pieces) this.#webSocket.send(piece, binary);
    this.#socket.uncork();
  }

  close(orderly: boolean): void {
    if (!orderly) this.#webSocket.terminate();
    else if (this.reason === null) this.#webSocket.close(1000);
    else this.#webSocket.close(this.reason.code, this.reason.reason);
  }
}
