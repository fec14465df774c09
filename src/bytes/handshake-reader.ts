/**
 * Reads a channel step by step while a connection is being made, then hands it over to whoever receives the stream.
 * Deliberately reads on while nobody asks, so that the end of the other side is noticed, but only up to a
 * bound; then the other side is made to wait.
 */
import type { ByteChannel, ByteReceiver } from './channel.ts';
import { BytesError } from './bounded-reader.ts';

/** What may wait here, besides one chunk. */
const boundBytes = 16_384;

export class HandshakeReader implements ByteReceiver {
  readonly channel: ByteChannel;
  #waiting: Buffer = Buffer.alloc(0);
  #ended = false;
  #closed = false;
  #failure: Error | null = null;
  #successor: ByteReceiver | null = null;
  #wake: (() => void) | null = null;

  /** Called when the channel closes before it was handed over, also while nobody reads. */
  onClosed: (() => void) | null = null;

  /** Takes the place of the channel's receiver. */
  constructor(channel: ByteChannel) {
    this.channel = channel;
    channel.receive(this);
  }

  /** Bytes that arrived and were not read. Must be 0 before a TLS upgrade: they were not encrypted. */
  get buffered(): number {
    return this.#waiting.length;
  }

  /** True once nothing more will come and nothing waits. */
  get atEnd(): boolean {
    return (this.#ended || this.#closed) && this.#waiting.length === 0;
  }

  /**
   * The next `lengthBytes` bytes, which the caller has checked against its limit.
   * @throws BytesError `bytes-ended` when the channel ends before; the channel's own error when it broke
   */
  async read(lengthBytes: number): Promise<Buffer> {
    while (this.#waiting.length < lengthBytes) await this.#more();
    const bytes = this.#waiting.subarray(0, lengthBytes);
    this.#waiting = this.#waiting.subarray(lengthBytes);
    return bytes;
  }

  /** Like `read`, but the bytes stay. */
  async peek(lengthBytes: number): Promise<Buffer> {
    while (this.#waiting.length < lengthBytes) await this.#more();
    return this.#waiting.subarray(0, lengthBytes);
  }

  /** Resolves when the channel is closed, or the peer ended it. */
  async finished(): Promise<void> {
    while (!this.#ended && !this.#closed) {
      this.#waiting = Buffer.alloc(0);
      await this.#more().catch(() => undefined);
    }
  }

  /**
   * From now on `receiver` gets everything: first, within this call, what waits here. The channel is left paused: the
   * receiver resumes it.
   */
  handOver(receiver: ByteReceiver): void {
    this.channel.pause();
    this.#successor = receiver;
    const waiting = this.#waiting;
    this.#waiting = Buffer.alloc(0);
    if (waiting.length > 0) receiver.data(waiting);
    if (this.#ended) receiver.end();
    if (this.#closed) receiver.closed(this.#failure);
  }

  data(chunk: Buffer): void {
    if (this.#successor !== null) {
      this.#successor.data(chunk);
      return;
    }
    this.#waiting = Buffer.concat([this.#waiting, chunk]);
    if (this.#waiting.length > boundBytes) this.channel.pause();
    this.#notify();
  }

  end(): void {
    this.#ended = true;
    if (this.#successor !== null) this.#successor.end();
    this.#notify();
  }

  drained(): void {
    this.#successor?.drained();
  }

  closed(error: Error | null): void {
    this.#closed = true;
    this.#failure = error;
    if (this.#successor !== null) this.#successor.closed(error);
    else this.onClosed?.();
    this.#notify();
  }

  #more(): Promise<void> {
    if (this.#ended || this.#closed) {
      const error = this.#failure ?? new BytesError('bytes-ended', 'the other end closed the connection');
      return Promise.reject(error);
    }
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.channel.resume();
    });
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
