/**
 * Seals closed segments, off the data path; one per process. The order of its steps and why a crash between any two of
 * them loses nothing is in `sealed-file.ts`.
 *
 * Compressing competes with the data path for the processor, so while segments close by size (a sign of bulk) it waits:
 * until no segment has done so for a moment, or the backlog passes its bound, or its oldest segment its age. The backlog is
 * files on disk, not memory. Even then it compresses in a thread of low priority (`compression.ts`), which runs while the
 * processor has time to spare; at four times these bounds, or when the relay stops, in one of normal priority. A segment
 * that cannot be sealed (disk full, log refuses) is tried again and again, its session's later segments after it; other
 * sessions go on.
 */
import type { NewEntry } from '../entry.ts';
import { relayActor } from '../entry.ts';
import { EvidenceError } from '../error.ts';
import { syncSegmentNames } from './group-sync.ts';
import { isOutOfSpace } from '../space/reserve.ts';
import type { OpenOriginals } from './segment-file.ts';
import { publish, removeOpen, write, type SealedFile } from './sealed-file.ts';

/** A closed segment that waits to be sealed. */
export interface ClosedSegment {
  readonly session: string;
  readonly directory: string;
  readonly index: number;
  /** Bytes of whole flushes; the file may hold more, which then count for nothing. */
  readonly length: number;
  readonly firstMicros: number;
  readonly lastMicros: number;
  readonly commands: number;
  readonly redactions: number;
  /** Null when it holds no original. */
  readonly sealed: OpenOriginals | null;
  /** It closed because it was full. */
  readonly full: boolean;
}

export interface SealerOptions {
  /** Resolves when the entry is durable; rejects when it certainly is not in the log. */
  readonly append: (entry: NewEntry) => Promise<unknown>;
  /** Something could not be sealed now and will be tried again; for the operator's log. */
  readonly onError?: (error: unknown, session: string) => void;
  /** Over this much waiting work, load no longer counts. Default 256 MiB. */
  readonly backlogBytes?: number;
  /** Nor over this age. Default 5 s. */
  readonly maxAgeMs?: number;
  /** No segment has closed by size for this long: the load is over. Default 250 ms. */
  readonly calmMs?: number;
  /** Default 1 s. */
  readonly retryMs?: number;
}

interface Job {
  readonly segment: ClosedSegment;
  readonly submittedAt: number;
  readonly resolve: (sealed: SealedFile) => void;
  readonly reject: (error: Error) => void;
  /** Published: never written again, since an entry that the log refused may yet be found by its recovery. */
  sealed: SealedFile | null;
  /** The log names it. */
  committed: boolean;
}

/** So many times beyond its bounds, sealing no longer gives way to the data path. */
const overdueFactor = 4;
/**
 * Segments that share a directory sync and the log's group commit. One on a full disk: each needs room beside its open file
 * until it is committed, and what a round has written is committed only when all of its session's was.
 */
const roundSegments = 16;

export class Sealer {
  readonly #options: Required<Omit<SealerOptions, 'onError'>> & Pick<SealerOptions, 'onError'>;
  #jobs: Job[] = [];
  #backlogBytes = 0;
  #lastFullAt = -Infinity;
  /** Sessions whose last attempt failed, and when to try again. */
  readonly #retryAt = new Map<string, number>();
  #running: Promise<void> | null = null;
  #wake: (() => void) | null = null;
  #urgent = false;
  #most = roundSegments;
  #closed = false;

  constructor(options: SealerOptions) {
    this.#options = {
      backlogBytes: 256 * 1024 * 1024,
      maxAgeMs: 5000,
      calmMs: 250,
      retryMs: 1000,
      ...options,
    };
  }

  /** What waits, for metrics. */
  get backlog(): { readonly segments: number; readonly bytes: number } {
    return { segments: this.#jobs.length, bytes: this.#backlogBytes };
  }

  /** Resolves when the segment is committed to the log and its open file is gone. Rejects only when the sealer closes. */
  seal(segment: ClosedSegment): Promise<SealedFile> {
    if (this.#closed) return Promise.reject(closedError());
    if (segment.full) this.#lastFullAt = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<SealedFile>();
    this.#jobs.push({
      segment,
      submittedAt: performance.now(),
      resolve,
      reject,
      sealed: null,
      committed: false,
    });
    this.#backlogBytes += segment.length;
    this.#wake?.();
    this.#running ??= this.#run();
    return promise;
  }

  /** Seals without regard to load until nothing waits. Does not end while the disk refuses: bound it, then `close`. */
  async drain(): Promise<void> {
    this.#urgent = true;
    this.#retryAt.clear();
    this.#wake?.();
    await this.#running;
    this.#urgent = false;
  }

  /** Finishes the round in hand and gives the rest back; recovery at the next start seals it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    await this.#running;
    for (const job of this.#jobs) job.reject(closedError());
    this.#jobs = [];
  }

  async #run(): Promise<void> {
    while (this.#jobs.length > 0 && !this.#closed) {
      const waitMs = this.#waitMs();
      if (waitMs > 0) await this.#sleep(waitMs);
      else await this.#round(this.#take());
    }
    this.#running = null;
  }

  /** How long there is nothing to do; 0 when a round may begin. */
  #waitMs(): number {
    const now = performance.now();
    const ready = this.#jobs.find(({ segment }) => (this.#retryAt.get(segment.session) ?? 0) <= now);
    if (ready === undefined) return Math.max(1, Math.min(...this.#retryAt.values()) - now);
    if (this.#urgent || this.#backlogBytes > this.#options.backlogBytes) return 0;
    const calmIn = this.#lastFullAt + this.#options.calmMs - now;
    const ripeIn = ready.submittedAt + this.#options.maxAgeMs - now;
    return Math.max(0, Math.min(calmIn, ripeIn));
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      // Held: a program that ends while segments wait would leave them to recovery.
      const timer = setTimeout(resolve, Math.ceil(ms));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take(): Job[] {
    const now = performance.now();
    const ready = ({ segment }: Job): boolean => (this.#retryAt.get(segment.session) ?? 0) <= now;
    return this.#jobs.filter(ready).slice(0, this.#most);
  }

  /** Steps 1 to 4 for some segments. A step is done for all of them before the next begins. */
  async #round(jobs: readonly Job[]): Promise<void> {
    const failed = new Set<string>();
    this.#most = Math.min(2 * this.#most, roundSegments);
    const each = async (step: (job: Job) => Promise<void>): Promise<void> => {
      for (const job of jobs) {
        const { session } = job.segment;
        if (!failed.has(session))
          await step(job).catch((error: unknown) => this.#fail(error, session, failed));
      }
    };
    await each((job) => this.#writeAndPublish(job));
    const synced = new Map<string, Promise<void>>();
    // In order of their numbers: a session's first segment comes first, and brings the directories above to disk.
    await each(({ segment }) => {
      const sync = synced.get(segment.directory) ?? syncSegmentNames(segment);
      synced.set(segment.directory, sync);
      return sync;
    });
    await this.#commit(jobs, failed);
    await each(async (job) => {
      await removeOpen(job.segment.directory, job.segment.index);
      this.#finish(job);
    });
  }

  async #writeAndPublish(job: Job): Promise<void> {
    if (job.sealed !== null) return;
    const { directory, index, length, sealed: originals } = job.segment;
    const priority = this.#urgent || this.#overdue(job) ? 'normal' : 'low';
    const file = await write({ directory, index, length, originals }, priority);
    await publish(directory, index, file);
    job.sealed = file;
  }

  #overdue({ submittedAt }: Job): boolean {
    const { backlogBytes, maxAgeMs } = this.#options;
    return (
      this.#backlogBytes > overdueFactor * backlogBytes ||
      performance.now() - submittedAt > overdueFactor * maxAgeMs
    );
  }

  /** Step 3: all entries at once, so that the log syncs once; in order, so that a session's are in order. */
  async #commit(jobs: readonly Job[], failed: Set<string>): Promise<void> {
    const appends = jobs.map(async (job) => {
      const { session, index, firstMicros, lastMicros, commands, redactions } = job.segment;
      if (job.committed || failed.has(session)) return;
      await this.#options.append({
        kind: 'segment',
        actor: relayActor,
        session,
        index,
        ...job.sealed!,
        firstMicros,
        lastMicros,
        commands,
        redactions,
      });
      job.committed = true;
    });
    const results = await Promise.allSettled(appends);
    for (const [at, result] of results.entries())
      if (result.status === 'rejected') this.#fail(result.reason, jobs[at]!.segment.session, failed);
  }

  #finish(job: Job): void {
    this.#jobs.splice(this.#jobs.indexOf(job), 1);
    this.#backlogBytes -= job.segment.length;
    this.#retryAt.delete(job.segment.session);
    job.resolve(job.sealed!);
  }

  #fail(error: unknown, session: string, failed: Set<string>): void {
    failed.add(session);
    if (isOutOfSpace(error)) this.#most = 1;
    this.#retryAt.set(session, performance.now() + this.#options.retryMs);
    this.#options.onError?.(error, session);
  }
}

const closedError = (): EvidenceError =>
  new EvidenceError('recording-failed', 'The sealer is closed; recovery seals what waits at the next start.');
