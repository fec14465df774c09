/** How far a destination has come: a small file, replaced as a whole, after the destination has what is before it. */
import { z } from 'zod';
import { readPrivateFile, writePrivateFile } from '../../system/private-file.ts';
import { StreamError } from './error.ts';

const Stored = z.strictObject({
  v: z.literal(1),
  /** Origin of the log that the index is of. */
  log: z.string(),
  to: z.string(),
  /** The next leaf to send. */
  next: z.int().nonnegative(),
});

export class Cursor {
  readonly #file: string;
  readonly #log: string;
  readonly #to: string;
  next: number;

  private constructor(file: string, log: string, to: string, next: number) {
    this.#file = file;
    this.#log = log;
    this.#to = to;
    this.next = next;
  }

  /**
   * @param start of a new one
   * @throws StreamError `stream-cursor-invalid`, PrivateFileError `private-path-unsafe`
   */
  static async open(
    file: string,
    of: { readonly log: string; readonly to: string },
    start: number,
  ): Promise<Cursor> {
    const bytes = await readPrivateFile(file);
    if (bytes === null) return new Cursor(file, of.log, of.to, start);
    const stored = Stored.safeParse(parsed(bytes));
    if (!stored.success || stored.data.log !== of.log || stored.data.to !== of.to)
      throw new StreamError('stream-cursor-invalid', `${file} is not the cursor of this log to ${of.to}`, {
        hint: 'remove it to begin from the start, or go back to what it is of',
      });
    return new Cursor(file, of.log, of.to, stored.data.next);
  }

  async save(next: number): Promise<void> {
    this.next = next;
    await writePrivateFile(this.#file, `${JSON.stringify({ v: 1, log: this.#log, to: this.#to, next })}\n`);
  }
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}
