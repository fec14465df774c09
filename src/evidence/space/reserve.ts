/**
 * Space held back on the disk of the record, so that what must still be written once the disk is full has room: the ends of
 * sessions, the gap, and what happens under break-glass. A file that really has its blocks; parts of it are given back by
 * making it shorter, and it is made whole again before anything else may use new room.
 *
 * Filled with random bytes: a file system that compresses or finds equal blocks would keep nothing back for zeros.
 */
import { randomFill } from 'node:crypto';
import { constants, truncateSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { hasErrno } from '../../errors.ts';

const fill = promisify<Uint8Array, Uint8Array>(randomFill);
const pieceBytes = 1024 * 1024;
/** `st_blocks` counts in these, whatever the file system's own are. */
const blockBytes = 512;

/** A write found no room: the disk is full, or the user's part of it. Looks at causes too. */
export const isOutOfSpace = (error: unknown): boolean =>
  hasErrno(error, 'ENOSPC', 'EDQUOT') ||
  (error instanceof Error && error.cause !== undefined && isOutOfSpace(error.cause));

/** One owner; `refill` does not overlap with itself. */
export class Reserve {
  readonly #file: string;
  readonly wantedBytes: number;
  #held: number;
  #filling = false;

  private constructor(file: string, wantedBytes: number, held: number) {
    this.#file = file;
    this.wantedBytes = wantedBytes;
    this.#held = held;
  }

  /**
   * The reserve as it was left; writes nothing.
   * @param directory the evidence directory, which exists; the file in it is `reserve`
   */
  static async open(directory: string, wantedBytes: number): Promise<Reserve> {
    const file = path.join(directory, 'reserve');
    try {
      const { size, blocks } = await stat(file);
      // A copy may have been made sparse: then it holds nothing.
      return new Reserve(file, wantedBytes, blocks * blockBytes >= size ? size : 0);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return new Reserve(file, wantedBytes, 0);
      throw error;
    }
  }

  get heldBytes(): number {
    return this.#held;
  }

  get missingBytes(): number {
    return Math.max(0, this.wantedBytes - this.#held);
  }

  /**
   * Gives back so much, or what is left; at once, so that whoever has just found no room can go on with it.
   * @returns how much it was; nothing while it is being made whole
   */
  release(bytes: number): number {
    const given = this.#filling ? 0 : Math.min(bytes, this.#held);
    if (given === 0) return 0;
    truncateSync(this.#file, this.#held - given);
    this.#held -= given;
    return given;
  }

  /**
   * Makes it whole, if so much more than it needs is to be had: that is tried by writing, which also meets quotas.
   * @returns false when there is no room; it then holds what it held before
   */
  async refill(beyondBytes: number): Promise<boolean> {
    this.#filling = true;
    try {
      return await this.#fill(this.wantedBytes + beyondBytes);
    } finally {
      this.#filling = false;
    }
  }

  async #fill(toBytes: number): Promise<boolean> {
    const handle = await open(this.#file, constants.O_WRONLY | constants.O_CREAT, 0o600);
    try {
      if (this.#held === 0) await handle.truncate(0);
      for (let at = this.#held; at < toBytes;) {
        const piece = await fill(Buffer.alloc(Math.min(pieceBytes, toBytes - at)));
        at += (await handle.write(piece, 0, piece.length, at)).bytesWritten;
      }
      await handle.datasync();
      await handle.truncate(this.wantedBytes);
      this.#held = this.wantedBytes;
      return true;
    } catch (error) {
      await handle.truncate(this.#held);
      if (isOutOfSpace(error)) return false;
      throw error;
    } finally {
      await handle.close();
    }
  }
}
