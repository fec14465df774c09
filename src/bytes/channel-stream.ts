/**
 * A ByteChannel as a Node.js stream, for libraries that speak to streams (ssh2, pg). Lent bytes are copied here: the
 * stream keeps them until its reader has them.
 */
import { Duplex } from 'node:stream';
import type { ByteChannel } from './channel.ts';

export class ChannelStream extends Duplex {
  readonly #channel: ByteChannel;
  #written: (() => void) | null = null;

  constructor(channel: ByteChannel) {
    // It is over when the channel is: destroyed any earlier it would drop what the channel has yet to send.
    super({ autoDestroy: false });
    this.#channel = channel;
    channel.receive({
      data: (chunk) => {
        if (!this.push(Buffer.from(chunk))) channel.pause();
      },
      end: () => this.push(null),
      drained: () => this.#drained(),
      closed: (error) => void this.destroy(error ?? undefined),
    });
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: () => void): void {
    if (this.#channel.write(chunk)) written();
    else this.#written = written;
  }

  override _writev(chunks: readonly { chunk: Buffer }[], written: () => void): void {
    let free = true;
    for (const { chunk } of chunks) free = this.#channel.write(chunk) && free;
    if (free) written();
    else this.#written = written;
  }

  override _final(done: () => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#channel.destroy();
    this.#drained();
    done(error);
  }

  #drained(): void {
    const written = this.#written;
    this.#written = null;
    written?.();
  }
}
