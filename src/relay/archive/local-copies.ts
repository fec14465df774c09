/**
 * Recordings that are here as well as in the archive. They go session by session, when the archive has confirmed each file as it
 * is here; a directory leaves its place and comes back by one rename, so that whoever reads finds all of it here or nothing.
 *
 * A removal: renamed to `removing/`; that is durable; what is there is removed. A recall: each file durable in `recalling/`,
 * then its names; renamed to its place; that is durable. Died behind any step: what is in `removing/` and `recalling/` means
 * nothing, and goes at the next start.
 */
import { mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { listIfThere } from '../../evidence/location.ts';
import type { KeptSession } from '../../evidence/read/kept.ts';
import { readEntries } from '../../evidence/read/entries.ts';
import { segmentPaths } from '../../evidence/read/files.ts';
import { parseName, sessionPath } from '../../evidence/recording/layout.ts';
import type { Clock } from '../../system/clock.ts';
import { durableFiles, replaceFile, type DurableFiles } from '../../system/durable-file.ts';
import type { RelayLogger } from '../logging.ts';
import type { Retention } from '../retention/retention.ts';
import { ArchiveError } from './error.ts';
import { localFile, memoryFile } from './local-file.ts';
import { recordingFileBytes, type ArchiveStore } from './store.ts';

export interface LocalCopiesOptions {
  /** The evidence directory. */
  readonly evidence: string;
  readonly store: ArchiveStore;
  readonly retention: Pick<Retention, 'session' | 'undisturbed'>;
  readonly keepLocalMs: number;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly logger: Pick<RelayLogger, 'info' | 'warn'>;
  /** Default: the disk's. */
  readonly files?: DurableFiles;
}

/** A session that is not in the archive as it is here is not read again for so long. */
const againMs = 3_600_000;
/** One that came back stays at least so long: until who asked for it has it. */
const recalledMs = 30_000;

export class LocalCopies {
  readonly #options: LocalCopiesOptions;
  readonly #files: DurableFiles;
  /** When to look again, by session. */
  readonly #later = new Map<string, number>();
  /** Under way, by session: who asks for another of its segments waits for the same. */
  readonly #recalls = new Map<string, Promise<void>>();

  constructor(options: LocalCopiesOptions) {
    this.#options = options;
    this.#files = options.files ?? durableFiles;
  }

  async start(): Promise<void> {
    for (const name of ['removing', 'recalling'])
      await this.#files.remove(path.join(this.#options.evidence, name));
  }

  /** @returns how many sessions went @throws ArchiveError `archive-unreachable`, `archive-refused` */
  async sweep(signal: AbortSignal): Promise<number> {
    const { retention, clock } = this.#options;
    let gone = 0;
    for await (const id of this.#sessions()) {
      if (signal.aborted) break;
      const now = clock.wallMs();
      if ((this.#later.get(id) ?? 0) > now) continue;
      const session = await retention.session(id);
      if (session === null || !(await this.#isOld(session, now))) continue;
      const what = await this.#remove(session).catch((error: unknown) => {
        if (error instanceof ArchiveError) throw error;
        // One that the disk does not give must not keep the others here.
        this.#options.logger.warn('recording not removed', { session: id }, error);
        return 'differs' as const;
      });
      if (what === 'gone') gone += 1;
      if (what === 'differs') this.#later.set(id, now + againMs);
    }
    if (gone > 0) this.#options.logger.info('recordings are in the archive alone', { count: gone });
    return gone;
  }

  /**
   * Brings a session's recording back. Nothing where it is here.
   * @throws ArchiveError, `archive-mismatch` among them: what the archive gave is not what the log names
   */
  recall(id: string): Promise<void> {
    const recall = this.#recalls.get(id) ?? this.#recall(id).finally(() => void this.#recalls.delete(id));
    this.#recalls.set(id, recall);
    return recall;
  }

  async #recall(id: string): Promise<void> {
    const { evidence, retention, clock } = this.#options;
    const session = await retention.session(id);
    if (session === null || session.closedAt === null || session.erased.has('recording')) return;
    const place = this.#place(id, session.openedAt);
    if ((await statOf(place)) !== null) return;
    const coming = path.join(evidence, 'recalling', id);
    const erased = session.erased.size;
    await this.#files.remove(coming);
    try {
      await this.#fetch(session, coming);
      await retention.undisturbed(id, async (now) => {
        // What was erased meanwhile stays away.
        if (now === null || now.erased.size !== erased) return;
        await mkdir(path.dirname(place), { recursive: true, mode: 0o700 });
        this.#later.set(id, clock.wallMs() + recalledMs);
        await this.#files.rename(coming, place);
        await this.#files.syncDirectory(path.dirname(place));
      });
    } finally {
      await this.#files.remove(coming);
    }
  }

  /** All of a recording that was not erased, each file as the log names it. */
  async #fetch(session: KeptSession, coming: string): Promise<void> {
    await mkdir(coming, { recursive: true, mode: 0o700 });
    for (const [name, sha256] of await this.#digestsOf(session)) {
      const content = await this.#options.store.read(name, recordingFileBytes);
      if (content === null) throw new ArchiveError('archive-mismatch', `the archive does not have ${name}`);
      if (memoryFile(name, content).sha256 !== sha256)
        throw new ArchiveError('archive-mismatch', `the archive’s ${name} is not what the log names`);
      await replaceFile(this.#files, path.join(coming, path.posix.basename(name)), content);
    }
    await this.#files.syncDirectory(coming);
  }

  /** Ids of what stands below `recordings/`. */
  async *#sessions(): AsyncGenerator<string> {
    const walk = async function* (directory: string, depth: number): AsyncGenerator<string> {
      for (const entry of await listIfThere(directory)) {
        if (!entry.isDirectory()) continue;
        if (depth === 0) yield entry.name;
        else yield* walk(path.join(directory, entry.name), depth - 1);
      }
    };
    yield* walk(path.join(this.#options.evidence, 'recordings'), 3);
  }

  async #isOld({ session, openedAt, closedAt, erased }: KeptSession, now: number): Promise<boolean> {
    if (closedAt === null || erased.has('recording')) return false;
    const changed = await statOf(this.#place(session, openedAt));
    return (
      changed !== null && now - Math.max(Date.parse(closedAt), changed.mtimeMs) >= this.#options.keepLocalMs
    );
  }

  #place(session: string, openedAt: string): string {
    return path.join(this.#options.evidence, sessionPath(Date.parse(openedAt), session));
  }

  /** `differs`: the archive holds it otherwise, or there is something here that is no recording's. */
  async #remove({ session, openedAt }: KeptSession): Promise<'gone' | 'not-yet' | 'differs'> {
    const { evidence, store, retention, logger } = this.#options;
    const place = this.#place(session, openedAt);
    const before = await stateOf(place);
    for (const { name } of before) {
      const state = parseName(name)?.state;
      if (state === 'unfinished') return 'not-yet';
      if (state !== 'sealed' && state !== 'originals') return 'differs';
      const file = await localFile(evidence, `${sessionPath(Date.parse(openedAt), session)}/${name}`);
      const holding = file === null ? null : await store.holds(file);
      if (holding?.state === 'absent') return 'not-yet';
      if (holding?.state !== 'held') {
        logger.warn('archive differs', { session, file: name, reason: 'see: hoop audit fsck' });
        return 'differs';
      }
    }
    const going = path.join(evidence, 'removing', session);
    await this.#files.remove(going);
    const left = await retention.undisturbed(session, async () => {
      if (JSON.stringify(await stateOf(place)) !== JSON.stringify(before)) return false;
      await mkdir(path.dirname(going), { recursive: true, mode: 0o700 });
      await this.#files.rename(place, going);
      // Else a lost machine might bring the directory back without some of its files.
      await this.#files.syncDirectory(path.dirname(place));
      return true;
    });
    if (!left) return 'not-yet';
    await this.#files.remove(going);
    return 'gone';
  }

  /** By name, as the log says now; without what was erased. */
  async #digestsOf({
    session,
    openedAt,
    resealed,
    erased,
  }: KeptSession): Promise<ReadonlyMap<string, string>> {
    const digests = new Map<string, string>();
    for await (const { entry } of readEntries(this.#options.evidence)) {
      if (entry.kind !== 'segment' || entry.session !== session) continue;
      const [segment = '', originals] = segmentPaths(openedAt, entry);
      digests.set(segment, entry.sha256);
      if (originals !== undefined && entry.sealed !== null && !erased.has('originals'))
        digests.set(originals, resealed.get(entry.index) ?? entry.sealed);
    }
    return digests;
  }
}

/** Enough to see that nothing changed. */
async function stateOf(
  directory: string,
): Promise<readonly { name: string; bytes: number; changed: number }[]> {
  const names = (await readdir(directory)).toSorted();
  return Promise.all(
    names.map(async (name) => {
      const { size: bytes, mtimeMs: changed } = await stat(path.join(directory, name));
      return { name, bytes, changed };
    }),
  );
}

async function statOf(directory: string): Promise<{ readonly mtimeMs: number } | null> {
  try {
    return await stat(directory);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
