/**
 * Recordings that are here as well as in the archive. They go session by session, when the archive has confirmed each file as it
 * is here; a directory leaves its place by one rename, so that whoever reads finds all of it here or nothing. What a killed
 * relay left in `removing/` and `recalling/` means nothing.
 */
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../errors.ts';
import { listIfThere } from '../../evidence/location.ts';
import type { KeptSession } from '../../evidence/read/kept.ts';
import { readEntries } from '../../evidence/read/entries.ts';
import { segmentPaths } from '../../evidence/read/files.ts';
import { parseName, sessionPath } from '../../evidence/recording/layout.ts';
import type { Clock } from '../../system/clock.ts';
import { durableFiles } from '../../system/durable-file.ts';
import type { RelayLogger } from '../logging.ts';
import type { Retention } from '../retention/retention.ts';
import { ArchiveError } from './error.ts';
import { localFile } from './local-file.ts';
import type { ArchiveStore } from './store.ts';

export interface LocalCopiesOptions {
  /** The evidence directory. */
  readonly evidence: string;
  readonly store: ArchiveStore;
  readonly retention: Pick<Retention, 'session' | 'undisturbed'>;
  readonly keepLocalMs: number;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly logger: Pick<RelayLogger, 'info' | 'warn'>;
}

/** A session that is not in the archive as it is here is not read again for so long. */
const againMs = 3_600_000;
/** Far more than a recording's file. */
const largestBytes = 1024 * 1024 * 1024;

export class LocalCopies {
  readonly #options: LocalCopiesOptions;
  /** When to look again, by session. */
  readonly #later = new Map<string, number>();

  constructor(options: LocalCopiesOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    for (const name of ['removing', 'recalling'])
      await rm(path.join(this.#options.evidence, name), { recursive: true, force: true });
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
      const what = await this.#remove(session);
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
  async recall(id: string): Promise<void> {
    const { evidence, store, retention } = this.#options;
    const session = await retention.session(id);
    if (session === null || session.erased.has('recording')) return;
    const place = path.join(evidence, sessionPath(Date.parse(session.openedAt), id));
    if ((await statOf(place)) !== null) return;
    const digests = await this.#digestsOf(session);
    const coming = path.join(evidence, 'recalling', id);
    await rm(coming, { recursive: true, force: true });
    await mkdir(coming, { recursive: true, mode: 0o700 });
    for (const [name, sha256] of digests) {
      const content = await store.read(name, largestBytes);
      // Erased originals are not there.
      if (content === null) continue;
      const file = path.join(coming, path.posix.basename(name));
      await writeFile(file, content, { mode: 0o600, flush: true });
      if ((await localFile(coming, path.basename(file)))?.sha256 !== sha256)
        throw new ArchiveError('archive-mismatch', `the archive’s ${name} is not what the log names`);
    }
    await durableFiles.syncDirectory(coming);
    await retention.undisturbed(id, async (now) => {
      if (now === null || now.erased.has('recording') || (await statOf(place)) !== null) return;
      await mkdir(path.dirname(place), { recursive: true, mode: 0o700 });
      await rename(coming, place);
      await durableFiles.syncDirectory(path.dirname(place));
    });
    await rm(coming, { recursive: true, force: true });
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
    const left = await retention.undisturbed(session, async () => {
      if (JSON.stringify(await stateOf(place)) !== JSON.stringify(before)) return false;
      await mkdir(path.dirname(going), { recursive: true, mode: 0o700 });
      await rename(place, going);
      return true;
    });
    if (!left) return 'not-yet';
    await rm(going, { recursive: true, force: true });
    return 'gone';
  }

  /** By name, as the log says now. */
  async #digestsOf({ session, openedAt, resealed }: KeptSession): Promise<ReadonlyMap<string, string>> {
    const digests = new Map<string, string>();
    for await (const { entry } of readEntries(this.#options.evidence)) {
      if (entry.kind !== 'segment' || entry.session !== session) continue;
      const [segment = '', originals] = segmentPaths(openedAt, entry);
      digests.set(segment, entry.sha256);
      if (originals !== undefined && entry.sealed !== null)
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
