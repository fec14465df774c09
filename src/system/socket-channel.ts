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

/** The channel that a socket belongs to. */
const owner = Symbol('channel');
type OwnedSocket = Socket & { [owner]?: SocketChannel };

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
    if (bulk) setImmediate(SocketChannel.#tickOver, this);
    else process.nextTick(SocketChannel.#tickOver, this);
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
    else socket.on('data', SocketChannel.#onData);
    // Said in words: a socket that was accepted paused stays so when somebody listens.
    if (this.#paused) socket.pause();
    else socket.resume();
  }

  #listen(socket: OwnedSocket): void {
    socket[owner] = this;
    socket.on('end', SocketChannel.#onEnd);
    socket.on('drain', SocketChannel.#onDrain);
    socket.on('error', SocketChannel.#onError);
    socket.on('close', SocketChannel.#onClose);
  }

  // One function for all channels: idle connections may be many, and a closure for each event is most of what they cost.

  static #tickOver(channel: SocketChannel): void {
    channel.#flushScheduled = false;
    channel.flush();
  }

  static #onData(this: OwnedSocket, chunk: Buffer): void {
    this[owner]!.#receiver!.data(chunk);
  }

  static #onEnd(this: OwnedSocket): void {
    const channel = this[owner]!;
    if (channel.#endSeen || channel.#closed) return;
    channel.#endSeen = true;
    channel.#receiver?.end();
  }

  static #onDrain(this: OwnedSocket): void {
    const channel = this[owner]!;
    if (!channel.#writerWaits) return;
    channel.#writerWaits = false;
    channel.#receiver?.drained();
  }

  static #onError(this: OwnedSocket, error: Error): void {
    this[owner]!.#error ??= error;
  }

  static #onClose(this: OwnedSocket): void {
    const channel = this[owner]!;
    if (channel.#closed) return;
    channel.#closed = true;
    channel.#pending = nothing;
    channel.#pendingBytes = 0;
    channel.#sent = [];
    channel.#receiver?.closed(channel.#error);
  }
}

const nothing: Buffer = Buffer.alloc(0);
