/** A file that only grows, on disk before it is acknowledged. Who rotates it renames it; the next batch begins a new one. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Destination } from './destination.ts';
import { StreamError } from './error.ts';

export class FileDestination implements Destination {
  readonly #file: string;

  /** @param file absolute */
  constructor(file: string) {
    this.#file = file;
  }

  async send(lines: readonly string[]): Promise<void> {
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
    try {
      const handle = await open(this.#file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
      try {
        const status = await handle.stat();
        if (!status.isFile() || (status.mode & 0o077) !== 0)
          throw new StreamError('stream-not-taken', `${this.#file} is not a file of one user alone`, {
            hint: `chmod 600 ${this.#file}`,
          });
        await handle.appendFile(lines.map((line) => `${line}\n`).join(''));
        await handle.datasync();
      } finally {
        await handle.close();
      }
    } catch (cause) {
      if (cause instanceof StreamError) throw cause;
      throw new StreamError('stream-unreachable', `${this.#file} cannot be written`, { cause });
    }
  }

  close(): void {
    // Nothing is held between batches.
  }
}
