/**
 * Where evidence is kept apart from the relay. A store holds files by their names below the evidence directory, so that what it
 * holds is an evidence directory. It answers only for what it has on disk and, where it has locks, under its lock.
 */

/** A file as the log names it. */
export interface FileDigest {
  /** Below the evidence directory, `/` between the parts. */
  readonly name: string;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
}

/** A file to be kept. */
export interface ArchivedFile extends FileDigest {
  readonly bytes: number;
  /** From `offset` on. @throws ArchiveError `archive-mismatch` when the file is not that of the digest any more */
  read(offset: number, length: number): Promise<Buffer>;
}

/** The longest file of a recording that anything reads: a store that gives more gives something else. */
export const recordingFileBytes = 64 * 1024 * 1024;

export type Holding =
  /** These bytes, under the lock that is configured; it ended if it was in the past. `lockedUntil` null: the store has no lock. */
  | { readonly state: 'held'; readonly lockedUntil: Date | null }
  /** These bytes, but not under the lock. */
  | { readonly state: 'unlocked' }
  /** A file of this name with other bytes. */
  | { readonly state: 'other' }
  | { readonly state: 'absent' };

export interface StoredFile {
  readonly name: string;
  readonly bytes: number;
}

/** Every method: @throws ArchiveError `archive-unreachable`, `archive-refused` */
export interface ArchiveStore {
  /** As people know it; no secret is in it. */
  readonly text: string;
  /** How long a lock keeps what is put; null: there is none. */
  readonly lockMs: number | null;
  /**
   * What it holds of this name, by its own digest of it, or by reading it back where it tells none.
   * @param readBack whatever it tells: a store may hold other bytes than it says
   */
  holds(file: FileDigest, readBack?: boolean): Promise<Holding>;
  /** Resolves when the store has said that it keeps it; `holds` proves it. Replaces a file of this name with other bytes. */
  put(file: ArchivedFile): Promise<void>;
  /** Puts the lock on what is there. */
  lock(name: string): Promise<void>;
  /** Null when there is none. Of one that is longer than `limitBytes`, these and one byte more. */
  read(name: string, limitBytes: number): Promise<Buffer | null>;
  /** Files below a directory, at any depth, in the order of their names. */
  list(directory: string): AsyncIterable<StoredFile>;
  /** Names below a directory under which anything is kept at all: also what is hidden, and what was never finished. */
  names(directory: string): AsyncIterable<string>;
  /** A version with these bytes that something newer hides; null when there is none. */
  hidden(file: FileDigest, limitBytes: number): Promise<Buffer | null>;
  /**
   * Removes the file, with every version of it; nothing when it is absent.
   * @throws ArchiveError `archive-locked`
   */
  remove(name: string): Promise<void>;
  /** Until when a lock keeps any version of it; null: nothing keeps it. */
  lockedUntil(name: string): Promise<Date | null>;
  close(): void;
}
