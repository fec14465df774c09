/**
 * A TCP, TLS or Unix socket as a ByteChannel. Chunks written in one tick leave in one system call; small ones do not
 * wait for more (Nagle's algorithm is off).
 *
 * The socket must have been made with `allowHalfOpen`, and nobody else may listen to its data.
 */
import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { ByteChannel, ByteReceiver } from '../bytes/channel.ts';
import { giveMemory, takeMemory } from '../bytes/memory.ts';
import type { LentReads } from './lent-reads.ts';

/** `write` answers false while more than this waits; above Node's own mark, so that `drain` always follows. */
const boundBytes = 256 * 1024;
/** Sent before the tick ends when this much has been collected. */
const fullBytes = 64 * 1024;
/** Chunks from this size on are part of a bulk: more of it comes before the tick ends. */
const bulkBytes = 8 * 1024;

export class SocketChannel implements ByteChannel {
  #socket: Socket;
  #receiver: ByteReceiver | null = null;
  /** Holds what the tick has written, side by side. */
  #pending: Buffer = nothing;
  #pendingBytes = 0;
  /** Given to the socket, which reads them until it has no more to write. */
  #sent: Buffer[] = [];
  #flushScheduled = false;
  #writerWaits = false;
  #ending = false;
  #paused = false;
  #endSeen = false;
  #closed = false;
  #error: Error | null = null;
  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.flush();
  };
  /** Null also once TLS stands in between, whose reads are not lent. */
  #reads: LentReads | null;

  /**
   * @param socket owned by the channel from now on; nothing may have been read from it
   * @param reads where the socket's reads go; it must be paused. Null: an ordinary socket
   */
  constructor(socket: Socket, reads: LentReads | null = null) {
    this.#socket = socket;
    this.#reads = reads;
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
    if (chunk.length > fullBytes - this.#pendingBytes) this.flush();
    const end = this.#pendingBytes + chunk.length;
    if (end > this.#pending.length) this.#grow(end, chunk.length >= bulkBytes);
    this.#pending.set(chunk, this.#pendingBytes);
    this.#pendingBytes = end;
    if (end >= fullBytes) this.flush();
    else this.#flushSoon(chunk.length >= bulkBytes);
    if (this.#pendingBytes + this.#socket.writableLength <= boundBytes) return true;
    this.#writerWaits = true;
    return false;
  }

  /** Sends what was collected, now. */
  flush(): void {
    const bytes = this.#pendingBytes;
    if (bytes === 0) return;
    const memory = this.#pending;
    this.#pending = nothing;
    this.#pendingBytes = 0;
    if (this.#closed) return;
    this.#reclaim();
    this.#sent.push(memory);
    this.#socket.write(memory.subarray(0, bytes));
    this.#reclaim();
  }

  /** Nothing left to write: all of it has been handed to the machine, or to TLS, which keeps copies. */
  #reclaim(): void {
    const sent = this.#sent;
    if (sent.length === 0 || this.#closed || this.#socket.writableLength > 0) return;
    for (let i = 0; i < sent.length; i++) giveMemory(sent[i]!);
    sent.length = 0;
  }

  #grow(bytes: number, bulk: boolean): void {
    const memory = takeMemory(bulk ? Math.max(bytes, fullBytes) : bytes);
    if (this.#pendingBytes > 0) {
      memory.set(this.#pending.subarray(0, this.#pendingBytes));
      giveMemory(this.#pending);
    }
    this.#pending = memory;
  }

  /** Bulk waits until all that can be read has been read, which is more than one tick. */
  #flushSoon(bulk: boolean): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    if (bulk) setImmediate(this.#flush);
    else process.nextTick(this.#flush);
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
    this.#sent = []; // the new socket does not know of them
    this.#reads = null;
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
    if (this.#reads !== null) this.#reads.receiver = (chunk) => this.#receiver!.data(chunk);
    else socket.on('data', (chunk: Buffer) => this.#receiver!.data(chunk));
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
      this.#pending = nothing;
      this.#pendingBytes = 0;
      this.#sent = [];
      this.#receiver?.closed(this.#error);
    });
  }
}

const nothing: Buffer = Buffer.alloc(0);
