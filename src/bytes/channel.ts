/**
 * A two-way stream of bytes with explicit back-pressure and synchronous delivery: the one shape in which the data
 * path meets sockets and multiplexed streams. Deliberately not a Node.js Duplex: no promise, no event emitter and
 * no object per chunk on the hot path.
 *
 * Bytes are lent, both ways: a chunk is the giver's again as soon as the call returns, and its memory is then used for
 * other bytes. Who keeps something of it copies it.
 */
export interface ByteChannel {
  /** Names who receives; called exactly once, before anything is delivered. Delivery starts by itself. */
  receive(receiver: ByteReceiver): void;
  /**
   * Sends bytes; `chunk` is lent. Nothing is ever dropped: false only says that more than the
   * channel's bound is waiting, and that the writer must hold back until `drained`.
   */
  write(chunk: Uint8Array): boolean;
  /** Stops delivery after the current `data` call; bytes already received by the machine wait. Idempotent. */
  pause(): void;
  resume(): void;
  /** No more writes; the peer sees the end after everything written. The other direction stays open. */
  end(): void;
  /** Closes both directions at once and drops what waits. Idempotent; `closed` follows. */
  destroy(): void;
}

export interface ByteReceiver {
  /** `chunk` is lent until the call returns; the receiver may change it in place. */
  data(chunk: Buffer): void;
  /** The peer will send no more. */
  end(): void;
  /** `write` may go on after it had returned false. */
  drained(): void;
  /** Last call, exactly once, for whatever reason; null for an orderly close. */
  closed(error: Error | null): void;
}
