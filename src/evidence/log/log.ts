/**
 * The log: the one writer of one append-only history. https://c2sp.org/tlog-tiles over a journal (journal.ts).
 *
 * Life of an entry, and what a crash after each step leaves:
 *  1. `append` stamps and checks it and puts it in line: nothing on disk.
 *  2. it is written to the journal with all that waited while the write before was in flight: it may be there or not or
 *     in part; nobody was told, and recovery takes it when it is whole.
 *  3. fdatasync: it is there for good.
 *  4. the tree takes it and `append` resolves: nothing else changed on disk.
 *  5. within a second tiles and a signed checkpoint name it (publication.ts): only entries of step 4 are ever signed, so
 *     what was signed is always a prefix of what recovery finds.
 *  6. once the journal is long and its entries are published, a new short one replaces it by rename: the old or the new,
 *     each with every entry that the checkpoint does not name yet.
 *
 * The first failed or stalled write stops everything: whoever waits is refused, and so is every later `append`. The log
 * then tries to write all that is not published, and a `gap` entry that counts the refusals, into a new journal; only when
 * that is on disk does it take entries again. A refused entry may still be found by recovery (its bytes may have reached
 * the disk before the relay died); an acknowledged one is never lost.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../system/clock.ts';
import { durableFiles, type DurableFiles } from '../../system/durable-file.ts';
import { tryLock, type FileLock } from '../../system/file-lock.ts';
import { encodeEntry, relayActor, type NewEntry, type UnstampedEntry } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { Checkpoints } from './checkpoints.ts';
import { isUnsigned, reasonOf, Unsigned, writeFailed, type Reason } from './failure.ts';
import { History } from './history.ts';
import { JournalFile } from './journal-file.ts';
import type { CheckpointSigner, NoteSignature } from './note.ts';
import { Publisher } from './publication.ts';
import { recover, type Recovered } from './recovery.ts';
import { keysOf, rotationIn } from './rotation.ts';
import { Signing, type SignedCheckpoint } from './signing.ts';
import { TreeEdge } from './tile.ts';

export interface LogOptions {
  /** Holds `checkpoint`, `tile/…`, `journal` and `lock`; made when absent, in a directory that exists. */
  readonly directory: string;
  /** The log's key: the name of its verifier is the log's origin. */
  readonly signer: CheckpointSigner;
  /** Keys that the log may have been handed over to. The log's own entries say which key is in force. */
  readonly successors?: readonly CheckpointSigner[];
  readonly clock: Clock;
  readonly files?: DurableFiles;
  /** Longest wait from an acknowledged entry to the start of its publication. Default 800. */
  readonly checkpointMs?: number;
  /** A write that takes longer counts as failed. Default 10,000. */
  readonly stallMs?: number;
  /** Between attempts to write again after a failure. Default 1,000. */
  readonly retryMs?: number;
  /** The journal is replaced once it is longer and published. Default 1 MiB. */
  readonly journalBytes?: number;
  /** Entries beyond it that no checkpoint names stop the log, as a disk that is full does. Default 64 MiB. */
  readonly unsignedBytes?: number;
  /** A checkpoint was published: signed by the log, not by witnesses yet. Must not throw. */
  readonly onPublished?: (checkpoint: SignedCheckpoint) => void;
  /** The key did not sign; called at each attempt. */
  readonly onUnsigned?: (error: EvidenceError) => void;
  /** For the operator's log and metrics: the log refuses entries from now on. */
  readonly onFailure?: (error: EvidenceError) => void;
  /** The log takes entries again. */
  readonly onRepaired?: () => void;
}

export interface Appended {
  readonly index: number;
  /** As stamped: RFC 3339, UTC, milliseconds. */
  readonly time: string;
}

interface Waiting extends Appended {
  readonly bytes: Buffer;
  /** With the entry that hands the log over to it. */
  readonly next: CheckpointSigner | null;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: EvidenceError) => void;
}

type Settings = LogOptions &
  Required<Omit<LogOptions, 'onFailure' | 'onRepaired' | 'onPublished' | 'onUnsigned'>>;

export class Log {
  readonly #options: Settings;
  readonly #lock: FileLock;
  readonly #history: History;
  readonly #checkpoints: Checkpoints;
  #journal: JournalFile;
  #state: 'ready' | 'failed' | 'closed' = 'ready';
  #lastTimeMs: number;
  #waiting: Waiting[] = [];
  #inFlight: readonly Waiting[] = [];
  #journalBusy = false;
  #journalWork: Promise<void> = Promise.resolve();
  #repairTimer: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;
  #refused: { count: number; from: string; reason: Reason } = { count: 0, from: '', reason: 'write-failed' };
  readonly #listeners = new Set<(index: number, entry: Buffer) => void>();

  /** What the last run left: entries beyond its checkpoint, and bytes of torn writes that nobody was told of. */
  readonly recovered: { readonly entries: number; readonly bytesCut: number };

  private constructor(
    options: Settings,
    lock: FileLock,
    publisher: Publisher,
    found: { history: History; journal: JournalFile; recovered: Recovered; signing: Signing },
  ) {
    this.#options = options;
    this.#lock = lock;
    this.#history = found.history;
    this.#checkpoints = new Checkpoints({
      ...options,
      ...found,
      publisher,
      fail: (error) => this.#fail(error),
      bounded: (work) => this.#bounded(work),
      ready: () => this.#state === 'ready',
      published: () => this.#workOnJournal(),
    });
    this.#journal = found.journal;
    this.#lastTimeMs = found.recovered.lastTimeMs;
    this.recovered = { entries: found.recovered.entries.length, bytesCut: found.recovered.torn };
  }

  /**
   * Opens the log as its one writer, and makes what the last run left whole.
   * @throws EvidenceError `log-locked`, `log-damaged`, `log-write-failed`, `log-key-superseded`; `log-signing-failed`
   * only when the log is new
   */
  static async open(given: LogOptions): Promise<Log> {
    const options = {
      files: durableFiles,
      checkpointMs: 800,
      stallMs: 10_000,
      retryMs: 1000,
      journalBytes: 1_048_576,
      unsignedBytes: 64 * 1_048_576,
      successors: [],
      ...given,
    };
    const { files, directory, signer, successors } = options;
    let lock: FileLock | null = null;
    try {
      await files.makeDirectory(directory);
      await files.syncDirectory(path.dirname(directory));
      lock = tryLock(path.join(directory, 'lock'));
      if (lock === null) {
        throw new EvidenceError('log-locked', 'another process writes this log', {
          hint: 'stop the other relay, or give this one an evidence directory of its own',
        });
      }
      const publisher = new Publisher(files, directory);
      const keys = [signer, ...successors];
      const recovered =
        (await recover(files, directory, keys)) ?? (await begin(directory, publisher, signer));
      const { inForce, renew } = keysOf(recovered, keys);
      const signing = new Signing(inForce, { note: recovered.note, renew });
      const history = new History(recovered);
      const handover = history.take(recovered.entries, (entry) => rotationIn(entry, inForce.verifier, keys));
      const journal = await JournalFile.replace(files, directory, recovered.published, history.unpublished());
      const log = new Log(options, lock, publisher, { history, journal, recovered, signing });
      log.#checkpoints.handover = handover;
      // A log whose key is away goes on: what it holds is durable.
      await log.checkpoint().catch((error: unknown) => {
        if (!isUnsigned(error)) throw error;
      });
      return log;
    } catch (error) {
      lock?.release();
      throw error instanceof EvidenceError ? error : writeFailed(error);
    }
  }

  /** Acknowledged entries. */
  get size(): number {
    return this.#history.size;
  }

  /** Entries that the checkpoint on disk names. */
  get published(): number {
    return this.#history.published;
  }

  /** False while entries are refused. */
  get ready(): boolean {
    return this.#state === 'ready' && this.#closing === null;
  }

  /** The key in force. */
  get signer(): CheckpointSigner {
    return this.#checkpoints.signer;
  }

  /** How long the oldest entry that no checkpoint names has waited, milliseconds; 0 when there is none. */
  get checkpointLagMs(): number {
    return this.#checkpoints.lagMs;
  }

  /** The checkpoint on disk, cosignatures included. */
  get checkpointOnDisk(): SignedCheckpoint {
    return { size: this.published, note: this.#checkpoints.note };
  }

  /**
   * Resolves when the entry is on disk. Entries stand in the log in the order of the calls, with times that never
   * decrease, whatever the wall clock does.
   * @throws EvidenceError `entry-invalid`, `log-write-failed`, `log-closed` (as rejections)
   */
  append(entry: NewEntry): Promise<Appended> {
    return this.#append(entry, null);
  }

  async #append(entry: UnstampedEntry, next: CheckpointSigner | null): Promise<Appended> {
    if (this.#closing !== null) throw new EvidenceError('log-closed', 'the log is closed');
    const { bytes, time } = this.#stamp(entry);
    if (this.#state !== 'ready') {
      this.#refused.count += 1;
      throw writeFailed(null, this.#refused.reason);
    }
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ index: -1, time, bytes, next, resolve, reject });
      this.#workOnJournal();
    });
  }

  /** Calls `listener` with each entry right after it was acknowledged; it must not throw. Returns how to stop. */
  subscribe(listener: (index: number, entry: Buffer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Publishes tiles and a signed checkpoint of everything acknowledged before the call.
   * @throws EvidenceError `log-write-failed`, `log-signing-failed`
   */
  checkpoint(): Promise<void> {
    return this.#checkpoints.next();
  }

  /** Resolves when a checkpoint covers everything acknowledged before the call, which hurries nothing, or at the `signal`. */
  covered(signal: AbortSignal): Promise<void> {
    return this.#checkpoints.covered(signal);
  }

  /**
   * Hands the log over to another key of the same name: `log.key-rotated` is appended, the old key signs the tree that
   * ends with it, and everything from there on is the new key's. The new key must be safe before the call: once the entry
   * is on disk there is no way back, also when this rejects afterwards or the process dies.
   * @throws EvidenceError `rotation-refused`, `log-signing-failed`, `log-write-failed`, `log-closed`
   */
  rotate(next: CheckpointSigner): Promise<Appended> {
    return this.#checkpoints.rotate(next, (entry) => this.#append(entry, next));
  }

  /**
   * Adds signatures of witnesses to the checkpoint on disk, if it is still this one.
   * @param text of the checkpoint that they cosigned
   * @returns whether it was
   */
  addCosignatures(text: string, lines: readonly NoteSignature[]): Promise<boolean> {
    return this.#checkpoints.addCosignatures(text, lines);
  }

  /** Writes what waits, publishes it, and gives up the lock. What cannot be published now is at the next open. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #stamp(entry: UnstampedEntry): { bytes: Buffer; time: string } {
    const now = this.#now();
    const time = now.toISOString();
    const bytes = encodeEntry({ ...entry, v: 1, time });
    this.#lastTimeMs = now.getTime();
    return { bytes, time };
  }

  #workOnJournal(): void {
    if (this.#journalBusy) return;
    this.#journalBusy = true;
    this.#journalWork = this.#drainJournalWork();
  }

  /** Groups form by themselves: whatever arrives while one is written is the next one. */
  async #drainJournalWork(): Promise<void> {
    while (this.#state === 'ready') {
      if (this.#waiting.length > 0) await this.#commitGroup();
      else if (this.#journal.bytes > this.#options.journalBytes && this.size === this.published)
        await this.#shortenJournal();
      else break;
    }
    this.#journalBusy = false;
  }

  async #commitGroup(): Promise<void> {
    const group = this.#waiting;
    this.#waiting = [];
    this.#inFlight = group;
    try {
      const entries = group.map(({ bytes }) => bytes);
      await this.#bounded(this.#journal.append(this.size, entries));
    } catch (error) {
      this.#fail(error);
    }
    // A group that came through after its bound was already refused; the repair writes a journal without it.
    if (this.#inFlight !== group) return;
    this.#inFlight = [];
    for (const { bytes, time, next, resolve } of group) {
      const index = this.size;
      this.#history.append(bytes);
      if (next !== null)
        this.#checkpoints.handover = { next, leaf: bytes, snapshot: this.#history.snapshot() };
      resolve({ index, time });
      for (const listener of this.#listeners) listener(index, bytes);
    }
    if (this.#unsignedTooMuch) this.#fail(new Unsigned());
    this.#checkpoints.soon();
  }

  async #shortenJournal(): Promise<void> {
    try {
      await this.#bounded(this.#replaceJournal([]));
    } catch (error) {
      this.#fail(error);
    }
  }

  async #replaceJournal(more: readonly Buffer[]): Promise<void> {
    const { files, directory } = this.#options;
    const entries = [...this.#history.unpublished(), ...more];
    const journal = await JournalFile.replace(files, directory, this.published, entries);
    const old = this.#journal;
    this.#journal = journal;
    // It is nobody's file by now, and everything in it was written elsewhere.
    await old.close().catch(() => undefined);
  }

  /** Fails the log when `work` takes too long, and goes on waiting for it: two writers of one file must never be. */
  async #bounded(work: Promise<void>): Promise<void> {
    const stalled = () => this.#fail(new Error('a write stalled'));
    const timer = setTimeout(stalled, this.#options.stallMs).unref();
    try {
      await work;
    } finally {
      clearTimeout(timer);
    }
  }

  #fail(cause: unknown): void {
    if (this.#state !== 'ready') return;
    this.#state = 'failed';
    const reason = reasonOf(cause);
    const from = this.#now().toISOString();
    const refused = [...this.#inFlight, ...this.#waiting];
    this.#inFlight = [];
    this.#waiting = [];
    this.#refused = { count: this.#refused.count + refused.length, from, reason };
    const error = writeFailed(cause, reason);
    for (const { reject } of refused) reject(error);
    this.#options.onFailure?.(error);
    this.#repairSoon();
  }

  #repairSoon(): void {
    if (this.#closing !== null) return;
    this.#repairTimer = setTimeout(() => {
      this.#repairTimer = null;
      void this.#checkpoints.inTurn(() => this.#repair());
    }, this.#options.retryMs).unref();
  }

  /** Proves that the log can write again: what is unpublished, then a new journal with the gap in it. Never rejects. */
  async #repair(): Promise<void> {
    try {
      await this.#journalWork;
      await this.#checkpoints.publish().catch((error: unknown) => {
        // The disk is what is repaired; a key that is away stops the log only when too much waits for it.
        if (!isUnsigned(error) || this.#unsignedTooMuch) throw error;
      });
      const { count } = this.#refused;
      const { bytes } = this.#stamp(this.#gap());
      await this.#replaceJournal([bytes]);
      this.#history.append(bytes);
      this.#refused.count -= count;
      this.#state = 'ready';
    } catch {
      this.#repairSoon();
      return;
    }
    // Refused while the gap was on its way: told by a gap of their own.
    if (this.#refused.count > 0 && this.#closing === null) this.append(this.#gap()).catch(() => undefined);
    this.#refused.count = 0;
    this.#options.onRepaired?.();
    this.#checkpoints.soon();
    this.#workOnJournal();
  }

  get #unsignedTooMuch(): boolean {
    return this.#history.unpublishedBytes > this.#options.unsignedBytes;
  }

  #gap(): NewEntry {
    const { count, from, reason } = this.#refused;
    return {
      kind: 'gap',
      actor: relayActor,
      session: null,
      reason,
      count,
      from,
      to: this.#now().toISOString(),
    };
  }

  /** The wall clock, never before the last entry. */
  #now(): Date {
    return new Date(Math.max(this.#options.clock.wallMs(), this.#lastTimeMs));
  }

  async #close(): Promise<void> {
    if (this.#repairTimer !== null) clearTimeout(this.#repairTimer);
    await this.#journalWork;
    await this.#checkpoints.settle();
    if (this.#state === 'failed') await this.#repair();
    await this.checkpoint().catch(() => undefined); // the journal has it
    await this.#journalWork;
    this.#state = 'closed';
    await this.#journal.close().catch(() => undefined);
    this.#lock.release();
  }
}

/** The first checkpoint of a new log says that it is empty; only then come its journal and its tiles. */
async function begin(directory: string, publisher: Publisher, signer: CheckpointSigner): Promise<Recovered> {
  if (existsSync(path.join(directory, 'tile')))
    throw new EvidenceError('log-damaged', 'the log has tiles and no checkpoint');
  const edge = new TreeEdge();
  const snapshot = new History({ published: 0, edge, framed: [] }).snapshot();
  const note = await Signing.checkpoint(signer, snapshot).catch((cause: unknown) => {
    throw new EvidenceError('log-signing-failed', 'the key of the new log does not sign', { cause });
  });
  await publisher.publish(snapshot, note);
  return {
    note,
    signer,
    lastPublished: null,
    published: 0,
    edge,
    framed: [],
    entries: [],
    torn: 0,
    lastTimeMs: 0,
  };
}
