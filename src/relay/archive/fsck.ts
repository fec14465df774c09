/**
 * Compares what the log names with what is here and what is in the archive, file by file, by digests; and mends what can be
 * mended from the other side. It proves nothing about the log itself: that is `verify`.
 */
import path from 'node:path';
import type { EntryOf } from '../../evidence/entry.ts';
import { readEntries } from '../../evidence/read/entries.ts';
import { parseEvidencePath, tilesOf } from '../../evidence/read/files.ts';
import { Kept, type KeptSession } from '../../evidence/read/kept.ts';
import { originalsName, parseName, sealedName, sessionPath } from '../../evidence/recording/layout.ts';
import { parseTilePath, tileWidth } from '../../evidence/log/tile.ts';
import { sizeIfThere } from '../../evidence/location.ts';
import { durableFiles, replaceFile } from '../../system/durable-file.ts';
import { ArchiveError } from './error.ts';
import { keep } from './keep.ts';
import { localFile, memoryFile } from './local-file.ts';
import { archivedHead, isBeginning, published, snapshotOf } from './log-copy.ts';
import { atOnce } from './parallel.ts';
import { isErased } from './entry-files.ts';
import {
  recordingFileBytes,
  type ArchivedFile,
  type ArchiveStore,
  type FileDigest,
  type Holding,
} from './store.ts';

export const fsckProblems = {
  'archive-missing': 'the archive does not have it',
  'archive-differs': 'the archive has other bytes of this name',
  'archive-unlocked': 'the archive has it, but not under its lock',
  'archive-hidden': 'the archive has it, but something newer of this name hides it',
  'archive-unnamed': 'the archive has a file that the log does not name',
  'archive-ahead': 'the archive has more of the log than there is here',
  'archive-foreign': 'the archive has another log',
  'local-missing': 'it is in the archive, and missing here among its neighbours',
  'local-damaged': 'it is not here what the log names; the archive has it',
  'not-erased': 'the log says that it was erased',
  lost: 'neither here nor in the archive is what the log names',
} as const;
export type FsckProblem = keyof typeof fsckProblems;

export interface FsckFinding {
  readonly problem: FsckProblem;
  /** Below the evidence directory. */
  readonly file: string;
  readonly session: string | null;
  /** `failed`: why not is in `note`. */
  readonly repair: 'repaired' | 'failed' | 'impossible' | 'not-asked';
  readonly note: string | null;
}

export interface FsckCounts {
  /** Entries of the log under its checkpoint. */
  entries: number;
  /** Files that the log names. */
  files: number;
  here: number;
  archived: number;
  /** Carried later: the archive has not come so far yet. */
  waiting: number;
  /** Erased, and gone. */
  erased: number;
}

export interface FsckOptions {
  /** The evidence directory. */
  readonly evidence: string;
  /** Null: there is no archive. */
  readonly archive: { readonly store: ArchiveStore; readonly next: number } | null;
  /** Default: all. */
  readonly session?: string | undefined;
  readonly repair: boolean;
  /** Reads back what the archive holds, instead of believing its digests. */
  readonly readBack: boolean;
  readonly onProgress?: (done: number, of: number) => void;
}

/** @throws EvidenceError `evidence-not-found`; ArchiveError when the archive does not answer */
export async function* fsck(options: FsckOptions): AsyncGenerator<FsckFinding, FsckCounts> {
  return yield* new Fsck(options).run();
}

/** A file that the log names, and where it says so. */
interface Named extends FileDigest {
  readonly index: number;
  readonly session: KeptSession;
}

class Fsck {
  readonly #options: FsckOptions;
  readonly #kept = new Kept();
  #next = 0;
  /** Index of the last entry that says so, by session. */
  readonly #erasedAt = new Map<string, number>();
  #names: { readonly directory: string; readonly names: ReadonlySet<string> } | null = null;
  readonly #counts: FsckCounts = { entries: 0, files: 0, here: 0, archived: 0, waiting: 0, erased: 0 };

  constructor(options: FsckOptions) {
    this.#options = options;
  }

  async *run(): AsyncGenerator<FsckFinding, FsckCounts> {
    const { evidence, onProgress, archive } = this.#options;
    // What was erased or sealed anew is told behind what it is about.
    await this.#catchUp();
    const size = (this.#counts.entries = await published(evidence));
    let waiting: Named[] = [];
    for await (const { index, entry } of readEntries(evidence)) {
      if (index >= size) break;
      if (entry.kind === 'segment') waiting.push(...this.#named(entry, index));
      if (waiting.length >= atOnce) {
        yield* await this.#check(waiting);
        waiting = [];
        onProgress?.(index + 1, size);
      }
    }
    yield* await this.#check(waiting);
    if (archive !== null && this.#options.session === undefined) {
      yield* this.#checkLog(archive.store, size);
      yield* this.#checkUnnamed(archive.store);
    }
    onProgress?.(size, size);
    return this.#counts;
  }

  /** What was erased since must not be put back. */
  async #catchUp(): Promise<void> {
    const { evidence } = this.#options;
    for await (const { index, entry } of readEntries(evidence, this.#next)) {
      this.#kept.take(entry);
      if (entry.kind === 'evidence.erased') this.#erasedAt.set(entry.session, index);
      this.#next = index + 1;
    }
  }

  *#named(entry: EntryOf<'segment'>, index: number): Generator<Named> {
    const session = this.#kept.session(entry.session);
    if (session === undefined || (this.#options.session ?? session.session) !== session.session) return;
    const directory = sessionPath(Date.parse(session.openedAt), session.session);
    yield { name: `${directory}/${sealedName(entry.index)}`, sha256: entry.sha256, index, session };
    if (entry.sealed === null) return;
    const sha256 = session.resealed.get(entry.index) ?? entry.sealed;
    yield { name: `${directory}/${originalsName(entry.index)}`, sha256, index, session };
  }

  async #check(files: readonly Named[]): Promise<FsckFinding[]> {
    const found = await Promise.all(files.map((file) => this.#checkFile(file)));
    return found.filter((finding) => finding !== null);
  }

  async #checkFile(file: Named): Promise<FsckFinding | null> {
    const { evidence, archive } = this.#options;
    const counts = this.#counts;
    counts.files += 1;
    const local = await localFile(evidence, file.name);
    const holding: Holding =
      archive === null ? { state: 'absent' } : await archive.store.holds(file, this.#options.readBack);
    if (isErased(file.session, file.name)) {
      if (local !== null || holding.state !== 'absent' || (await this.#isHidden(file.name)))
        return this.#mended('not-erased', file, () => this.#erase(file));
      counts.erased += 1;
      return null;
    }
    const isHere = local?.sha256 === file.sha256;
    if (isHere) counts.here += 1;
    if (holding.state === 'held') counts.archived += 1;
    return isHere ? this.#checkArchived(file, local, holding) : this.#checkLocal(file, local, holding);
  }

  /** What is here is right. */
  async #checkArchived(file: Named, local: ArchivedFile, { state }: Holding): Promise<FsckFinding | null> {
    const { archive } = this.#options;
    if (archive === null || state === 'held') return null;
    if (state === 'absent' && file.index >= archive.next) {
      this.#counts.waiting += 1;
      return null;
    }
    const problem =
      state === 'absent' ? 'archive-missing' : state === 'other' ? 'archive-differs' : 'archive-unlocked';
    return this.#mended(problem, file, () => putAnew(archive.store, local, state));
  }

  /** What is here is not right, or nothing is here. */
  async #checkLocal(
    file: Named,
    local: ArchivedFile | null,
    { state }: Holding,
  ): Promise<FsckFinding | null> {
    const { evidence, archive } = this.#options;
    if (archive === null) return finding('lost', file, 'impossible');
    if (state === 'absent' || state === 'other') return this.#checkHidden(file, archive.store);
    const isHereAtAll = (await sizeIfThere(path.join(evidence, path.dirname(file.name)))) !== null;
    if (local === null && !isHereAtAll) {
      if (state === 'held') return null;
      return this.#mended('archive-unlocked', file, () => archive.store.lock(file.name));
    }
    return this.#mended(local === null ? 'local-missing' : 'local-damaged', file, async () => {
      const content = await archive.store.read(file.name, recordingFileBytes);
      if (content === null || memoryFile(file.name, content).sha256 !== file.sha256)
        throw new ArchiveError('archive-mismatch', `the archive’s ${file.name} is not what the log names`);
      const place = path.join(evidence, file.name);
      await replaceFile(durableFiles, place, content);
      await durableFiles.syncDirectory(path.dirname(place));
    });
  }

  /** Neither here nor, under its name, in the archive: where that keeps versions, an older one may be it. */
  async #checkHidden(file: Named, store: ArchiveStore): Promise<FsckFinding> {
    let content: Buffer | null;
    try {
      content = await store.hidden(file, recordingFileBytes);
    } catch (error) {
      if (!(error instanceof ArchiveError) || error.code !== 'archive-refused') throw error;
      return finding('lost', file, 'impossible', `older versions cannot be read: ${error.message}`);
    }
    if (content === null) return finding('lost', file, 'impossible');
    const found = memoryFile(file.name, content);
    return this.#mended('archive-hidden', file, () => putAnew(store, found, 'other'));
  }

  /** Also what a newer removal hides, or what was never finished there. */
  async #isHidden(name: string): Promise<boolean> {
    const { archive } = this.#options;
    if (archive === null) return false;
    const directory = path.posix.dirname(name);
    if (this.#names?.directory !== directory) {
      const names = new Set<string>();
      for await (const there of archive.store.names(directory)) names.add(there);
      this.#names = { directory, names };
    }
    return this.#names.names.has(name);
  }

  async #erase({ name, session }: Named): Promise<void> {
    const { evidence, archive } = this.#options;
    // As the relay: only what a signed checkpoint covers.
    if ((this.#erasedAt.get(session.session) ?? 0) >= (await published(evidence)))
      throw new ArchiveError('archive-mismatch', 'no signed checkpoint says so yet');
    await archive?.store.remove(name);
    const place = path.join(evidence, name);
    if ((await sizeIfThere(place)) === null) return;
    await durableFiles.remove(place);
    await durableFiles.syncDirectory(path.dirname(place));
  }

  /** Full tiles never change: those in the archive are those that are here. */
  async *#checkLog(store: ArchiveStore, size: number): AsyncGenerator<FsckFinding> {
    const theirs = await archivedHead(store);
    const there = theirs?.size ?? 0;
    if (there > size) yield finding('archive-ahead', log('checkpoint'), 'impossible');
    else if (theirs !== null) {
      const ours = await snapshotOf(this.#options.evidence);
      if (ours !== null && !(await isBeginning(this.#options.evidence, ours, theirs)))
        yield finding('archive-foreign', log('checkpoint'), 'impossible');
    }
    for (const tile of tilesOf(Math.min(size, there))) {
      if (parseTilePath(tile)?.width !== tileWidth) continue;
      const local = await localFile(this.#options.evidence, `log/${tile}`);
      if (local === null) {
        yield finding('lost', log(tile), 'impossible');
        continue;
      }
      const { state } = await store.holds(local, this.#options.readBack);
      if (state === 'held') continue;
      const problem =
        state === 'absent' ? 'archive-missing' : state === 'other' ? 'archive-differs' : 'archive-unlocked';
      yield await this.#mended(problem, log(tile), () => putAnew(store, local, state));
    }
  }

  async *#checkUnnamed(store: ArchiveStore): AsyncGenerator<FsckFinding> {
    for await (const { name } of store.list('recordings'))
      if (!this.#isNamed(name)) yield finding('archive-unnamed', { name, session: null }, 'impossible');
  }

  #isNamed(name: string): boolean {
    const parsed = parseEvidencePath(name);
    const session = parsed?.session == null ? undefined : this.#kept.session(parsed.session);
    const file = parseName(path.posix.basename(name));
    if (session === undefined || file === null || parsed?.path !== name) return false;
    return (
      file.index < session.segments &&
      path.posix.dirname(name) === sessionPath(Date.parse(session.openedAt), session.session)
    );
  }

  async #mended(
    problem: FsckProblem,
    file: { readonly name: string; readonly session: KeptSession | null },
    mend: () => Promise<void>,
  ): Promise<FsckFinding> {
    if (!this.#options.repair) return finding(problem, file, 'not-asked');
    try {
      await this.#catchUp();
      if (problem !== 'not-erased' && file.session !== null && isErased(file.session, file.name))
        throw new ArchiveError('archive-mismatch', 'it was erased meanwhile');
      await mend();
      return finding(problem, file, 'repaired');
    } catch (error) {
      return finding(problem, file, 'failed', error instanceof Error ? error.message : String(error));
    }
  }
}

/** Also what the store believes to have. */
async function putAnew(store: ArchiveStore, file: ArchivedFile, state: Holding['state']): Promise<void> {
  if (state === 'other') await store.put(file);
  await keep(store, file);
}

const log = (name: string) => ({ name: `log/${name}`, session: null });

const finding = (
  problem: FsckProblem,
  { name: file, session }: { readonly name: string; readonly session: KeptSession | null },
  repair: FsckFinding['repair'],
  note: string | null = null,
): FsckFinding => ({ problem, file, session: session?.session ?? null, repair, note });
