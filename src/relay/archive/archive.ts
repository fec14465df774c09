/** The archive of a relay (`evidence.archive`): carries evidence there, and lets local copies go when it has them. */
import path from 'node:path';
import type { Location } from '../../evidence/location.ts';
import { StoredAt } from '../../evidence/location.ts';
import type { Clock } from '../../system/clock.ts';
import type { RelayConfig } from '../config/config.ts';
import type { ArchiveConfig } from '../config/archive.ts';
import type { RelayLogger } from '../logging.ts';
import type { ArchiveMetrics } from '../metrics.ts';
import type { Retention } from '../retention/retention.ts';
import { Cursor } from '../streams/cursor.ts';
import { paused } from '../../system/paused.ts';
import { answered, ArchivedEvidence } from './archived-evidence.ts';
import { Carrier } from './carrier.ts';
import type { ArchiveLocks } from './archive-locks.ts';
import { DirectoryStore } from './directory-store.ts';
import { LocalCopies } from './local-copies.ts';
import { S3Store } from './s3/s3-store.ts';
import type { ArchiveStore } from './store.ts';

type Config = Pick<RelayConfig, 'evidence' | 'log' | 'dataDir'>;

export interface ArchiveOptions {
  readonly config: Config;
  readonly archive: ArchiveConfig;
  readonly store: ArchiveStore;
  readonly retention: Retention;
  readonly locks: ArchiveLocks;
  readonly clock: Clock;
  readonly logger: RelayLogger;
  /** Size of the log under its checkpoint. */
  readonly published: () => number;
}

const intervalMs = 1000;
/** How often the log itself goes there while it grows: partial tiles and checkpoints are kept for ever. */
const logMs = 300_000;
const leastSweepMs = 1000;
const mostSweepMs = 600_000;
const firstRetryMs = 1000;
const mostRetryMs = 60_000;

export function openStore({ place }: ArchiveConfig, { log }: Pick<Config, 'log'>): ArchiveStore {
  return place.kind === 's3' ? new S3Store(place.s3) : new DirectoryStore(place.directory, log.origin);
}

/** Where the relay remembers how far the archive has come. @throws StreamError `stream-cursor-invalid` */
export const openCursor = ({ dataDir, log }: Config, store: ArchiveStore): Promise<Cursor> =>
  Cursor.open(path.join(dataDir, 'archive', 'cursor.json'), { log: log.origin, to: store.text }, 0);

export class Archive {
  readonly #options: ArchiveOptions;
  readonly #cursor: Cursor;
  readonly #copies: LocalCopies;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #failing = false;
  #failures = 0;
  #lost = 0;
  #carried = 0;

  private constructor(options: ArchiveOptions, cursor: Cursor) {
    const { config, archive } = options;
    this.#options = options;
    this.#cursor = cursor;
    this.#copies = new LocalCopies({
      ...options,
      evidence: config.evidence.directory,
      keepLocalMs: archive.keepLocalMs,
    });
  }

  /** @throws ArchiveError `archive-foreign`; StreamError `stream-cursor-invalid` */
  static async open(options: ArchiveOptions): Promise<Archive> {
    const { store, config } = options;
    const cursor = await openCursor(config, store);
    if (store instanceof DirectoryStore && cursor.next === 0) await store.begin();
    return new Archive(options, cursor);
  }

  /** The evidence, wherever it lies. */
  get evidence(): Location {
    const { config, store, retention } = this.#options;
    return new StoredAt(new ArchivedEvidence(config.evidence.directory, store, retention));
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Brings the recording of a session back, for what changes it. @throws RelayError `evidence-unavailable` */
  recall(session: string): Promise<void> {
    return answered(this.#copies.recall(session));
  }

  view(): ArchiveMetrics {
    const lag = Math.max(0, this.#options.published() - this.#cursor.next);
    return {
      kind: this.#options.archive.place.kind,
      lag,
      failures: this.#failures,
      lost: this.#lost,
      bytes: this.#carried,
    };
  }

  /** Gives up what is under way: the cursor says where to go on. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#options.store.close();
    await this.#running;
  }

  /** Never rejects: what goes wrong here is told, and tried again. */
  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { config, archive, clock } = this.#options;
    const carrier = new Carrier({
      ...this.#options,
      evidence: config.evidence.directory,
      cursor: this.#cursor,
      signal,
      onLost: () => {
        this.#lost += 1;
      },
      onCarried: (bytes) => {
        this.#carried += bytes;
      },
    });
    const sweepMs = Math.min(mostSweepMs, Math.max(leastSweepMs, archive.keepLocalMs / 10));
    let [loggedAt, sweptAt, streak] = [-Infinity, -Infinity, 0];
    await this.#copies.start().catch((error: unknown) => this.#failed(error));
    while (!signal.aborted) {
      const now = clock.monotonicMs();
      try {
        const withLog = now - loggedAt >= logMs;
        if (await carrier.carry(withLog)) loggedAt = now;
        if (now - sweptAt >= sweepMs) {
          await this.#copies.sweep(signal);
          sweptAt = now;
        }
        this.#succeeded();
        streak = 0;
        await paused(intervalMs, signal);
      } catch (error) {
        if (!signal.aborted) this.#failed(error);
        await paused(Math.min(mostRetryMs, firstRetryMs * 2 ** Math.min(streak++, 16)), signal);
      }
    }
  }

  #failed(error: unknown): void {
    this.#failures += 1;
    if (!this.#failing) this.#options.logger.warn('archive fails', {}, error);
    this.#failing = true;
  }

  #succeeded(): void {
    if (this.#failing) this.#options.logger.info('archive goes on');
    this.#failing = false;
  }
}
