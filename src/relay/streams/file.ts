/** A file that only grows, on disk before it is acknowledged. Who rotates it renames it; the next batch begins a new one. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Destination } from './destination.ts';
import { StreamError } from './error.ts';

export class FileDestination implements Destination {
  readonly #file: string;

  /** @param file absolute */
  constructor(file: string) {
    this.#file = file;
  }

  async send(lines: readonly string[]): Promise<void> {
    // Never waits for who reads a FIFO.
    const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
    try {
      const handle = await open(this.#file, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
      try {
        await this.#append(handle, lines.map((line) => `${line}\n`).join(''));
      } finally {
        await handle.close();
      }
    } catch (cause) {
      if (cause instanceof StreamError) throw cause;
      throw new StreamError('stream-unreachable', `${this.#file} cannot be written`, { cause });
    }
  }

  async #append(handle: FileHandle, text: string): Promise<void> {
    const status = await handle.stat();
    if (!status.isFile() || (status.mode & 0o077) !== 0)
      throw new StreamError('stream-not-taken', `${this.#file} is not a file of one user alone`, {
        hint: `chmod 600 ${this.#file}`,
      });
    try {
      // A batch that a kill cut short comes again, and must not go on in its last line.
      await handle.appendFile((await endsInLine(handle, status.size)) ? text : `\n${text}`);
      await handle.datasync();
    } catch (error) {
      // Half a batch on a full disk: it comes again as a whole.
      await handle.truncate(status.size).catch(() => undefined);
      throw error;
    }
  }

  close(): void {
    // Nothing is held between batches.
  }
}

async function endsInLine(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true;
  const last = Buffer.alloc(1);
  await handle.read(last, 0, 1, size - 1);
  return last[0] === 0x0a;
}
