/**
 * An archive in a directory: another disk, or a share of another machine. Files are written beside their place, synced, and
 * renamed; who runs the other machine may make them immutable there. It has no lock of its own.
 *
 * A marker in it says that it is the archive of this log: a share that is not mounted is an empty directory of the same name,
 * and must not be taken for one that confirms.
 *
 * Who has the share is not trusted: only regular files are read, and no link below it is followed. One could name the relay's
 * own files, which would be shown, written over, or taken for a copy of themselves.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, lstat, open, readdir, realpath, rm, unlink } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { hasErrno } from '../../errors.ts';
import { readIfThere } from '../../evidence/regular-file.ts';
import { durableFiles, replaceFile } from '../../system/durable-file.ts';
import { ArchiveError } from './error.ts';
import type { ArchivedFile, ArchiveStore, FileDigest, Holding, StoredFile } from './store.ts';

const markerName = 'archive.json';
const Marker = z.strictObject({ v: z.literal(1), log: z.string() });

const pieceBytes = 4 * 1024 * 1024;

export class DirectoryStore implements ArchiveStore {
  readonly text: string;
  readonly lockMs = null;
  readonly #directory: string;
  readonly #log: string;

  /**
   * @param directory absolute
   * @param log origin of the log that it is the archive of
   */
  constructor(directory: string, log: string) {
    this.text = `directory ${directory}`;
    this.#directory = directory;
    this.#log = log;
  }

  /** Of an archive that nothing was put into. @throws ArchiveError `archive-foreign`, `archive-unreachable` */
  async begin(): Promise<void> {
    await this.#io(async () => {
      await durableFiles.makeDirectory(this.#directory);
      if ((await this.#marker()) !== null) return this.#mustBeThere();
      if ((await readdir(this.#directory)).length > 0)
        throw new ArchiveError('archive-foreign', `${this.#directory} is not empty, and no archive`, {
          hint: 'name an empty directory, or one that does not exist yet',
        });
      const marker = JSON.stringify({ v: 1, log: this.#log });
      await replaceFile(durableFiles, path.join(this.#directory, markerName), Buffer.from(`${marker}\n`));
      await durableFiles.syncDirectory(this.#directory);
      await durableFiles.syncDirectory(path.dirname(this.#directory));
    });
  }

  async holds({ name, sha256 }: FileDigest): Promise<Holding> {
    return this.#io(async () => {
      await this.#mustBeThere();
      const digest = await digestOf(await this.#path(name));
      if (digest === null) return { state: 'absent' };
      return digest === sha256 ? { state: 'held', lockedUntil: null } : { state: 'other' };
    });
  }

  async put(file: ArchivedFile): Promise<void> {
    await this.#io(async () => {
      await this.#mustBeThere();
      const below = path.join(this.#directory, file.name);
      await this.#makeAbove(below);
      const target = await this.#path(file.name);
      const temporary = `${target}.tmp`;
      // What stands there is removed, not opened: it may be a link.
      await rm(temporary, { recursive: true, force: true });
      const written = await durableFiles.create(temporary);
      try {
        for (let at = 0; at < file.bytes; at += pieceBytes)
          await written.append(await file.read(at, Math.min(pieceBytes, file.bytes - at)));
        await written.sync();
      } catch (error) {
        await durableFiles.remove(temporary).catch(() => undefined);
        throw error;
      } finally {
        await written.close();
      }
      await chmod(temporary, 0o400);
      await durableFiles.rename(temporary, target);
      await durableFiles.syncDirectory(path.dirname(target));
    });
  }

  lock(): Promise<void> {
    return Promise.resolve();
  }

  lockedUntil(): Promise<Date | null> {
    return Promise.resolve(null);
  }

  read(name: string, limitBytes: number): Promise<Buffer | null> {
    return this.#io(async () => {
      await this.#mustBeThere();
      const file = await this.#path(name);
      return (await regularSize(file)) === null ? null : readIfThere(file, limitBytes);
    });
  }

  async *list(directory: string): AsyncGenerator<StoredFile> {
    for await (const file of this.#below(directory)) if (!file.name.endsWith('.tmp')) yield file;
  }

  async *names(directory: string): AsyncGenerator<string> {
    for await (const { name } of this.#below(directory)) yield name;
  }

  hidden(): Promise<null> {
    return Promise.resolve(null);
  }

  async *#below(directory: string): AsyncGenerator<StoredFile> {
    const entries = await this.#io(async () => {
      await this.#mustBeThere();
      const place = await this.#path(directory);
      return readdir(place, { withFileTypes: true }).catch((error: unknown) => {
        if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return [];
        throw error;
      });
    });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = `${directory}/${entry.name}`;
      if (entry.isDirectory()) yield* this.#below(name);
      else if (entry.isFile()) {
        const bytes = await this.#io(async () => regularSize(await this.#path(name)));
        // Gone meanwhile.
        if (bytes !== null) yield { name, bytes };
      }
    }
  }

  async remove(name: string): Promise<void> {
    await this.#io(async () => {
      await this.#mustBeThere();
      const file = await this.#path(name);
      try {
        await unlink(file);
        await durableFiles.syncDirectory(path.dirname(file));
      } catch (error) {
        if (!hasErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
      }
    });
  }

  close(): void {
    // Nothing is held.
  }

  /** @throws ArchiveError `archive-foreign`: a directory on the way there is a link */
  async #path(name: string): Promise<string> {
    const file = path.join(this.#directory, name);
    const above = path.dirname(file);
    try {
      const [is, root] = await Promise.all([realpath(above), realpath(this.#directory)]);
      if (is !== path.join(root, path.relative(this.#directory, above)))
        throw new ArchiveError(
          'archive-foreign',
          `a link leads out of ${this.#directory}: ${path.dirname(name)}`,
        );
    } catch (error) {
      // Nothing is there.
      if (!hasErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    }
    return file;
  }

  async #marker(): Promise<string | null> {
    const bytes = await readIfThere(path.join(this.#directory, markerName), 4096);
    return bytes?.toString('utf8') ?? null;
  }

  async #mustBeThere(): Promise<void> {
    const text = await this.#marker();
    if (text === null)
      throw new ArchiveError('archive-unreachable', `${this.#directory} is not there, or not the archive`, {
        hint: 'is it mounted?',
      });
    const marker = Marker.safeParse(parsed(text));
    if (!marker.success || marker.data.log !== this.#log)
      throw new ArchiveError('archive-foreign', `${this.#directory} is the archive of another log`);
  }

  /** Directories above a file, each durable in the one above it. */
  async #makeAbove(file: string): Promise<void> {
    const directory = path.dirname(file);
    if (directory.length < this.#directory.length) return;
    await this.#path(path.relative(this.#directory, directory));
    try {
      if (await durableFiles.makeDirectory(directory))
        await durableFiles.syncDirectory(path.dirname(directory));
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) throw error;
      await this.#makeAbove(directory);
      await this.#makeAbove(file);
    }
  }

  async #io<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof ArchiveError) throw cause;
      throw new ArchiveError('archive-unreachable', `${this.#directory} cannot be used`, { cause });
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** In bytes; null when there is no such file, or something else that has the name. */
async function regularSize(file: string): Promise<number | null> {
  try {
    const status = await lstat(file);
    return status.isFile() ? status.size : null;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}

/** Null when there is no such file. */
async function digestOf(file: string): Promise<string | null> {
  if ((await regularSize(file)) === null) return null;
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const hash = createHash('sha256');
    for await (const chunk of handle.createReadStream({ autoClose: false })) hash.update(chunk as Buffer);
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}
