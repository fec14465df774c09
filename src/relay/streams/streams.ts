/** The streams of a relay (`evidence.streams`): each carries the whole history to one destination, by itself. */
import path from 'node:path';
import type { Location } from '../../evidence/location.ts';
import { followLeaves, LeafReader } from '../../evidence/read/leaf-events.ts';
import type { RelayConfig } from '../config/config.ts';
import type { StreamConfig } from '../config/streams.ts';
import type { RelayLogger } from '../logging.ts';
import type { StreamMetrics } from '../metrics.ts';
import { Cursor } from './cursor.ts';
import { openDestination, type Destination } from './destination.ts';
import { paused } from '../../system/paused.ts';
import { pump } from './pump.ts';

const intervalMs = 1000;
const firstRetryMs = 1000;

export class Streams {
  readonly #streams: readonly Stream[];

  private constructor(streams: readonly Stream[]) {
    this.#streams = streams;
  }

  /** @throws StreamError `stream-destination-invalid`, `stream-cursor-invalid`; ConfigError of its secrets */
  static async open(
    { evidence, log, dataDir }: Pick<RelayConfig, 'evidence' | 'log' | 'dataDir'>,
    options: { readonly evidence: Location; readonly logger: RelayLogger; readonly published: () => number },
  ): Promise<Streams> {
    const streams: Stream[] = [];
    for (const config of evidence.streams) {
      const file = path.join(dataDir, 'streams', `${config.name}.json`);
      const cursor = await Cursor.open(file, { log: log.origin, to: config.to.text }, 0);
      const destination = openDestination(config.to, config.format, config.secrets);
      streams.push(new Stream({ ...options, config, cursor, destination }));
    }
    return new Streams(streams);
  }

  start(): void {
    for (const stream of this.#streams) void stream.run();
  }

  views(): StreamMetrics[] {
    return this.#streams.map((stream) => stream.view());
  }

  /** Gives up what is under way: the cursor says where to go on. */
  async close(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.close()));
  }
}

interface StreamOptions {
  readonly config: StreamConfig;
  readonly cursor: Cursor;
  readonly destination: Destination;
  readonly evidence: Location;
  readonly logger: RelayLogger;
  readonly published: () => number;
}

class Stream {
  readonly #options: StreamOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #failing = false;
  #failures = 0;
  #delivered = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  view(): StreamMetrics {
    const { config, cursor, published } = this.#options;
    const lag = Math.max(0, published() - cursor.next);
    return { name: config.name, lag, failures: this.#failures, delivered: this.#delivered };
  }

  run(): Promise<void> {
    this.#running = this.#run();
    return this.#running;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#options.destination.close();
    await this.#running;
  }

  /** Never rejects: what goes wrong here is told, and tried again. */
  async #run(): Promise<void> {
    const { config, cursor, destination, evidence } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const wait = async (): Promise<boolean> => {
          await paused(intervalMs, signal);
          return !signal.aborted;
        };
        const leaves = followLeaves(new LeafReader(evidence, {}, cursor.next), wait);
        await pump({
          leaves,
          cursor,
          destination,
          format: config.format,
          signal,
          retryMs: firstRetryMs,
          onFailure: (error) => this.#failed(error),
          onDelivered: (events) => this.#succeeded(events),
        });
      } catch (error) {
        this.#failed(error);
        await paused(10 * firstRetryMs, signal);
      }
    }
  }

  #failed(error: unknown): void {
    this.#failures += 1;
    if (!this.#failing)
      this.#options.logger.warn('stream fails', { stream: this.#options.config.name }, error);
    this.#failing = true;
  }

  #succeeded(events: number): void {
    this.#delivered += events;
    if (this.#failing) this.#options.logger.info('stream goes on', { stream: this.#options.config.name });
    this.#failing = false;
  }
}
