/**
 * Puts appended bytes on disk with fdatasync(2): at once when idle; calls that come while one is in flight share the next
 * one. Never on a fixed delay. In the background (nobody waits) it keeps to a fortieth of the time, because a sync costs
 * processor time that the data path wants: after a sync that took 1 ms the next background sync starts 40 ms later, and
 * never more than 100 ms later. That is what a lost machine may take with it under `durability: process`.
 */
import { fdatasync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { SegmentFile } from './segment-file.ts';

const datasync = promisify(fdatasync);
const restFactor = 40;
const longestRestMs = 100;
/** evidence / recordings / yyyy / mm / dd / session: all names may be new when a session's first segment is. */
const levelsAboveSession = 5;

/** fsync of a directory: its entries (created, renamed, removed files) are on disk. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * The names of a segment's files are on disk; of a session's first also those of the directories that lead to them. Must
 * be so before the log names the segment.
 */
export async function syncSegmentNames(
  { directory, index }: { readonly directory: string; readonly index: number },
  sync: (directory: string) => Promise<void> = syncDirectory,
): Promise<void> {
  let at = directory;
  await sync(at);
  for (let level = index === 0 ? levelsAboveSession : 0; level > 0; level--) {
    at = path.dirname(at);
    await sync(at);
  }
}

/** Replaced in tests by ones that stall or fail. */
export interface SyncCalls {
  file(fd: number): Promise<void>;
  directory(directory: string): Promise<void>;
}

export interface GroupSyncOptions {
  /** A group that takes longer has failed. */
  readonly timeoutMs: number;
  readonly calls?: SyncCalls;
  /** Once; nothing is promised to be on disk after it. */
  readonly onFailure: (error: Error) => void;
}

export class GroupSync {
  readonly #options: GroupSyncOptions;
  readonly #calls: SyncCalls;
  /** Appended to since the group that took them last began. Each holds a use of its descriptor. */
  #dirty = new Set<SegmentFile>();
  /** The one of them that was appended to last, which nearly always is appended to next. */
  #last: SegmentFile | null = null;
  #running: Promise<void> | null = null;
  #next: PromiseWithResolvers<void> | null = null;
  #rest: NodeJS.Timeout | null = null;
  #failed: Error | null = null;

  constructor(options: GroupSyncOptions) {
    this.#options = options;
    this.#calls = options.calls ?? { file: datasync, directory: syncDirectory };
  }

  /** Bytes were appended to this file. */
  wrote(file: SegmentFile): void {
    if (file === this.#last || this.#dirty.has(file)) return;
    this.#last = file;
    this.#dirty.add(file);
    file.useFd();
  }

  /** Resolves when everything appended before the call is on disk. @throws what `onFailure` got */
  sync(): Promise<void> {
    if (this.#failed !== null) return Promise.reject(this.#failed);
    if (this.#dirty.size === 0) return this.#running ?? Promise.resolve();
    if (this.#running === null) return this.#start();
    this.#next ??= Promise.withResolvers();
    return this.#next.promise;
  }

  /** Sees to it that what was appended comes to disk soon; nobody waits. */
  background(): void {
    if (this.#running !== null || this.#rest !== null || this.#failed !== null || this.#dirty.size === 0)
      return;
    this.#start().catch(() => {});
  }

  /** No more background syncs are begun; descriptors held are let go. */
  stop(): void {
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = null;
    for (const file of this.#dirty) file.releaseFd();
    this.#dirty.clear();
    this.#last = null;
  }

  #start(): Promise<void> {
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = null;
    const group = this.#dirty;
    this.#dirty = new Set();
    this.#last = null;
    const running = this.#bounded(group);
    this.#running = running;
    const startedAt = performance.now();
    running.then(
      () => this.#done(performance.now() - startedAt),
      (error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))),
    );
    return running;
  }

  #done(tookMs: number): void {
    this.#running = null;
    if (this.#failed !== null) return;
    const next = this.#next;
    this.#next = null;
    if (next !== null) {
      this.#start().then(next.resolve, next.reject);
      return;
    }
    this.#rest = setTimeout(
      () => {
        this.#rest = null;
        this.background();
      },
      Math.min(tookMs * restFactor, longestRestMs),
    ).unref();
  }

  #fail(error: Error): void {
    this.#running = null;
    if (this.#failed !== null) return;
    this.#failed = error;
    this.#next?.reject(error);
    this.stop();
    this.#options.onFailure(error);
  }

  /** Syncs a group; the descriptors stay open until the calls return, even when the bound has passed. */
  async #bounded(group: ReadonlySet<SegmentFile>): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new Error(`no answer from the disk for ${this.#options.timeoutMs} ms`)),
      this.#options.timeoutMs,
    );
    try {
      await Promise.race([Promise.all([...group].map((file) => this.#one(file))), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #one(file: SegmentFile): Promise<void> {
    try {
      await this.#calls.file(file.fd);
    } finally {
      file.releaseFd();
    }
    if (file.directorySynced) return;
    await syncSegmentNames(file, (directory) => this.#calls.directory(directory));
    file.directorySynced = true;
  }
}
