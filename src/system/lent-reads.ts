/**
 * Reads of a socket into one piece of memory, again and again (`onread` of `net.connect` and `tls.connect`), instead
 * of a new buffer for each, which in bulk would cost more collection of garbage than everything else.
 */
import type { OnReadOpts } from 'node:net';

/** What the machine gives at once. */
const readBytes = 64 * 1024;

/** Memory for reads, to be shared. */
export const lentMemory = (): Buffer => Buffer.allocUnsafeSlow(readBytes);

export class LentReads {
  /** Takes what is read; lent until it returns. Until it is named nothing may be read: keep the socket paused. */
  receiver: (chunk: Buffer) => void = unexpected;
  /** For the socket's options. */
  readonly onread: OnReadOpts;

  /** @param memory may serve several sockets: only one of them is read at a time */
  constructor(memory: Buffer = lentMemory()) {
    this.onread = {
      buffer: memory,
      callback: (bytes) => {
        this.receiver(memory.subarray(0, bytes));
        return true;
      },
    };
  }
}

function unexpected(): void {
  throw new Error('a socket was read before anybody received');
}
