/** Two ends of a mux joined in memory, and a receiver that notes what it is told. */
import type { ByteChannel, ByteReceiver } from '../../../src/bytes/channel.ts';
import { giveMemory } from '../../../src/bytes/memory.ts';
import { Mux, muxLimits } from '../../../src/wire/yamux/mux.ts';
import type { BytePipe, MuxOptions } from '../../../src/wire/yamux/mux.ts';
import type { YamuxError } from '../../../src/wire/yamux/frame.ts';

/** Carries bytes to `peer` when asked, in pieces of a size that the test chooses. */
export class MemoryPipe implements BytePipe {
  readonly headroom = 3;
  bufferedBytes = 0;
  closed: 'no' | 'orderly' | 'hard' = 'no';
  /** Everything ever sent, when `keep` is set. */
  readonly sent: Buffer[] = [];
  keep = false;
  sends = 0;
  #waiting: Buffer[] = [];

  send(memory: Buffer, end: number): void {
    this.sends += 1;
    this.bufferedBytes += end - this.headroom;
    const copy = Buffer.from(memory.subarray(this.headroom, end));
    memory.fill(0xdb);
    giveMemory(memory);
    this.#waiting.push(copy);
    if (this.keep) this.sent.push(Buffer.from(copy));
  }

  close(orderly: boolean): void {
    this.closed = orderly ? 'orderly' : 'hard';
  }

  /** What waits, for a test that carries it by hand. */
  take(): Buffer {
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    return bytes;
  }

  /** Moves what waits to `to`; returns the bytes moved. */
  carry(from: Mux, to: Mux, splitAt: (length: number) => number = (length) => length): number {
    let bytes = this.take();
    const moved = bytes.length;
    while (bytes.length > 0) {
      const length = Math.max(1, Math.min(splitAt(bytes.length), bytes.length));
      to.receive(bytes.subarray(0, length));
      bytes.fill(0xdb, 0, length); // it was lent
      bytes = bytes.subarray(length);
    }
    const wasFull = this.bufferedBytes >= muxLimits.pipeBytes;
    this.bufferedBytes -= moved;
    if (wasFull) from.drained();
    return moved;
  }
}

export interface End {
  readonly mux: Mux;
  readonly pipe: MemoryPipe;
  closed: YamuxError | null | undefined;
  readonly accepted: ByteChannel[];
}

function end(role: 'client' | 'server', options: Partial<MuxOptions>): End {
  const pipe = new MemoryPipe();
  const accepted: ByteChannel[] = [];
  const made: End = {
    pipe,
    accepted,
    closed: undefined,
    mux: new Mux({
      role,
      pipe,
      accept: role === 'server' ? (stream) => accepted.push(stream) : null,
      closed: (error) => {
        made.closed = error;
      },
      schedule: () => {},
      ...options,
    }),
  };
  return made;
}

export interface Pair {
  readonly client: End;
  readonly server: End;
  /** Flushes and carries both ways until nothing moves, with pauses for what ends of streams are told next. */
  settle(splitAt?: (length: number) => number): Promise<void>;
}

export function pair(client: Partial<MuxOptions> = {}, server: Partial<MuxOptions> = {}): Pair {
  const [a, b] = [end('client', client), end('server', server)];
  return {
    client: a,
    server: b,
    settle: async (splitAt) => {
      for (let quiet = 0; quiet < 3;) {
        a.mux.flush();
        b.mux.flush();
        const moved = a.pipe.carry(a.mux, b.mux, splitAt) + b.pipe.carry(b.mux, a.mux, splitAt);
        quiet = moved === 0 ? quiet + 1 : 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

/** Notes everything; `bytes` keeps the order of arrival. */
export class Notes implements ByteReceiver {
  readonly chunks: Buffer[] = [];
  length = 0;
  ended = false;
  drains = 0;
  closedBy: Error | null | undefined;
  onData: ((chunk: Buffer) => void) | null = null;
  onDrained: (() => void) | null = null;
  readonly #closed = Promise.withResolvers<Error | null>();
  /** Keep the bytes, or only count them. */
  readonly #keep: boolean;

  constructor(keep = true) {
    this.#keep = keep;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** Settles when `closed` is called. */
  get over(): Promise<Error | null> {
    return this.#closed.promise;
  }

  data(chunk: Buffer): void {
    this.length += chunk.length;
    if (this.#keep) this.chunks.push(Buffer.from(chunk));
    this.onData?.(chunk);
    chunk.fill(0xdb); // a receiver may
  }

  end(): void {
    if (this.ended) throw new Error('end was said twice');
    this.ended = true;
  }

  drained(): void {
    this.drains += 1;
    this.onDrained?.();
  }

  closed(error: Error | null): void {
    if (this.closedBy !== undefined) throw new Error('closed was said twice');
    this.closedBy = error;
    this.#closed.resolve(error);
  }
}

export function listen(channel: ByteChannel, keep = true): Notes {
  const notes = new Notes(keep);
  channel.receive(notes);
  return notes;
}

/** Names the end's error for a comparison; `null` for an orderly end, `undefined` while it is alive. */
export const codeOf = (error: Error | null | undefined): string | null | undefined =>
  error instanceof Error ? ('code' in error ? String(error.code) : error.message) : error;
