/**
 * What a witness remembers: of each log the last checkpoint that it cosigned, one signed note in a file named by the
 * SHA-256 of the log's origin. A cosignature leaves only after its checkpoint is on disk, and a file is only ever
 * replaced as a whole: a witness that was killed knows at least what it has said. One process uses a directory.
 */
import { hash } from 'node:crypto';
import path from 'node:path';
import { EvidenceError } from '../../evidence/error.ts';
import type { NoteVerifier } from '../../evidence/log/note.ts';
import { readCosigned, type Cosigned } from '../../evidence/log/witnessed.ts';
import { durableFiles, replaceFile, type DurableFiles } from '../../system/durable-file.ts';
import { tryLock, type FileLock } from '../../system/file-lock.ts';
import { ensurePrivateDirectory } from '../../system/private-file.ts';
import { WitnessError } from './error.ts';

/** Of the monitoring path and of the file. */
export const originHash = (origin: string): string => hash('sha256', origin, 'hex');

export class WitnessStore {
  readonly #directory: string;
  readonly #files: DurableFiles;
  readonly #lock: FileLock;
  readonly #last = new Map<string, Cosigned>();
  readonly #turns = new Map<string, Promise<unknown>>();

  private constructor(directory: string, files: DurableFiles, lock: FileLock) {
    this.#directory = directory;
    this.#files = files;
    this.#lock = lock;
  }

  /**
   * @param own the witness's key: what is remembered carries its signature
   * @throws WitnessError `witness-locked`, `witness-state-damaged`; PrivateFileError
   */
  static async open(
    directory: string,
    {
      origins,
      own,
      files = durableFiles,
    }: {
      readonly origins: Iterable<string>;
      readonly own: NoteVerifier;
      readonly files?: DurableFiles;
    },
  ): Promise<WitnessStore> {
    await ensurePrivateDirectory(directory);
    const lock = tryLock(path.join(directory, 'lock'));
    if (lock === null)
      throw new WitnessError('witness-locked', `another witness uses ${directory}`, {
        hint: 'stop it, or give this one a dataDir of its own',
      });
    const store = new WitnessStore(directory, files, lock);
    try {
      for (const origin of origins) await store.#load(origin, own);
      return store;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** The last checkpoint that was cosigned; null for none. */
  last(origin: string): Cosigned | null {
    return this.#last.get(origin) ?? null;
  }

  /** What compares with the last checkpoint of a log and then replaces it runs alone for that log. */
  inTurn<T>(origin: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(origin) ?? Promise.resolve()).then(work);
    this.#turns.set(
      origin,
      turn.catch(() => undefined),
    );
    return turn;
  }

  /** In a turn. Resolves when it is on disk. */
  async replace(cosigned: Cosigned): Promise<void> {
    const { origin } = cosigned.checkpoint;
    await replaceFile(this.#files, this.#file(origin), Buffer.from(cosigned.note));
    await this.#files.syncDirectory(this.#directory);
    this.#last.set(origin, cosigned);
  }

  close(): void {
    this.#lock.release();
  }

  async #load(origin: string, own: NoteVerifier): Promise<void> {
    const bytes = await this.#files.read(this.#file(origin));
    if (bytes === null) return;
    let cosigned: Cosigned | null = null;
    try {
      cosigned = readCosigned(bytes, own);
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
    }
    // Beginning anew would let the log take back what was witnessed.
    if (cosigned?.checkpoint.origin !== origin)
      throw new WitnessError(
        'witness-state-damaged',
        `${this.#file(origin)} is not what this witness cosigned`,
        {
          hint: 'restore it from a backup, or give the witness another name and key: it can no longer vouch for this log',
        },
      );
    this.#last.set(origin, cosigned);
  }

  #file(origin: string): string {
    return path.join(this.#directory, originHash(origin));
  }
}
