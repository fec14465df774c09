/**
 * Looks for a text or a pattern in recordings: commands, their parameters, what programs and databases were sent and what the
 * client saw. Reading, decompressing and searching happen in threads of their own; here is only what was found.
 *
 * It does not prove anything, as nothing in `evidence/read` does; what is missing or cannot be read is told, never passed over.
 */
import type { EventFilter } from '../read/filter.ts';
import { within, type Location } from '../location.ts';
import { sealedName } from '../recording/layout.ts';
import { readIfThere } from '../regular-file.ts';
import { largestSegmentBytes } from '../read/decompress.ts';
import { recordingOf, type SessionSummary, type Who } from '../read/sessions.ts';
import { compileMatcher } from './matcher.ts';
import { SearchThread, type SearchDone, type SearchRequest } from './search-thread.ts';
import type { SearchKind, SearchMatch } from './session-search.ts';

export type SearchItem =
  | {
      readonly kind: 'match';
      readonly session: string;
      readonly target: string;
      readonly principal: Who;
      readonly task: string | null;
      readonly time: string;
      /** Since `session.opened`. */
      readonly micros: number;
      readonly connection: number;
      /** 0: of none. */
      readonly command: number;
      readonly where: SearchKind;
      /** The line in pieces; those at odd places are matches. */
      readonly line: readonly string[];
      readonly before: readonly string[];
      readonly after: readonly string[];
    }
  /** Segments of the session that are not there: erased, or lost. `verify` knows which. */
  | { readonly kind: 'missing'; readonly session: string; readonly segments: number }
  /** The rest of the session's recording cannot be read. */
  | { readonly kind: 'unreadable'; readonly session: string; readonly code: string }
  | ({ readonly kind: 'progress' } & SearchCounts)
  /** The last one. `complete` is false where `limit` ended the search. */
  | ({ readonly kind: 'end'; readonly matches: number; readonly complete: boolean } & SearchCounts);

export interface SearchCounts {
  readonly sessions: number;
  readonly ofSessions: number;
  /** Before compression. */
  readonly rawBytes: number;
  readonly ofRawBytes: number;
}

export interface SearchOptions extends SearchRequest {
  /** The evidence directory. */
  readonly directory: string;
  /** Where segments are read that are not in it. */
  readonly elsewhere?: Location;
  /** Matching lines, at most. */
  readonly limit: number;
  readonly threads: number;
  /** Ends the search. */
  readonly signal: AbortSignal;
}

/** Sessions whose finds may wait for those before them. */
const mostAhead = 64;

/**
 * Finds in the order of the sessions, in each in the order of time as far as one segment tells it. A consumer that ends early ends the
 * threads.
 * @param sessions those that the reader may read
 * @throws EvidenceError `search-pattern-invalid`; why `signal` aborted
 */
export async function* searchSessions(
  sessions: readonly SessionSummary[],
  range: Pick<EventFilter, 'from' | 'to'>,
  options: SearchOptions,
): AsyncGenerator<SearchItem> {
  compileMatcher(options);
  const { signal } = options;
  signal.throwIfAborted();
  const search = new Search(sessions, range, options);
  const stop = (): void => search.fail(signal.reason);
  signal.addEventListener('abort', stop);
  try {
    yield* search.items();
  } finally {
    signal.removeEventListener('abort', stop);
    await search.end();
  }
}

interface Task {
  readonly session: SessionSummary;
  readonly finds: { readonly matches: readonly SearchMatch[]; readonly taken: () => void }[];
  done: SearchDone | null;
}

class Search {
  readonly #sessions: readonly SessionSummary[];
  readonly #range: Pick<EventFilter, 'from' | 'to'>;
  readonly #options: SearchOptions;
  readonly #idle: SearchThread[];
  readonly #threads: readonly SearchThread[];
  /** In order of the sessions, from the one that is being told on. */
  readonly #tasks: Task[] = [];
  #started = 0;
  #done = 0;
  #rawBytes = 0;
  #failure: { readonly error: unknown } | null = null;
  #news = Promise.withResolvers<void>();

  constructor(
    sessions: readonly SessionSummary[],
    range: Pick<EventFilter, 'from' | 'to'>,
    options: SearchOptions,
  ) {
    this.#sessions = sessions;
    this.#range = range;
    this.#options = options;
    const { priority, text, regex, ignoreCase, kinds, context } = options;
    const request = { priority, text, regex, ignoreCase, kinds, context };
    const count = Math.min(options.threads, sessions.length);
    this.#threads = Array.from({ length: count }, () => new SearchThread(request));
    this.#idle = [...this.#threads];
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#news.resolve();
  }

  async end(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }

  async *items(): AsyncGenerator<SearchItem> {
    let left = this.#options.limit;
    let toldBytes = 0;
    this.#startNext();
    while (this.#tasks.length > 0) {
      if (this.#failure !== null) throw this.#failure.error;
      const task = this.#tasks[0]!;
      const find = task.finds.shift();
      if (find !== undefined) {
        for (const match of find.matches.slice(0, left)) yield itemOf(task.session, match);
        left -= Math.min(left, find.matches.length);
        if (left === 0) break;
        find.taken();
      } else if (task.done !== null) {
        yield* ending(task.session, task.done);
        this.#tasks.shift();
        this.#startNext();
      } else {
        if (this.#rawBytes !== toldBytes) yield { kind: 'progress', ...this.#counts() };
        toldBytes = this.#rawBytes;
        await this.#news.promise;
        this.#news = Promise.withResolvers();
      }
    }
    const matches = this.#options.limit - left;
    yield { kind: 'end', matches, complete: this.#tasks.length === 0, ...this.#counts() };
  }

  #counts(): SearchCounts {
    return {
      sessions: this.#done,
      ofSessions: this.#sessions.length,
      rawBytes: this.#rawBytes,
      ofRawBytes: this.#sessions.reduce((sum, { totals }) => sum + totals.rawBytes, 0),
    };
  }

  #startNext(): void {
    while (this.#idle.length > 0 && this.#started < this.#sessions.length && this.#tasks.length < mostAhead) {
      const thread = this.#idle.pop()!;
      const session = this.#sessions[this.#started++]!;
      const task: Task = { session, finds: [], done: null };
      this.#tasks.push(task);
      this.#run(thread, task);
    }
  }

  #run(thread: SearchThread, task: Task): void {
    const { session } = task;
    const openedMs = Date.parse(session.openedAt);
    const { from, to } = this.#range;
    const job = {
      directory: recordingOf(this.#options.directory, session),
      segments: session.totals.segments,
      elsewhere: this.#options.elsewhere !== undefined && session.closedAt !== null,
      fromMicros: from === undefined ? 0 : (Date.parse(from) - openedMs) * 1000,
      toMicros: to === undefined ? Infinity : (Date.parse(to) - openedMs) * 1000,
    };
    thread.start(job, {
      read: (rawBytes) => {
        this.#rawBytes += rawBytes;
        this.#news.resolve();
      },
      found: (matches, taken) => {
        task.finds.push({ matches, taken });
        this.#news.resolve();
      },
      done: (done) => {
        task.done = done;
        this.#done++;
        this.#idle.push(thread);
        this.#startNext();
        this.#news.resolve();
      },
      failed: (error) => this.fail(error),
      wanted: (segment) => this.#elsewhere(session, segment),
    });
  }

  /** As it is stored; null when it is nowhere. */
  async #elsewhere(session: SessionSummary, segment: number): Promise<Buffer | null> {
    const { elsewhere } = this.#options;
    if (elsewhere === undefined) return null;
    return readIfThere(within(recordingOf(elsewhere, session), sealedName(segment)), largestSegmentBytes);
  }
}

function itemOf(session: SessionSummary, match: SearchMatch): SearchItem {
  const { kind: where, t: micros, ...rest } = match;
  const { session: id, target, principal, task, openedAt } = session;
  const time = new Date(Date.parse(openedAt) + Math.floor(micros / 1000)).toISOString();
  return { kind: 'match', session: id, target, principal, task, time, micros, where, ...rest };
}

function* ending({ session }: SessionSummary, { missing, failure }: SearchDone): Generator<SearchItem> {
  if (missing > 0) yield { kind: 'missing', session, segments: missing };
  if (failure !== null) yield { kind: 'unreadable', session, code: failure };
}
