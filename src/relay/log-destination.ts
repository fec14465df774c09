/**
 * Where the operator's log goes: a descriptor that may stall, fill up or go away at any time (a pipe, a terminal that
 * closes, a full disk). None of that may stall or end the relay: what cannot be written is dropped, and the last flush
 * gives up after a bound. Libraries for this repeat a failed write for ever.
 */
import { write, writeSync } from 'node:fs';
import { hasErrno } from '../errors.ts';

/** Bytes that may wait for a slow reader; what comes beyond them is dropped. */
const waitingBytes = 8 * 2 ** 20;
/** Written at a time. */
const groupBytes = 64 * 1024;
const retryMs = 50;
/** Longest time that the last flush waits for a reader. */
const flushMs = 1000;

/** Nobody will read there again. */
const isGone = (error: unknown): boolean => hasErrno(error, 'EPIPE', 'EIO', 'EBADF', 'ENXIO');

export class LogDestination {
  readonly #descriptor: number;
  #lines: Buffer[] = [];
  #waiting = 0;
  #writing = false;
  #gone = false;

  /** @param descriptor open for writing; not closed here */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Takes a line with its end; never throws, never waits. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#gone || this.#waiting + bytes.length > waitingBytes) return;
    this.#lines.push(bytes);
    this.#waiting += bytes.length;
    if (!this.#writing) this.#next();
  }

  /** Writes what waits, as far as that is possible at once. */
  flushSync(): void {
    const deadline = performance.now() + flushMs;
    let group = this.#take();
    while (group !== null) {
      try {
        const written = writeSync(this.#descriptor, group);
        group = written < group.length ? group.subarray(written) : this.#take();
      } catch (error) {
        if (!hasErrno(error, 'EAGAIN') || performance.now() > deadline) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs);
      }
    }
  }

  #take(): Buffer | null {
    if (this.#lines.length === 0) return null;
    let count = 0;
    let bytes = 0;
    while (count < this.#lines.length && (count === 0 || bytes < groupBytes))
      bytes += this.#lines[count++]!.length;
    const group = Buffer.concat(this.#lines.splice(0, count));
    this.#waiting -= group.length;
    return group;
  }

  #next(): void {
    const group = this.#take();
    this.#writing = group !== null;
    if (group !== null) this.#write(group);
  }

  #write(group: Buffer): void {
    write(this.#descriptor, group, (error, written) => {
      if (error !== null && hasErrno(error, 'EAGAIN')) {
        setTimeout(() => this.#write(group), retryMs).unref();
        return;
      }
      if (error !== null && isGone(error)) {
        this.#gone = true;
        this.#lines = [];
        this.#waiting = 0;
      }
      // Any other failure (a full disk) costs this group alone.
      if (error === null && written < group.length) this.#write(group.subarray(written));
      else this.#next();
    });
  }
}
