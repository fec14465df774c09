/** Where audit commands read: a relay, or a directory (a relay's own, or an export) without any relay. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { Readable } from 'node:stream';
import type { z } from 'zod';
import { EvidenceClient, type EvidenceAccount, type EvidenceCall } from '../../agent/evidence-client.ts';
import type { Account } from '../../agent/account.ts';
import { keepSignedIn } from '../../agent/keep-signed-in.ts';
import { hasErrno, HoopError } from '../../errors.ts';
import { readEventBatches } from '../../evidence/read/events.ts';
import { followLeaves, LeafReader } from '../../evidence/read/leaf-events.ts';
import { followEvents } from '../../evidence/read/follow.ts';
import { readSealed } from '../../evidence/read/originals.ts';
import { readSessions, recordingOf } from '../../evidence/read/sessions.ts';
import { readChannels } from '../../evidence/read/channels.ts';
import { followStreams, readStreams } from '../../evidence/read/streams.ts';
import { followTranscript, readTranscript } from '../../evidence/read/transcript.ts';
import { searchSessions } from '../../evidence/search/search.ts';
import type { Location } from '../../evidence/location.ts';
import { readIfThere } from '../../evidence/regular-file.ts';
import { isSessionId } from '../../model/ids.ts';
import { askedInSearch, SearchView, type SearchQuery } from '../../wire/search.ts';
import {
  askedFor,
  ChannelList,
  ChannelView,
  EventView,
  indexesIn,
  LeafView,
  type OriginalsQuery,
  SealedSegmentView,
  SessionList,
  SessionSummaryView,
  StreamView,
  TranscriptView,
  type AuditQuery,
  type ReadAction,
} from '../../wire/audit.ts';
import { visible } from '../colour.ts';

export type AuditErrorCode =
  | 'identity-invalid' // a file that should hold age identities does not
  | 'identity-exists'
  | 'recipient-invalid' // no X25519 recipient of age
  | 'session-not-recorded'
  | 'channel-not-recorded' // a server's session has no such channel, or none that can be shown
  | 'task-not-recorded'
  | 'audit-line-invalid'
  | 'vkey-unknown'
  | 'export-exists'
  | 'evidence-unreadable';

export class AuditError extends HoopError<AuditErrorCode> {}

/** A directory that the person named. @throws AuditError `evidence-unreadable` */
export async function namedDirectory(name: string): Promise<string> {
  const status = await stat(name).catch((cause: unknown) => {
    throw new AuditError('evidence-unreadable', `${name} cannot be read`, { cause });
  });
  if (status.isDirectory()) return name;
  throw new AuditError('evidence-unreadable', `${name} is not a directory`);
}

/** A directory, or a bundle, that the person named. @throws AuditError `evidence-unreadable` */
export const namedEvidence = async (name: string): Promise<string> =>
  (await isBundle(name)) ? name : namedDirectory(name);

/** By its name or, when it was given another, by its first bytes. */
export async function isBundle(name: string): Promise<boolean> {
  const status = await stat(name).catch(() => null);
  if (status?.isFile() !== true) return false;
  const start = await readIfThere(name, 3);
  return name.endsWith('.zip') || start?.toString('latin1') === 'PK\u0003\u0004';
}

/** A file that the person named. @throws AuditError `evidence-unreadable` */
export const namedFile = (name: string): Promise<Buffer> =>
  readFile(name).catch((cause: unknown) => {
    throw new AuditError('evidence-unreadable', `${name} cannot be read`, { cause });
  });

/** A file of the record's content: nobody else's to read, and never over another. @throws AuditError `export-exists` */
export async function writeNew(file: string, content: string): Promise<void> {
  await writeFile(file, content, { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
    if (!hasErrno(error, 'EEXIST')) throw error;
    throw new AuditError('export-exists', `${file} exists already`, { hint: 'name a new file' });
  });
}

export interface AuditSource {
  sessions(query: AuditQuery): Promise<SessionSummaryView[]>;
  session(id: string): Promise<SessionSummaryView>;
  /** Some at a time. */
  events(query: AuditQuery): AsyncIterable<readonly EventView[]>;
  /** From now on, until `signal`. A null says that it has begun, and later that nothing happens. */
  tail(query: AuditQuery, signal: AbortSignal): AsyncIterable<EventView | null>;
  /** By the log's own order, from this leaf on, until `signal`. A null says that there is nothing more for now. */
  leaves(query: AuditQuery, next: number, signal: AbortSignal): AsyncIterable<LeafView | null>;
  transcript(session: SessionSummaryView): AsyncIterable<TranscriptView>;
  /** The same as it goes on, until the session ends, or `signal`. A null says that nothing happens. */
  followed(session: SessionSummaryView, signal: AbortSignal): AsyncIterable<TranscriptView | null>;
  /** Of a server's session. */
  channels(session: SessionSummaryView): Promise<readonly ChannelView[]>;
  /** What passed through them. */
  streams(session: SessionSummaryView, choice: StreamsChoice): AsyncIterable<StreamView>;
  /** The same as it goes on, until the session ends, or `signal`; without a channel one after another. */
  followedStreams(
    session: SessionSummaryView,
    choice: StreamsChoice,
    signal: AbortSignal,
  ): AsyncIterable<StreamView | null>;
  /** The last item is the `end`. */
  search(query: SearchQuery, signal: AbortSignal): AsyncIterable<SearchView>;
  /** What of the choice the session masked, still sealed. */
  originals(session: SessionSummaryView, choice?: OriginalsQuery): AsyncIterable<SealedSegmentView>;
}

export interface StreamsChoice {
  /** Null: all. */
  readonly channel: number | null;
  /** What was sent to the programs, too. */
  readonly input: boolean;
}

const tailIntervalMs = 250;

/** Evidence that lies here. */
export class LocalSource implements AuditSource {
  readonly #evidence: Location;
  readonly #name: string;

  /**
   * @param evidence holds `log/` and `recordings/`
   * @param name as the person knows it
   */
  constructor(evidence: Location, name: string) {
    this.#evidence = evidence;
    this.#name = name;
  }

  /** What grows, and what threads of their own read. @throws AuditError `evidence-unreadable` */
  get #directory(): string {
    if (typeof this.#evidence === 'string') return this.#evidence;
    throw new AuditError('evidence-unreadable', `${this.#name} is one file: this needs a directory`, {
      hint: `unzip ${this.#name} -d DIR`,
    });
  }

  async sessions(query: AuditQuery): Promise<SessionSummaryView[]> {
    return (await readSessions(this.#evidence, query)).map((session) => SessionSummaryView.parse(session));
  }

  async session(id: string): Promise<SessionSummaryView> {
    const [found] = await this.sessions({ session: id });
    if (found !== undefined) return found;
    throw new AuditError('session-not-recorded', `there is no session ${id} in ${this.#name}`, {
      hint: 'list them: hoop audit sessions --dir DIR',
    });
  }

  async *events(query: AuditQuery): AsyncGenerator<readonly EventView[]> {
    for await (const events of readEventBatches(this.#evidence, query)) yield events.map(view);
  }

  async *tail(query: AuditQuery, signal: AbortSignal): AsyncGenerator<EventView | null> {
    for await (const event of followEvents(this.#directory, query, untilNews(signal)))
      yield event === null ? null : view(event);
  }

  async *leaves(query: AuditQuery, next: number, signal: AbortSignal): AsyncGenerator<LeafView | null> {
    const reader = new LeafReader(this.#directory, query, next);
    for await (const leaf of followLeaves(reader, untilNews(signal)))
      yield leaf === null ? null : LeafView.parse(leaf);
  }

  async *transcript(session: SessionSummaryView): AsyncGenerator<TranscriptView> {
    for await (const item of readTranscript(recordingOf(this.#evidence, session)))
      yield TranscriptView.parse(item);
  }

  async *followed(session: SessionSummaryView, signal: AbortSignal): AsyncGenerator<TranscriptView | null> {
    for await (const item of followTranscript(this.#directory, session, untilNews(signal)))
      yield item === null ? null : TranscriptView.parse(item);
  }

  async channels(session: SessionSummaryView): Promise<ChannelView[]> {
    const channels = await readChannels(recordingOf(this.#evidence, session));
    return channels.map((channel) => ChannelView.parse(channel));
  }

  async *streams(session: SessionSummaryView, choice: StreamsChoice): AsyncGenerator<StreamView> {
    for await (const item of readStreams(recordingOf(this.#evidence, session), choice))
      yield StreamView.parse(item);
  }

  async *followedStreams(
    session: SessionSummaryView,
    choice: StreamsChoice,
    signal: AbortSignal,
  ): AsyncGenerator<StreamView | null> {
    const followed = { evidence: this.#directory, session, ...choice };
    for await (const item of followStreams(followed, untilNews(signal)))
      yield item === null ? null : StreamView.parse(item);
  }

  async *search(query: SearchQuery, signal: AbortSignal): AsyncGenerator<SearchView> {
    const { from, to, person, target, task, session, ...pattern } = query;
    const sessions = await readSessions(this.#evidence, { from, to, person, target, task, session });
    const threads = availableParallelism();
    const options = { ...pattern, directory: this.#directory, priority: 'normal' as const, threads, signal };
    for await (const item of searchSessions(sessions, { from, to }, options)) yield SearchView.parse(item);
  }

  async *originals(
    session: SessionSummaryView,
    query: OriginalsQuery = {},
  ): AsyncGenerator<SealedSegmentView> {
    const choice = { ...query, indexes: indexesIn(query) };
    for await (const sealed of readSealed(recordingOf(this.#evidence, session), choice))
      yield SealedSegmentView.parse(sealed);
  }
}

export class RelaySource implements AuditSource {
  readonly #evidence: EvidenceClient;
  readonly #keepSignedIn: () => () => void;

  /** @param keep renews the sign-in until what it returns is called: the relay ends what it tells somebody who is not signed in */
  constructor(account: EvidenceAccount, keep: () => () => void) {
    this.#evidence = new EvidenceClient(account);
    this.#keepSignedIn = keep;
  }

  /** @param tell hears when the sign-in cannot be renewed any more */
  static of(account: Account, tell: (line: string) => void): RelaySource {
    return new RelaySource(account, () => keepSignedIn(account.signIn, tell));
  }

  async sessions(query: AuditQuery): Promise<SessionSummaryView[]> {
    return (await this.#evidence.get(call('sessions', '/v1/audit/sessions', query), SessionList)).sessions;
  }

  async session(id: string): Promise<SessionSummaryView> {
    if (isSessionId(id)) return this.#evidence.get(ofSession('show', id, ''), SessionSummaryView);
    throw new AuditError('session-not-recorded', `${visible(id)} is no id of a session`, {
      hint: 'list them: hoop audit sessions',
    });
  }

  events(query: AuditQuery): AsyncGenerator<readonly EventView[]> {
    return this.#batches(call('export', '/v1/audit/events', query), EventView);
  }

  tail(query: AuditQuery, signal: AbortSignal): AsyncGenerator<EventView | null> {
    return this.#live(call('tail', '/v1/audit/tail', query), EventView, signal);
  }

  leaves(query: AuditQuery, next: number, signal: AbortSignal): AsyncGenerator<LeafView | null> {
    const more = { ...query, next: String(next) };
    const asked: EvidenceCall = {
      path: `/v1/audit/stream${search(more)}`,
      action: 'tail',
      asked: askedFor(query, { next }),
    };
    return this.#live(asked, LeafView, signal);
  }

  transcript({ session }: SessionSummaryView): AsyncGenerator<TranscriptView> {
    return this.#lines(ofSession('replay', session, '/transcript'), TranscriptView);
  }

  followed({ session }: SessionSummaryView, signal: AbortSignal): AsyncGenerator<TranscriptView | null> {
    return this.#live(
      ofSession('replay', session, '/transcript', { follow: 'true' }),
      TranscriptView,
      signal,
    );
  }

  async channels({ session }: SessionSummaryView): Promise<ChannelView[]> {
    return (await this.#evidence.get(ofSession('show', session, '/channels'), ChannelList)).channels;
  }

  streams({ session }: SessionSummaryView, choice: StreamsChoice): AsyncGenerator<StreamView> {
    return this.#lines(ofSession('replay', session, '/streams', chosen(choice)), StreamView);
  }

  followedStreams(
    { session }: SessionSummaryView,
    choice: StreamsChoice,
    signal: AbortSignal,
  ): AsyncGenerator<StreamView | null> {
    const more = { ...chosen(choice), follow: 'true' };
    return this.#live(ofSession('replay', session, '/streams', more), StreamView, signal);
  }

  async *search(query: SearchQuery, signal: AbortSignal): AsyncGenerator<SearchView> {
    const asked = askedInSearch(query);
    let ended = false;
    for await (const item of this.#lines(
      { path: '/v1/audit/search', action: 'search', asked, body: query },
      SearchView,
      signal,
    )) {
      ended = item.kind === 'end';
      yield item;
    }
    if (!ended) throw cut();
  }

  originals({ session }: SessionSummaryView, query: OriginalsQuery = {}): AsyncGenerator<SealedSegmentView> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const more = Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
    return this.#lines(ofSession('unseal', session, '/originals', more), SealedSegmentView);
  }

  /** An empty line is a null. */
  async *#live<T>(asked: EvidenceCall, schema: z.ZodType<T>, signal: AbortSignal): AsyncGenerator<T | null> {
    const stopRenewal = this.#keepSignedIn();
    try {
      yield* this.#lines(asked, schema.nullable(), signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      stopRenewal();
    }
  }

  async *#lines<T>(asked: EvidenceCall, schema: z.ZodType<T>, signal?: AbortSignal): AsyncGenerator<T> {
    for await (const values of this.#batches(asked, schema, signal)) yield* values;
  }

  /** What came together. */
  async *#batches<T>(
    asked: EvidenceCall,
    schema: z.ZodType<T>,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly T[]> {
    const body = await this.#evidence.stream(asked, signal);
    for await (const lines of textLines(body))
      yield lines.map((line) => parseLine(line === '' ? 'null' : line, schema));
  }
}

const call = (action: ReadAction, path: string, query: AuditQuery): EvidenceCall => ({
  path: `${path}${search(query)}`,
  action,
  asked: askedFor(query),
});

/** @param more parameters of this call alone */
const ofSession = (
  action: ReadAction,
  session: string,
  below: string,
  more: Readonly<Record<string, string>> = {},
): EvidenceCall => ({
  path: `/v1/audit/sessions/${session}${below}${search(more)}`,
  action,
  asked: askedFor({ session }, more),
});

/** @throws AuditError `audit-line-invalid` when the answer was cut: half a history must not pass for a whole one */
async function* textLines(body: Readable): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder();
  let unfinished: string[] = [];
  try {
    for await (const chunk of body) {
      const lines = decoder.decode(chunk as Buffer, { stream: true }).split('\n');
      const last = lines.pop()!;
      if (lines.length > 0) {
        lines[0] = unfinished.join('') + lines[0]!;
        unfinished = [];
        yield lines;
      }
      unfinished.push(last);
    }
  } catch {
    throw cut();
  }
  if (unfinished.join('') !== '') throw cut();
}

/** Fields of the reader's own type, checked like those of a relay. */
const view = (event: unknown): EventView => EventView.parse(event);

/** Resolves after the interval; false once it is enough. */
function untilNews(signal: AbortSignal): () => Promise<boolean> {
  return async () => {
    await new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve(null);
      };
      const timer = setTimeout(done, tailIntervalMs);
      signal.addEventListener('abort', done);
    });
    return !signal.aborted;
  };
}

const cut = (): AuditError =>
  new AuditError('audit-line-invalid', 'the relay ended its answer before its end', { hint: 'try again' });

function parseLine<T>(line: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw cut();
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AuditError('audit-line-invalid', 'the relay sent a line that this version does not know', {
    hint: 'upgrade hoop',
  });
}

const chosen = ({ channel, input }: StreamsChoice): Readonly<Record<string, string>> => ({
  ...(channel !== null && { channel: String(channel) }),
  ...(input && { input: 'true' }),
});

/** `?from=…&person=…`, or nothing. */
function search(query: AuditQuery | Readonly<Record<string, string>>): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}
