/**
 * One open segment on disk: a file that is only appended to. `length` counts bytes of flushes that succeeded whole; what
 * a failed write left behind them is cut off, because nothing of that flush was forwarded or delivered.
 *
 * Where every flush is synced, the file is made longer ahead of them, by zeros: a sync that finds the length unchanged
 * needs no write of the file system's journal, and takes half as long. What is whole then say the marks (`flush-mark.ts`).
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { openName } from './layout.ts';
import type { SegmentSeal } from './originals.ts';

/** The originals that an open segment holds, and what opens them. */
export interface OpenOriginals {
  /** Where the records stand that hold them: start and end, in turn. */
  readonly ranges: readonly number[];
  readonly seal: SegmentSeal;
}

/** Allocated at once; flushes over half of it gain nothing and get nothing. */
const zeros = Buffer.alloc(128 * 1024);

export class SegmentFile {
  readonly directory: string;
  readonly index: number;
  /** Bytes of whole flushes. */
  length = 0;
  /** Microseconds since `session.opened` of its first and last record. */
  readonly firstT: number;
  lastT: number;
  commands = 0;
  redactions = 0;
  /** The entry in the directory is on disk. */
  directorySynced = false;
  readonly fd: number;
  #originals: { readonly ranges: number[]; readonly seal: SegmentSeal } | null = null;
  #finished = false;
  #users = 0;
  readonly #allocates: boolean;
  #allocatedTo = 0;

  /** @throws Error of the system call; 0600 in a 0700 directory, never an existing file. */
  constructor(directory: string, index: number, firstT: number, allocates: boolean) {
    this.directory = directory;
    this.index = index;
    this.firstT = firstT;
    this.lastT = firstT;
    this.#allocates = allocates;
    if (index === 0) mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.fd = openSync(path.join(directory, openName(index)), 'wx', 0o600);
  }

  /** Null when it holds no original. */
  get sealed(): OpenOriginals | null {
    return this.#originals;
  }

  /** Of what is appended next, `[start, end)` holds originals. */
  originals(start: number, end: number, seal: SegmentSeal): void {
    this.#originals ??= { ranges: [], seal };
    this.#originals.ranges.push(this.length + start, this.length + end);
  }

  /** The first `size` of `bytes`. @throws Error of the system call; a part of them may then stand after `length`. */
  append(bytes: Buffer, size: number): void {
    const end = this.length + size;
    if (this.#allocates && end > this.#allocatedTo && size <= zeros.length / 2) {
      this.#write(zeros, zeros.length, end);
      this.#allocatedTo = end + zeros.length;
    }
    this.#write(bytes, size, this.length);
    this.length = end;
  }

  #write(bytes: Buffer, size: number, position: number): void {
    let written = 0;
    while (written < size) {
      const count = writeSync(this.fd, bytes, written, size - written, position + written);
      if (count === 0) throw new Error('write(2) wrote nothing');
      written += count;
    }
  }

  /** Removes what a failed append left. Where even that fails the sealer still reads no more. */
  cut(): void {
    try {
      if (this.length > 0) ftruncateSync(this.fd, this.length);
      else rmSync(path.join(this.directory, openName(this.index)));
    } catch {
      // The sealer reads `length` bytes and no more.
    }
  }

  /** The descriptor is needed until `releaseFd`. */
  useFd(): void {
    this.#users++;
  }

  releaseFd(): void {
    this.#users--;
    this.#closeWhenUnused();
  }

  /** No more appends. */
  finish(): void {
    this.#finished = true;
    this.#closeWhenUnused();
  }

  #closeWhenUnused(): void {
    if (this.#finished && this.#users === 0) closeSync(this.fd);
  }
}
