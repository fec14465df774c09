/** The journal on disk: appended to in groups, replaced as a whole when it grew long or a write into it failed. */
import path from 'node:path';
import type { AppendFile, DurableFiles } from '../../system/durable-file.ts';
import { encodeJournalHeader, encodeJournalRecord } from './journal.ts';

export class JournalFile {
  readonly #file: AppendFile;
  #bytes: number;

  private constructor(file: AppendFile, bytes: number) {
    this.#file = file;
    this.#bytes = bytes;
  }

  /**
   * A new journal in place of the old one, which stays whole until the rename. The caller closes the old one's handle.
   * @param entries all that are acknowledged from index `base` on
   */
  static async replace(
    files: DurableFiles,
    directory: string,
    base: number,
    entries: readonly Buffer[],
  ): Promise<JournalFile> {
    const name = path.join(directory, 'journal');
    const file = await files.create(`${name}.tmp`);
    try {
      const records = entries.map((entry, i) => encodeJournalRecord(base + i, base, entry));
      const bytes = Buffer.concat([encodeJournalHeader(base), ...records]);
      await file.append(bytes);
      await file.sync();
      await files.rename(`${name}.tmp`, name);
      await files.syncDirectory(directory);
      return new JournalFile(file, bytes.length);
    } catch (error) {
      await file.close();
      await files.remove(`${name}.tmp`).catch(() => undefined);
      throw error;
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when the group is on disk; after a rejection the file must be replaced. */
  async append(size: number, entries: readonly Buffer[]): Promise<void> {
    const group = Buffer.concat(entries.map((entry, i) => encodeJournalRecord(size + i, size, entry)));
    await this.#file.append(group);
    await this.#file.sync();
    this.#bytes += group.length;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
