/**
 * A client's connection joined to its stream: what one brings the other sends, at the pace of the slower. Idle connections may be
 * many, so nothing is made for each but these two.
 */
import type { ByteChannel, ByteReceiver } from '../bytes/channel.ts';
import type { SocketChannel } from '../system/socket-channel.ts';

export function joinLocal(local: SocketChannel, stream: ByteChannel): void {
  local.receive(new FromClient(local, stream));
  stream.receive(new FromStream(stream, local));
}

/** What `from` brings, `to` sends. When `from` drains, it is `to` that may bring more. */
abstract class Direction<From extends ByteChannel, To extends ByteChannel> implements ByteReceiver {
  protected readonly from: From;
  protected readonly to: To;
  #ended = false;

  constructor(from: From, to: To) {
    this.from = from;
    this.to = to;
  }

  data(chunk: Buffer): void {
    if (!this.to.write(chunk)) this.from.pause();
  }

  end(): void {
    this.#ended = true;
    this.to.end();
  }

  drained(): void {
    this.to.resume();
  }

  closed(error: Error | null): void {
    if (error !== null || !this.#ended) this.cut();
  }

  /** `from` is gone, and did not say that it would be. */
  protected abstract cut(): void;
}

class FromClient extends Direction<SocketChannel, ByteChannel> {
  /** A client that is gone reads no answer; one that said so first gets its stream's own orderly end. */
  protected cut(): void {
    this.to.destroy();
  }
}

class FromStream extends Direction<ByteChannel, SocketChannel> {
  /** The last bytes before a cut are often the error message that says why: the client must get them. */
  protected cut(): void {
    this.to.destroyWhenSent();
  }
}
