/** One stream of a tunnel, as the data path sees it: a ByteChannel. Made by the mux only. */
import type { ByteChannel, ByteReceiver } from '../../bytes/channel.ts';
import { ByteQueue } from '../../bytes/byte-queue.ts';
import { Flag, YamuxError, initialWindowBytes, violation } from './frame.ts';

/** `write` answers false while more than this waits for credit or for the pipe. */
const boundBytes = 256 * 1024;
/** Sent at once when the way is free; what is longer takes turns with the other streams. */
const atOnceBytes = 64 * 1024;
/** `drained` is said when no more than this waits. */
const refillBytes = 64 * 1024;

/** What a stream needs of its mux; the frames it causes leave at the end of the tick. */
export interface StreamCarrier {
  /** May data be put on the wire now, or is enough waiting there? */
  readonly writable: boolean;
  /** `payload` is lent. */
  data(stream: MuxStream, payload: Uint8Array, flags: number): void;
  credit(stream: MuxStream, bytes: number, flags: number): void;
  /** Puts the stream in the row of those that take turns on the wire; idempotent. */
  waitTurn(stream: MuxStream): void;
  /** Accounts for received bytes kept in memory; false when the tunnel's bound is reached. */
  hold(bytes: number): boolean;
  /** The id means nothing any more. */
  forget(stream: MuxStream): void;
}

export class MuxStream implements ByteChannel {
  readonly id: number;
  /** For the mux: stands in the row of `waitTurn`. */
  inRow = false;
  /** For the mux: flags that the next frame of this stream carries (SYN or ACK). */
  pendingFlags: number;
  /** For the mux: opened by us and not yet answered. */
  awaitingAck: boolean;

  readonly #carrier: StreamCarrier;
  readonly #windowBytes: number;
  #receiver: ByteReceiver | null = null;
  #sendCredit = initialWindowBytes;
  /** What the peer may still send; the window less this is unread here or not yet given back. */
  #receiveCredit: number;
  /** Taken by the reader and not yet given back to the peer. */
  #taken = 0;
  /** Arrived while the reader did not want it; null when nothing waits. */
  #inbox: ByteQueue | null = null;
  /** Waits for credit or for the pipe; null when nothing does. */
  #outgoing: ByteQueue | null = null;
  #paused = true;
  #delivering = false;
  #writerWaits = false;
  #ending = false;
  #finSent = false;
  #finReceived = false;
  #endDelivered = false;
  #closed = false;
  #closedBy: Error | null = null;

  constructor(carrier: StreamCarrier, id: number, windowBytes: number, opener: boolean) {
    this.#carrier = carrier;
    this.id = id;
    this.#windowBytes = windowBytes;
    this.#receiveCredit = windowBytes;
    this.pendingFlags = opener ? Flag.SYN : Flag.ACK;
    this.awaitingAck = opener;
  }

  receive(receiver: ByteReceiver): void {
    if (this.#receiver !== null) throw new Error('a channel has one receiver');
    this.#receiver = receiver;
    if (this.#closed) process.nextTick(() => receiver.closed(this.#closedBy));
    else this.resume();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#ending || chunk.length === 0) return true;
    let sent = 0;
    if (this.#outgoing === null && this.#carrier.writable) {
      sent = Math.min(chunk.length, this.#sendCredit, atOnceBytes);
      if (sent > 0) {
        this.#sendCredit -= sent;
        this.#carrier.data(this, sent === chunk.length ? chunk : chunk.subarray(0, sent), 0);
      }
      if (sent === chunk.length) return true;
    }
    this.#outgoing ??= new ByteQueue();
    this.#outgoing.push(chunk, sent);
    if (this.#sendCredit > 0) this.#carrier.waitTurn(this);
    if (this.#outgoing.length <= boundBytes) return true;
    this.#writerWaits = true;
    return false;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused || this.#closed || this.#receiver === null) return;
    this.#paused = false;
    if (!this.#delivering) process.nextTick(() => this.#deliverWaiting());
  }

  end(): void {
    if (this.#ending || this.#closed) return;
    this.#ending = true;
    if (this.#outgoing === null) this.#sendFin();
  }

  destroy(): void {
    if (this.#closed) return;
    if (!this.#finSent || !this.#finReceived) this.#carrier.credit(this, 0, Flag.RST);
    this.#finish(null);
  }

  // For the mux: what arrived.

  /** A data frame announces `length` bytes. @throws YamuxError `tunnel-protocol` */
  announced(length: number): void {
    if (length > this.#receiveCredit) throw violation(`stream ${this.id} beyond its window`);
    if (this.#finReceived && length > 0) throw violation(`data after the end of stream ${this.id}`);
    this.#receiveCredit -= length;
  }

  arrived(chunk: Buffer): void {
    if (this.#closed) return;
    const receiver = this.#receiver;
    if (receiver !== null && !this.#paused && !this.#delivering && this.#inbox === null) {
      this.#delivering = true;
      this.#taken += chunk.length;
      receiver.data(chunk);
      this.#delivering = false;
      if (!this.#paused) this.#giveBack();
      return;
    }
    if (!this.#carrier.hold(chunk.length)) {
      this.#carrier.credit(this, 0, Flag.RST);
      this.#finish(new YamuxError('stream-overrun', 'too much unread data in this tunnel'));
      return;
    }
    this.#inbox ??= new ByteQueue();
    this.#inbox.push(chunk);
  }

  /** @throws YamuxError `tunnel-protocol` */
  ended(): void {
    if (this.#finReceived) throw violation(`second end of stream ${this.id}`);
    this.#finReceived = true;
    this.#deliverEnd();
  }

  /** @throws YamuxError `tunnel-protocol` */
  credited(bytes: number): void {
    const credit = this.#sendCredit + bytes;
    if (credit > 0xffffffff) throw violation(`window of stream ${this.id} too large`);
    this.#sendCredit = credit;
    if (this.#outgoing !== null) this.#carrier.waitTurn(this);
  }

  /** The peer dropped the stream, or the tunnel is gone. */
  failed(error: Error): void {
    this.#finish(error);
  }

  /** One turn on the wire: at most `quantum` bytes. True when more could be sent at once. */
  takeTurn(quantum: number): boolean {
    if (this.#closed) return false;
    let left = Math.min(quantum, this.#sendCredit);
    while (left > 0 && this.#outgoing !== null) left -= this.#sendFirst(this.#outgoing, left);
    if (this.#outgoing === null && this.#ending) this.#sendFin();
    if (this.#writerWaits && (this.#outgoing === null || this.#outgoing.length <= refillBytes)) {
      this.#writerWaits = false;
      this.#receiver?.drained();
    }
    return this.#outgoing !== null && this.#sendCredit > 0;
  }

  /** Sends the oldest waiting bytes, as many as `limit` allows and stand together. */
  #sendFirst(waiting: ByteQueue, limit: number): number {
    const bytes = waiting.first(limit);
    this.#sendCredit -= bytes.length;
    this.#carrier.data(this, bytes, 0);
    waiting.drop(bytes.length);
    if (waiting.length === 0) this.#outgoing = null;
    return bytes.length;
  }

  #sendFin(): void {
    if (this.#finSent) return;
    this.#finSent = true;
    this.#carrier.data(this, empty, Flag.FIN);
    this.#finishIfOver();
  }

  #deliverWaiting(): void {
    const receiver = this.#receiver;
    if (receiver === null || this.#delivering || this.#closed) return;
    this.#delivering = true;
    while (this.#inbox !== null && !this.#paused && !this.#closed) {
      const inbox: ByteQueue = this.#inbox;
      const chunk = inbox.first(this.#windowBytes);
      this.#taken += chunk.length;
      receiver.data(chunk);
      // Over meanwhile: it is accounted for, and not given back, as a reader may still look at it.
      if (this.#closed) break;
      this.#carrier.hold(-chunk.length);
      inbox.drop(chunk.length);
      if (inbox.length === 0) this.#inbox = null;
    }
    this.#delivering = false;
    if (!this.#paused) this.#giveBack();
    this.#deliverEnd();
  }

  /** Credit goes back in halves of the window: few updates, and the peer never waits for one while we read on. */
  #giveBack(): void {
    if (this.#taken < this.#windowBytes / 2 || this.#finReceived || this.#closed) return;
    const bytes = this.#taken;
    this.#taken = 0;
    this.#receiveCredit += bytes;
    this.#carrier.credit(this, bytes, 0);
  }

  #deliverEnd(): void {
    if (!this.#finReceived || this.#endDelivered || this.#inbox !== null || this.#delivering) return;
    if (this.#receiver === null || this.#paused || this.#closed) return;
    this.#endDelivered = true;
    this.#receiver.end();
    this.#finishIfOver();
  }

  #finishIfOver(): void {
    if (this.#finSent && this.#endDelivered) this.#finish(null);
  }

  #finish(error: Error | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closedBy = error;
    if (this.#inbox !== null) this.#carrier.hold(-this.#inbox.length);
    this.#inbox = null;
    this.#outgoing = null;
    this.#carrier.forget(this);
    const receiver = this.#receiver;
    if (receiver !== null) process.nextTick(() => receiver.closed(error));
  }
}

const empty = new Uint8Array(0);
