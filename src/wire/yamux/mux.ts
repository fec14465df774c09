/** One end of a tunnel: frames in, frames out, streams between. The order and the limits are in FORMAT.md. */
import type { ByteChannel } from '../../bytes/channel.ts';
import {
  Flag,
  FrameType,
  GoAwayCode,
  YamuxError,
  decodeHeader,
  headerBytes,
  initialWindowBytes,
  violation,
} from './frame.ts';
import type { FrameHeader } from './frame.ts';
import { Outbox } from './outbox.ts';
import { MuxStream } from './stream.ts';
import type { StreamCarrier } from './stream.ts';

/** What carries the tunnel's bytes: ordered, reliable, boundaries without meaning. */
export interface BytePipe {
  /** Bytes that `send` wants free before what it sends, for a header of its own. */
  readonly headroom: number;
  /** Sends `memory` from `headroom` to `end`; owns it from now on, and gives it back (`bytes/memory.ts`). */
  send(memory: Buffer, end: number): void;
  /** Bytes sent and not yet taken by the machine. When this was above `muxLimits.pipeBytes`, `Mux.drained` must follow. */
  readonly bufferedBytes: number;
  /** No byte follows. Orderly: what was sent still goes out, if the peer reads it within the pipe's own bound. */
  close(orderly: boolean): void;
}

export const muxLimits = {
  /** No data is added while more than this waits in the pipe; short, so that a quick stream is not behind a long row. */
  pipeBytes: 256 * 1024,
  /** Beyond this only answers of ours can be waiting: the peer asks and does not read. */
  overrunBytes: 8 * 1024 * 1024,
  /** What is sent before the tick ends; one more data frame still fits into one piece of memory. */
  messageBytes: 256 * 1024,
  /** Data frames that we send; also one stream's turn. */
  frameBytes: 64 * 1024,
  /** Received and unread, over all streams of the tunnel. */
  heldBytes: 64 * 1024 * 1024,
  streams: 1024,
  /** Keep-alive ticks without a byte until the peer counts as dead. */
  silentTicks: 3,
} as const;

export interface MuxOptions {
  readonly role: 'client' | 'server';
  readonly pipe: BytePipe;
  /** Receives the streams that the peer opens; null: the peer may open none. */
  readonly accept: ((stream: ByteChannel) => void) | null;
  /** The tunnel is over, exactly once, after its streams were told. null: both agreed. */
  readonly closed: (error: YamuxError | null) => void;
  /** After each batch of received bytes; the relay's gate ends its tick here. */
  readonly received?: () => void;
  /** Receive window per stream, at least the specification's 256 KiB. */
  readonly windowBytes?: number;
  readonly maxStreams?: number;
  /** Runs the flush at the end of the tick; `setImmediate` when absent. */
  readonly schedule?: (flush: () => void) => void;
}

const defaultWindowBytes = 1024 * 1024;

export class Mux implements StreamCarrier {
  readonly #options: MuxOptions;
  readonly #pipe: BytePipe;
  readonly #windowBytes: number;
  readonly #maxStreams: number;
  readonly #streams = new Map<number, MuxStream>();
  readonly #outbox: Outbox;
  /** Streams with data and credit, in turn. */
  #row: MuxStream[] = [];
  #nextId: number;
  #lastPeerId = 0;
  readonly #partial = Buffer.allocUnsafe(headerBytes);
  #partialBytes = 0;
  #payloadLeft = 0;
  /** Whose payload is arriving; null: of a stream that is gone, dropped. */
  #payloadOf: MuxStream | null = null;
  #payloadEnds = false;
  #heldBytes = 0;
  /** Since the last keep-alive tick. */
  #heard = true;
  #spoke = true;
  #silentTicks = 0;
  #pings = 0;
  #answeredPings = 0;
  #goingAway = false;
  #peerGoingAway = false;
  #flushScheduled = false;
  #open = true;
  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.flush();
  };

  constructor(options: MuxOptions) {
    this.#options = options;
    this.#pipe = options.pipe;
    this.#outbox = new Outbox(options.pipe.headroom);
    this.#windowBytes = Math.max(options.windowBytes ?? defaultWindowBytes, initialWindowBytes);
    this.#maxStreams = options.maxStreams ?? muxLimits.streams;
    this.#nextId = options.role === 'client' ? 1 : 2;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** False once either end has said that it goes away, or the tunnel is over. */
  get accepting(): boolean {
    return this.#open && !this.#goingAway && !this.#peerGoingAway;
  }

  /** Opens a stream; data may be written at once. Null when the tunnel takes no more streams. */
  open(): ByteChannel | null {
    if (!this.accepting || this.#streams.size >= this.#maxStreams || this.#nextId > 0xffffffff) return null;
    const stream = new MuxStream(this, this.#nextId, this.#windowBytes, true);
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    this.credit(stream, this.#windowBytes - initialWindowBytes, 0);
    return stream;
  }

  /** Bytes from the pipe, split anywhere; lent, and parts of it are lent on to the streams' receivers. */
  receive(chunk: Buffer): void {
    if (!this.#open) return;
    this.#heard = true;
    try {
      this.#parse(chunk);
    } catch (error) {
      if (!(error instanceof YamuxError)) throw error;
      this.#fail(error, GoAwayCode.ProtocolError);
    }
    this.#options.received?.();
  }

  /** The pipe has room again. */
  drained(): void {
    if (this.#open) this.flush();
  }

  /** Sends what the tick has collected, now. Harmless when nothing waits. */
  flush(): void {
    if (this.#open) this.#pump();
    while (this.#outbox.bytes > 0) {
      this.#sendOutbox();
      if (this.#open) this.#pump();
    }
    if (this.#open && this.#pipe.bufferedBytes > muxLimits.overrunBytes)
      this.#fail(new YamuxError('tunnel-overrun', 'the peer does not read'), GoAwayCode.InternalError);
  }

  /**
   * Keep-alive: call it every few seconds. Each end says something between two calls, if only a ping: so a peer that
   * fills a slow line and hears no answer to its own pings still hears ours. Three calls with nothing heard end the
   * tunnel; it counts calls and not time, so that a process that was stopped for a while does not take its own sleep
   * for the peer's death.
   */
  tick(): void {
    if (!this.#open) return;
    this.#silentTicks = this.#heard ? 0 : this.#silentTicks + 1;
    if (this.#silentTicks >= muxLimits.silentTicks) {
      this.#fail(new YamuxError('tunnel-dead', 'nothing heard from the other end'), null);
      return;
    }
    if (!this.#spoke || !this.#heard) {
      this.#pings += 1;
      this.#send(FrameType.Ping, Flag.SYN, 0, this.#pings);
      this.flush();
    }
    this.#heard = this.#spoke = false;
  }

  /** No new streams, either way; those that are open live on. */
  goAway(): void {
    if (!this.#open || this.#goingAway) return;
    this.#goingAway = true;
    this.#send(FrameType.GoAway, 0, 0, GoAwayCode.Normal);
  }

  /** Ends the tunnel and every stream in it. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.goAway();
    this.#finish(null);
  }

  /** The pipe is gone. */
  lost(cause: Error | null): void {
    if (!this.#open) return;
    const orderly = cause === null && this.#peerGoingAway;
    this.#finish(orderly ? null : new YamuxError('tunnel-lost', 'the tunnel was cut', { cause }));
  }

  // StreamCarrier

  get writable(): boolean {
    return this.#outbox.bytes + this.#pipe.bufferedBytes < muxLimits.pipeBytes;
  }

  data(stream: MuxStream, payload: Uint8Array, flags: number): void {
    if (!this.#open) return;
    let rest = payload;
    while (rest.length > muxLimits.frameBytes) {
      this.#dataFrame(stream, rest.subarray(0, muxLimits.frameBytes), 0);
      rest = rest.subarray(muxLimits.frameBytes);
    }
    this.#dataFrame(stream, rest, flags);
  }

  credit(stream: MuxStream, bytes: number, flags: number): void {
    if (!this.#open) return;
    this.#send(FrameType.WindowUpdate, flags | stream.pendingFlags, stream.id, bytes);
    stream.pendingFlags = 0;
  }

  waitTurn(stream: MuxStream): void {
    if (stream.inRow) return;
    stream.inRow = true;
    this.#row.push(stream);
    this.#schedule();
  }

  hold(bytes: number): boolean {
    if (bytes > 0 && this.#heldBytes + bytes > muxLimits.heldBytes) return false;
    this.#heldBytes += bytes;
    return true;
  }

  forget(stream: MuxStream): void {
    this.#streams.delete(stream.id);
    if (this.#payloadOf === stream) this.#payloadOf = null;
  }

  // Frames in

  #parse(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.#open) {
      if (this.#payloadLeft > 0) {
        at = this.#payload(chunk, at);
      } else if (this.#partialBytes === 0 && chunk.length - at >= headerBytes) {
        this.#frame(decodeHeader(chunk, at));
        at += headerBytes;
      } else {
        const copied = chunk.copy(this.#partial, this.#partialBytes, at);
        at += copied;
        this.#partialBytes += copied;
        if (this.#partialBytes < headerBytes) return;
        this.#partialBytes = 0;
        this.#frame(decodeHeader(this.#partial, 0));
      }
    }
  }

  /** Passes on as much of the current payload as is here: no frame is ever collected in memory. */
  #payload(chunk: Buffer, at: number): number {
    const end = Math.min(at + this.#payloadLeft, chunk.length);
    this.#payloadLeft -= end - at;
    this.#payloadOf?.arrived(chunk.subarray(at, end));
    if (this.#payloadLeft === 0) this.#payloadOver();
    return end;
  }

  #payloadOver(): void {
    const stream = this.#payloadOf;
    this.#payloadOf = null;
    if (this.#payloadEnds) stream?.ended();
    this.#payloadEnds = false;
  }

  #frame(header: FrameHeader): void {
    switch (header.type) {
      case FrameType.Data:
        return this.#dataReceived(header);
      case FrameType.WindowUpdate:
        return this.#creditReceived(header);
      case FrameType.Ping:
        return this.#pingReceived(header);
      default:
        return this.#goAwayReceived(header);
    }
  }

  #dataReceived(header: FrameHeader): void {
    const stream = this.#streamOf(header);
    if (stream !== null) stream.announced(header.length);
    else if (header.length > this.#windowBytes)
      throw violation(`${header.length} bytes for a stream that is gone`);
    this.#payloadLeft = header.length;
    this.#payloadOf = stream;
    this.#payloadEnds = (header.flags & Flag.FIN) !== 0;
    if (header.length === 0) this.#payloadOver();
  }

  #creditReceived(header: FrameHeader): void {
    const stream = this.#streamOf(header);
    if (header.length > 0) stream?.credited(header.length);
    if ((header.flags & Flag.FIN) !== 0) stream?.ended();
  }

  /**
   * Finds the stream of a frame and carries out SYN, ACK and RST. Null: a frame that was under way when the stream
   * ended here; its payload is dropped.
   */
  #streamOf(header: FrameHeader): MuxStream | null {
    if ((header.flags & Flag.SYN) !== 0) return this.#synReceived(header);
    const { stream: id } = header;
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      const everOpened = this.#isPeerId(id) ? id <= this.#lastPeerId : id < this.#nextId;
      if (!everOpened) throw violation(`stream ${id} was never opened`);
      return null;
    }
    if ((header.flags & Flag.ACK) !== 0) {
      if (!stream.awaitingAck) throw violation(`stream ${id} acknowledged twice`);
      stream.awaitingAck = false;
    }
    if ((header.flags & Flag.RST) === 0) return stream;
    stream.failed(
      stream.awaitingAck
        ? new YamuxError('stream-refused', 'the other end would not open the stream')
        : new YamuxError('stream-reset', 'the other end dropped the stream'),
    );
    return null;
  }

  #synReceived({ stream: id, flags }: FrameHeader): MuxStream | null {
    if (!this.#isPeerId(id)) throw violation(`stream ${id} has the wrong parity`);
    if (id <= this.#lastPeerId) throw violation(`stream ${id} opened again`);
    if ((flags & (Flag.ACK | Flag.RST)) !== 0) throw violation(`stream ${id} opened with flags ${flags}`);
    if (this.#options.accept === null) throw violation(`stream ${id} opened at an end that takes none`);
    this.#lastPeerId = id;
    if (this.#goingAway || this.#streams.size >= this.#maxStreams) {
      this.#send(FrameType.WindowUpdate, Flag.RST, id, 0);
      return null;
    }
    const stream = new MuxStream(this, id, this.#windowBytes, false);
    this.#streams.set(id, stream);
    this.credit(stream, this.#windowBytes - initialWindowBytes, 0);
    this.#options.accept(stream);
    return this.#streams.get(id) ?? null;
  }

  #isPeerId(id: number): boolean {
    return id % 2 === (this.#options.role === 'client' ? 0 : 1);
  }

  #pingReceived({ flags, length }: FrameHeader): void {
    if (flags === Flag.SYN) {
      this.#send(FrameType.Ping, Flag.ACK, 0, length);
      return;
    }
    if (flags !== Flag.ACK) throw violation(`ping with flags ${flags}`);
    if (length <= this.#answeredPings || length > this.#pings) throw violation('answer to no ping');
    this.#answeredPings = length;
  }

  #goAwayReceived({ flags, length }: FrameHeader): void {
    if (flags !== 0) throw violation(`go away with flags ${flags}`);
    this.#peerGoingAway = true;
    if (length === GoAwayCode.Normal) return;
    this.#finish(new YamuxError('tunnel-peer-failed', `the other end went away with code ${length}`));
  }

  // Frames out

  #dataFrame(stream: MuxStream, payload: Uint8Array, flags: number): void {
    const outbox = this.#outbox;
    outbox.header(FrameType.Data, flags | stream.pendingFlags, stream.id, payload.length);
    stream.pendingFlags = 0;
    if (payload.length > 0) outbox.payload(payload);
    if (outbox.bytes >= muxLimits.messageBytes) this.#sendOutbox();
    else this.#schedule();
  }

  #send(type: number, flags: number, stream: number, length: number): void {
    const outbox = this.#outbox;
    outbox.header(type, flags, stream, length);
    if (outbox.bytes >= muxLimits.messageBytes) this.#sendOutbox();
    else this.#schedule();
  }

  #sendOutbox(): void {
    const { memory, end } = this.#outbox;
    this.#outbox.restart();
    this.#spoke = true;
    this.#pipe.send(memory, end);
  }

  #schedule(): void {
    if (this.#flushScheduled || !this.#open) return;
    this.#flushScheduled = true;
    if (this.#options.schedule === undefined) setImmediate(this.#flush);
    else this.#options.schedule(this.#flush);
  }

  /** Streams take turns of one frame each while the pipe has room. */
  #pump(): void {
    while (this.#row.length > 0 && this.writable) {
      const row = this.#row;
      this.#row = [];
      for (let i = 0; i < row.length; i++) {
        const stream = row[i]!;
        stream.inRow = false;
        if (!this.writable) {
          // Those that had no turn keep their place before those that had one.
          const rest = row.slice(i);
          for (const waiting of rest) waiting.inRow = true;
          this.#row = [...rest, ...this.#row];
          return;
        }
        if (stream.takeTurn(muxLimits.frameBytes)) this.waitTurn(stream);
      }
    }
  }

  // The end

  #fail(error: YamuxError, code: GoAwayCode | null): void {
    if (!this.#open) return;
    if (code !== null) this.#send(FrameType.GoAway, 0, 0, code);
    this.#finish(error);
  }

  #finish(error: YamuxError | null): void {
    if (!this.#open) return;
    this.#open = false;
    if (error?.code !== 'tunnel-lost') this.flush();
    // Each stream forgets itself, which a Map allows during iteration.
    for (const stream of this.#streams.values())
      stream.failed(error ?? new YamuxError('tunnel-lost', 'the tunnel was closed'));
    this.#row = [];
    this.#pipe.close(error === null || error.code === 'tunnel-protocol');
    this.#options.closed(error);
  }
}
