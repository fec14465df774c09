/**
 * What the relay counts, for Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/). Labels are codes
 * and names from the configuration, never a person, a session or anything a client wrote: the number of series is bounded.
 *
 * The data path adds to plain numbers in `tally`; they become samples only when somebody asks.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { OutcomeKind, SessionEnd } from '../model/outcome.ts';
import type { SpaceLevel } from './space/measure.ts';

/** Sums since the start; the data path increments them in place. */
export interface Tally {
  connections: number;
  readonly commands: Record<OutcomeKind, number>;
  bytesToClient: number;
  bytesToTarget: number;
  recorderFlushes: number;
  recorderFlushSeconds: number;
}

/** What is asked for at each scrape. */
export interface MetricSources {
  readonly liveSessions: () => number;
  readonly liveConnections: () => number;
  /** Closed segments that wait to be sealed, bytes. */
  readonly sealerBacklogBytes: () => number;
  readonly logEntries: () => number;
  /** True while the log refuses entries. */
  readonly logFailing: () => boolean;
  /** Room for the record. */
  readonly room: () => {
    readonly availableBytes: number;
    readonly reserveBytes: number;
    readonly level: SpaceLevel;
  };
  readonly breakGlassOpen: () => boolean;
  /** How long the oldest entry without a checkpoint has waited. */
  readonly checkpointLagSeconds: () => number;
  readonly witnesses: () => readonly WitnessMetrics[];
  /** Entries that the quorum of witnesses vouches for. */
  readonly witnessedEntries: () => number;
  readonly streams: () => readonly StreamMetrics[];
  /** Null: there is no archive. */
  readonly archive: () => ArchiveMetrics | null;
}

/** One witness of `log.witnesses`. */
export interface WitnessMetrics {
  readonly name: string;
  /** Entries of the last checkpoint that it cosigned. */
  readonly size: number;
  /** Since the oldest checkpoint that it has not cosigned; 0 when there is none. */
  readonly lagSeconds: number;
  readonly failures: number;
}

/** What `evidence.archive` names. */
export interface ArchiveMetrics {
  readonly kind: 'directory' | 's3';
  /** Published entries whose files it has not confirmed. */
  readonly lag: number;
  readonly failures: number;
  /** Files that were not to be found, or are not what the log names. */
  readonly lost: number;
  /** Carried since the relay started. */
  readonly bytes: number;
}

/** One stream of `evidence.streams`. */
export interface StreamMetrics {
  readonly name: string;
  /** Published entries that it has not delivered. */
  readonly lag: number;
  readonly failures: number;
  /** Events since the relay started. */
  readonly delivered: number;
}

type Names = readonly string[];
const spaceLevels: readonly SpaceLevel[] = ['enough', 'low', 'critical', 'full'];

/** One relay's metrics, in a registry of their own. */
export class RelayMetrics {
  readonly registry = new Registry();
  readonly tally: Tally = {
    connections: 0,
    commands: { succeeded: 0, failed: 0, blocked: 0, cancelled: 0, unknown: 0 },
    bytesToClient: 0,
    bytesToTarget: 0,
    recorderFlushes: 0,
    recorderFlushSeconds: 0,
  };
  readonly #sessionsOpened: Counter;
  readonly #sessionsEnded: Counter;
  readonly #denied: Counter;
  readonly #reviews: Counter;
  readonly #errors: Counter;
  readonly #requests: Counter;
  readonly #requestSeconds: Histogram;
  readonly #logAppendSeconds: Histogram;

  constructor(version: string) {
    collectDefaultMetrics({ register: this.registry });
    const build = this.#gauge('hoop_build_info', 'version of this relay; always 1', ['version']);
    build.set({ version }, 1);
    this.#sessionsOpened = this.#counter('hoop_sessions_opened_total', 'sessions opened', ['target']);
    this.#sessionsEnded = this.#counter('hoop_sessions_ended_total', 'sessions ended, by why', ['reason']);
    this.#denied = this.#counter('hoop_denied_total', 'requests that policy denied', ['action']);
    this.#reviews = this.#counter('hoop_reviews_total', 'reviews requested, and how they ended', ['event']);
    this.#errors = this.#counter('hoop_errors_total', 'failures, by code of docs/errors.md', ['code']);
    this.#requests = this.#counter('hoop_http_requests_total', 'API requests', ['method', 'route', 'status']);
    this.#requestSeconds = this.#histogram('hoop_http_request_seconds', 'time to answer', ['route']);
    this.#logAppendSeconds = this.#histogram('hoop_log_append_seconds', 'time until an entry is on disk');
    this.#tallied();
  }

  /** Names what is asked at each scrape; once. */
  observe(sources: MetricSources): void {
    const asked: [string, string, () => number][] = [
      ['hoop_sessions_live', 'sessions open now', sources.liveSessions],
      ['hoop_connections_live', 'connections open now', sources.liveConnections],
      ['hoop_sealer_backlog_bytes', 'closed segments that wait to be compressed', sources.sealerBacklogBytes],
      ['hoop_log_entries', 'entries in the log', sources.logEntries],
      [
        'hoop_log_checkpoint_lag_seconds',
        'age of the oldest entry that no checkpoint names',
        sources.checkpointLagSeconds,
      ],
      ['hoop_log_witnessed_entries', 'entries that the witnesses vouch for', sources.witnessedEntries],
      [
        'hoop_evidence_available_bytes',
        'free space where the record is kept',
        () => sources.room().availableBytes,
      ],
      ['hoop_evidence_reserve_bytes', 'space held back there', () => sources.room().reserveBytes],
      [
        'hoop_evidence_space_level',
        '0 enough, 1 low, 2 critical, 3 full: no session opens',
        () => spaceLevels.indexOf(sources.room().level),
      ],
      ['hoop_break_glass_open', '1 while break-glass is open', () => (sources.breakGlassOpen() ? 1 : 0)],
      ['hoop_log_failing', '1 while the log refuses entries', () => (sources.logFailing() ? 1 : 0)],
    ];
    for (const [name, help, value] of asked)
      this.registry.registerMetric(
        new Gauge({
          name,
          help,
          registers: [],
          collect() {
            this.set(value());
          },
        }),
      );
    this.#observeWitnesses(sources.witnesses);
    this.#observeStreams(sources.streams);
    this.#observeArchive(sources.archive);
  }

  #observeArchive(archive: () => ArchiveMetrics | null): void {
    const figures: [string, string, (view: ArchiveMetrics) => number][] = [
      ['hoop_archive_lag_entries', 'published entries whose files the archive has not', ({ lag }) => lag],
      [
        'hoop_archive_lost_files',
        'files neither here nor there, or not what the log names',
        ({ lost }) => lost,
      ],
    ];
    const views = (): readonly ArchiveMetrics[] => [archive()].filter((view) => view !== null);
    for (const [name, help, value] of figures)
      this.#asked(name, help, 'kind', () => views().map((view) => [view.kind, value(view)]));
    this.#sum('hoop_archive_failures_total', 'tries that the archive did not take', ['kind'], () =>
      views().map(({ kind, failures }) => [{ kind }, failures]),
    );
    this.#sum('hoop_archive_bytes_total', 'bytes that the archive has taken', ['kind'], () =>
      views().map(({ kind, bytes }) => [{ kind }, bytes]),
    );
  }

  #observeWitnesses(witnesses: () => readonly WitnessMetrics[]): void {
    const figures: [string, string, (view: WitnessMetrics) => number][] = [
      ['hoop_witness_size', 'entries of the last checkpoint that the witness cosigned', ({ size }) => size],
      [
        'hoop_witness_lag_seconds',
        'age of the oldest checkpoint that it has not',
        ({ lagSeconds }) => lagSeconds,
      ],
    ];
    for (const [name, help, value] of figures)
      this.#asked(name, help, 'witness', () => witnesses().map((view) => [view.name, value(view)]));
    this.#sum('hoop_witness_failures_total', 'requests that a witness did not cosign', ['witness'], () =>
      witnesses().map(({ name, failures }) => [{ witness: name }, failures]),
    );
  }

  #observeStreams(streams: () => readonly StreamMetrics[]): void {
    this.#asked(
      'hoop_stream_lag_entries',
      'published entries that the stream has not delivered',
      'stream',
      () => streams().map(({ name, lag }) => [name, lag]),
    );
    this.#sum('hoop_stream_failures_total', 'tries that the destination did not take', ['stream'], () =>
      streams().map(({ name, failures }) => [{ stream: name }, failures]),
    );
    this.#sum('hoop_stream_events_total', 'events that were delivered', ['stream'], () =>
      streams().map(({ name, delivered }) => [{ stream: name }, delivered]),
    );
  }

  /** A gauge of one label that is asked at each scrape. */
  #asked(
    name: string,
    help: string,
    label: string,
    values: () => readonly (readonly [string, number])[],
  ): void {
    this.registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames: [label],
        registers: [],
        collect() {
          for (const [of, value] of values()) this.set({ [label]: of }, value);
        },
      }),
    );
  }

  sessionOpened(target: string): void {
    this.#sessionsOpened.inc({ target });
  }

  sessionEnded(reason: SessionEnd): void {
    this.#sessionsEnded.inc({ reason });
  }

  denied(action: 'connect' | 'execute' | 'kill' | 'readEvidence' | 'administer'): void {
    this.#denied.inc({ action });
  }

  review(event: 'requested' | 'approved' | 'rejected' | 'expired' | 'withdrawn'): void {
    this.#reviews.inc({ event });
  }

  /** @param code of a HoopError */
  failed(code: string): void {
    this.#errors.inc({ code });
  }

  /** @param request `route` is the pattern, so that ids make no series; `status` the code of the answer */
  requestAnswered(request: { method: string; route: string; status: number }, seconds: number): void {
    const { method, route, status } = request;
    this.#requests.inc({ method, route, status: String(status) });
    this.#requestSeconds.observe({ route }, seconds);
  }

  logAppended(seconds: number): void {
    this.#logAppendSeconds.observe(seconds);
  }

  #tallied(): void {
    const { tally } = this;
    const sums: [string, string, () => number][] = [
      ['hoop_connections_total', 'connections accepted', () => tally.connections],
      ['hoop_recorder_flushes_total', 'writes of the recorders', () => tally.recorderFlushes],
      ['hoop_recorder_flush_seconds_total', 'time in those writes', () => tally.recorderFlushSeconds],
    ];
    for (const [name, help, value] of sums) this.#sum(name, help, [], () => [[{}, value()]]);
    this.#sum('hoop_commands_total', 'commands, by outcome', ['outcome'], () =>
      Object.entries(tally.commands).map(([outcome, value]) => [{ outcome }, value]),
    );
    this.#sum('hoop_bytes_total', 'bytes recorded, by direction', ['direction'], () => [
      [{ direction: 'target-to-client' }, tally.bytesToClient],
      [{ direction: 'client-to-target' }, tally.bytesToTarget],
    ]);
  }

  /** A counter that is set from a tally when asked. */
  #sum(
    name: string,
    help: string,
    labelNames: Names,
    values: () => [Record<string, string>, number][],
  ): void {
    this.registry.registerMetric(
      new Counter({
        name,
        help,
        labelNames: [...labelNames],
        registers: [],
        collect() {
          this.reset();
          for (const [labels, value] of values()) this.inc(labels, value);
        },
      }),
    );
  }

  #counter(name: string, help: string, labelNames: Names = []): Counter {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  #gauge(name: string, help: string, labelNames: Names = []): Gauge {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  #histogram(name: string, help: string, labelNames: Names = []): Histogram {
    const buckets = [0.0005, 0.002, 0.01, 0.05, 0.2, 1, 5];
    return new Histogram({ name, help, labelNames: [...labelNames], buckets, registers: [this.registry] });
  }
}
