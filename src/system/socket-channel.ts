/**
 * A TCP, TLS or Unix socket as a ByteChannel. Chunks written in one tick leave in one system call; small ones do not
 * wait for more (Nagle's algorithm is off).
 *
 * The socket must have been made with `allowHalfOpen`, and nobody else may listen to its data.
 */
import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { ByteChannel, ByteReceiver } from '../bytes/channel.ts';

/** `write` answers false while more than this waits; above Node's own mark, so that `drain` always follows. */
const boundBytes = 256 * 1024;

export class SocketChannel implements ByteChannel {
  #socket: Socket;
  #receiver: ByteReceiver | null = null;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #writerWaits = false;
  #ending = false;
  #paused = false;
  #endSeen = false;
  #closed = false;
  #error: Error | null = null;
  readonly #flush = (): void => this.flush();

  /** @param socket owned by the channel from now on; nothing may have been read from it */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    this.#listen(socket);
  }

  receive(receiver: ByteReceiver): void {
    if (this.#receiver !== null) throw new Error('a channel has one receiver');
    this.#receiver = receiver;
    if (this.#closed) process.nextTick(() => receiver.closed(this.#error));
    else this.#read(this.#socket);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#ending || chunk.length === 0) return true;
    if (this.#pending.length === 0) process.nextTick(this.#flush);
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes + this.#socket.writableLength <= boundBytes) return true;
    this.#writerWaits = true;
    return false;
  }

  /** Sends what the tick has collected, now. */
  flush(): void {
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    this.#pendingBytes = 0;
    if (this.#closed) return;
    const socket = this.#socket;
    if (pending.length === 1) {
      socket.write(pending[0]!);
      return;
    }
    socket.cork();
    for (const chunk of pending) socket.write(chunk);
    socket.uncork();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#receiver !== null && !this.#closed) this.#socket.resume();
  }

  end(): void {
    if (this.#ending || this.#closed) return;
    this.flush();
    this.#ending = true;
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Sends what was written, then closes both directions whether or not the peer has ended its own. */
  destroyWhenSent(): void {
    this.flush();
    this.#ending = true;
    this.#socket.destroySoon();
  }

  /**
   * Speaks TLS from here on, as the client; the receiver stays. What was written before leaves in the clear. Bytes that
   * the peer sent in the clear and that nobody has taken yet become part of the handshake, which then fails: nothing
   * can be slipped in before the encryption.
   * Rejects, and the channel closes, when the handshake or the verification of the peer fails.
   */
  startTls(options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
    this.flush();
    const plain = this.#socket;
    for (const name of ['data', 'end', 'drain', 'error', 'close']) plain.removeAllListeners(name);
    plain.pause();
    const secure = tls.connect({ ...options, socket: plain });
    // The socket below tells its errors to the one above; without a listener they would end the process.
    plain.on('error', () => secure.destroy());
    this.#socket = secure;
    this.#listen(secure);
    return new Promise((resolve, reject) => {
      secure.once('secureConnect', () => {
        secure.off('close', failed);
        if (this.#receiver !== null) this.#read(secure);
        resolve(secure);
      });
      const failed = (): void => reject(this.#error ?? new Error('closed during the TLS handshake'));
      secure.once('close', failed);
    });
  }

  #read(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => this.#receiver!.data(chunk));
    // Said in words: a socket that was accepted paused stays so when somebody listens.
    if (this.#paused) socket.pause();
    else socket.resume();
  }

  #listen(socket: Socket): void {
    socket.on('end', () => {
      if (this.#endSeen || this.#closed) return;
      this.#endSeen = true;
      this.#receiver?.end();
    });
    socket.on('drain', () => {
      if (!this.#writerWaits) return;
      this.#writerWaits = false;
      this.#receiver?.drained();
    });
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.on('close', () => {
      if (this.#closed) return;
      this.#closed = true;
      this.#pending = [];
      this.#receiver?.closed(this.#error);
    });
  }
}
