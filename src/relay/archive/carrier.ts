/**
 * Carries evidence to the archive in the order of the log: each entry under a signed checkpoint names files, and when the
 * archive has confirmed them the cursor moves behind it. An archive that is away for days costs nothing but lag: the files
 * are here, and the cursor says where to go on. What was put twice is there once.
 */
import path from 'node:path';
import type { Entry, EntryOf } from '../../evidence/entry.ts';
import { lastStart } from '../../evidence/log/read.ts';
import { readEntries } from '../../evidence/read/entries.ts';
import { parseName, sessionPath } from '../../evidence/recording/layout.ts';
import type { RelayLogger } from '../logging.ts';
import type { Retention } from '../retention/retention.ts';
import type { Cursor } from '../streams/cursor.ts';
import {
  fileOfResealed,
  filesOfSegment,
  filesOfSignIn,
  isErased,
  isOfOriginals,
  type NamedFile,
} from './entry-files.ts';
import type { ArchiveLocks } from './archive-locks.ts';
import { ArchiveError } from './error.ts';
import { keep } from './keep.ts';
import { localFile } from './local-file.ts';
import { archivedSize, copyLog, published, snapshotOf } from './log-copy.ts';
import { atOnce, inParallel } from './parallel.ts';
import type { ArchivedFile, ArchiveStore, FileDigest } from './store.ts';

export interface CarrierOptions {
  /** The evidence directory. */
  readonly evidence: string;
  readonly store: ArchiveStore;
  readonly cursor: Cursor;
  readonly retention: Pick<Retention, 'session' | 'undisturbed'>;
  readonly locks: Pick<ArchiveLocks, 'putting'>;
  readonly logger: Pick<RelayLogger, 'warn' | 'error'>;
  readonly signal: AbortSignal;
  /** A file is neither here nor there, or not what the log names. */
  readonly onLost: () => void;
  readonly onCarried: (bytes: number) => void;
}

/** The cursor moves after so many entries, whatever they name. */
const batchEntries = 256;

export class Carrier {
  readonly #options: CarrierOptions;
  /** When sessions were opened that the entries ahead may be of. */
  readonly #opened = new Map<string, string>();
  /** Null: not begun. */
  #next: number | null = null;
  /** The place had no log of another when we came. */
  #isOurs = false;
  /** Full tiles beyond the log in the archive that are there already. */
  readonly #tiles = new Set<string>();

  constructor(options: CarrierOptions) {
    this.#options = options;
  }

  /**
   * What is published by now.
   * @param withLog also the log itself, as far as it names what has been carried
   * @returns whether the log is there now, as it was published when this began; that of a relay's first moment has nothing yet
   * @throws ArchiveError: it goes on from the cursor when it is called again
   */
  async carry(withLog: boolean): Promise<boolean> {
    const { evidence, store, cursor, onCarried } = this.#options;
    const snapshot = withLog ? await snapshotOf(evidence) : null;
    // Before the first file: what is locked among another relay's stays there.
    if (snapshot !== null && !this.#isOurs) await archivedSize(evidence, store, snapshot);
    if (snapshot !== null) this.#isOurs = true;
    await this.#carryFiles(snapshot?.size ?? (await published(evidence)));
    if (snapshot === null || cursor.next < snapshot.size) return false;
    // Asked each time: another relay may have come to the same place.
    const from = await archivedSize(evidence, store, snapshot);
    if (from === snapshot.size) return from > 0;
    onCarried(await copyLog({ evidence, store, from, done: this.#tiles }, snapshot));
    this.#tiles.clear();
    return true;
  }

  async #carryFiles(size: number): Promise<void> {
    const { evidence, cursor, signal } = this.#options;
    // What came before the run of the relay that the cursor's entry is of, nothing behind it refers to.
    this.#next ??= await lastStart(path.join(evidence, 'log'), cursor.next + 1);
    let batch: (() => Promise<void>)[] = [];
    let entries = 0;
    const deliver = async (next: number): Promise<void> => {
      await inParallel(batch);
      await cursor.save(next);
      [batch, entries] = [[], 0];
    };
    if (this.#next >= size) return;
    try {
      for await (const { index, entry } of readEntries(evidence, this.#next)) {
        if (signal.aborted || index >= size) break;
        if (entry.kind === 'session.opened') this.#opened.set(entry.session, entry.time);
        if (index < cursor.next) continue;
        // Nothing may be put behind its removal.
        if (entry.kind === 'evidence.erased') await deliver(index);
        batch.push(...(await this.#workOf(entry)));
        entries += 1;
        if (batch.length >= atOnce || entries >= batchEntries) await deliver(index + 1);
        if (entry.kind === 'session.closed') this.#opened.delete(entry.session);
      }
      if (signal.aborted) return;
      await deliver(size);
      this.#next = size;
    } catch (error) {
      // Sessions that were opened since are read again.
      this.#next = null;
      throw error;
    }
  }

  async #workOf(entry: Entry): Promise<(() => Promise<void>)[]> {
    const { retention } = this.#options;
    const each = (files: readonly NamedFile[], session: string | null) =>
      files.map((file) => () => this.#keep(file, session));
    switch (entry.kind) {
      case 'segment': {
        const openedAt = this.#opened.get(entry.session);
        return openedAt === undefined ? [] : each(filesOfSegment(openedAt, entry), entry.session);
      }
      case 'originals.resealed': {
        const session = await retention.session(entry.session);
        // One that was sealed anew again is named by a later entry.
        if (session === null || session.resealed.get(entry.segment) !== entry.to) return [];
        return [() => this.#keepResealed(fileOfResealed(session.openedAt, entry), entry.session)];
      }
      case 'evidence.erased':
        return [() => this.#erase(entry)];
      default:
        return each(filesOfSignIn(entry), null);
    }
  }

  /** @param of the session; null: of a sign-in, whose proofs may be gone */
  async #keep({ names, sha256 }: NamedFile, of: string | null): Promise<void> {
    const { evidence, store, onCarried } = this.#options;
    for (const name of names) {
      const file = await localFile(evidence, name);
      if (file === null) continue;
      if (file.sha256 !== sha256) await this.#absent('evidence changed', { name, sha256 }, of);
      else if (of === null) onCarried((await keep(store, file)).bytes);
      else await this.#keepUnlessErased(file, of);
      return;
    }
    const [name = ''] = names;
    if (of === null || (await store.holds({ name, sha256 })).state === 'held') return;
    await this.#absent('evidence missing', { name, sha256 }, of);
  }

  /** Under a lock it could not be removed any more: what comes first, this or an erasure, is decided one after the other. */
  async #keepUnlessErased(file: ArchivedFile, of: string): Promise<void> {
    const { store, retention, locks, onCarried } = this.#options;
    const done = await retention.undisturbed(of, async (session) =>
      session !== null && isErased(session, file.name) ? null : locks.putting(of),
    );
    if (done === null) return;
    try {
      onCarried((await keep(store, file)).bytes);
    } finally {
      done();
    }
  }

  /** Not here as the entry names it: erased; sealed anew since, which a later entry names and brings there; or lost. */
  async #absent(what: string, { name, sha256 }: FileDigest, of: string | null): Promise<void> {
    const session = of === null ? null : await this.#options.retention.session(of);
    if (session !== null && isErased(session, name)) return;
    const file = parseName(path.posix.basename(name));
    const resealed = file?.state === 'originals' ? session?.resealed.get(file.index) : undefined;
    if (resealed !== undefined && resealed !== sha256) return;
    this.#lost(what, name, of);
  }

  async #keepResealed(file: NamedFile, session: string): Promise<void> {
    const local = await localFile(this.#options.evidence, file.names[0]!);
    if (local !== null && local.sha256 !== file.sha256)
      // It goes into its place once the checkpoint that names it is signed: now.
      throw new ArchiveError('archive-mismatch', `${local.name} is not in its place yet`);
    await this.#keep(file, session);
  }

  #lost(what: string, name: string, session: string | null): void {
    this.#options.logger.error(what, {
      ...(session !== null && { session }),
      file: name,
      reason: 'see: hoop audit fsck',
    });
    this.#options.onLost();
  }

  async #erase({ session: id, what }: EntryOf<'evidence.erased'>): Promise<void> {
    const { store, retention, logger, onLost } = this.#options;
    const session = await retention.session(id);
    if (session === null) return;
    for await (const name of store.names(sessionPath(Date.parse(session.openedAt), id))) {
      if (what === 'originals' && !isOfOriginals(name)) continue;
      try {
        await store.remove(name);
      } catch (error) {
        if (!(error instanceof ArchiveError) || error.code !== 'archive-locked') throw error;
        logger.error('archive keeps what was erased', { session: id, file: name });
        onLost();
      }
    }
  }
}
