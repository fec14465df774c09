/**
 * Reading evidence over HTTP (`wire/audit.ts`). Reading is itself evidence: the entry that says who reads what is durable
 * before the first byte is sent. Answers stream; a caller that hangs up ends the reading.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { z } from 'zod';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { actorOf, type NewEntry } from '../../evidence/entry.ts';
import { formatStatement } from '../../evidence/bundle/manifest.ts';
import { EvidenceError } from '../../evidence/error.ts';
import { within, type Location } from '../../evidence/location.ts';
import { readIfThere } from '../../evidence/regular-file.ts';
import { format } from '../../evidence/export/formats.ts';
import { readEventBatches } from '../../evidence/read/events.ts';
import { readChannels } from '../../evidence/read/channels.ts';
import { evidenceFiles, parseEvidencePath } from '../../evidence/read/files.ts';
import { publishedSize } from '../../evidence/log/read.ts';
import { followLeaves, LeafReader } from '../../evidence/read/leaf-events.ts';
import { followEvents } from '../../evidence/read/follow.ts';
import { readSealed } from '../../evidence/read/originals.ts';
import { readSessions, recordingOf, type SessionSummary } from '../../evidence/read/sessions.ts';
import { followStreams, readStreams } from '../../evidence/read/streams.ts';
import { followTranscript, readTranscript } from '../../evidence/read/transcript.ts';
import type { StepUp } from '../../model/authentication.ts';
import type { Principal } from '../../model/principal.ts';
import { hasErrno } from '../../errors.ts';
import type { LoginId } from '../../model/ids.ts';
import {
  askedFor,
  AuditQuery,
  indexesIn,
  StreamQuery,
  ManifestQuery,
  OriginalsQuery,
  StreamsQuery,
  TranscriptQuery,
  type AskedFor,
  type ReadAction,
} from '../../wire/audit.ts';
import { RelayError, StepUpRequired } from '../error.ts';

/** Somebody who was authenticated, and what policy lets them read. */
export interface EvidenceReader {
  readonly principal: Principal;
  readonly login: LoginId;
  /**
   * The request that the reader's key signed, once it is proven to ask for exactly this; used up by it.
   * @throws IdentityError `signed-request-…`; RelayError `request-invalid` when it asks for something else
   */
  signed(action: ReadAction, asked: AskedFor): Promise<string>;
  /** One session's record; with null: everything. */
  mayRead(session: SessionSummary | null): boolean;
  /** Whether the sign-in still counts: asked while an answer goes on. */
  isSignedIn(): Promise<boolean>;
  /** The sealed originals of what the session masked. */
  mayUnseal(session: SessionSummary): boolean;
  /** When the last answer was no: what a fresh sign-in has to bring for a yes; null when none would. */
  readonly stepUp: StepUp | null;
}

export interface AuditRoutesOptions {
  /** The evidence directory, or what stands for it. */
  readonly directory: Location;
  /** @throws HoopError when the caller is nobody */
  readonly authorizeRead: (request: FastifyRequest) => Promise<EvidenceReader>;
  readonly reads: ReadEntries;
  /** The log's key: signs whose export a bundle is. */
  readonly signer: { readonly name: string; sign(text: string): string | Promise<string> };
  /** How often a live reader looks for news. Default 250 ms. */
  readonly tailIntervalMs?: number;
  /** How often it is asked whether its reader may go on. Default 2 s. */
  readonly askAgainMs?: number;
}

const defaultAskAgainMs = 2000;

interface ById {
  Params: { id: string };
}

export function auditRoutes(app: FastifyInstance, options: AuditRoutesOptions): void {
  const { directory, authorizeRead, reads } = options;
  /** @throws RelayError `evidence-denied` once the reader may not read this any more (as rejections) */
  const untilNews = (reply: FastifyReply, reader: EvidenceReader, session: SessionSummary | null) => {
    const wait = untilHungUp(reply, options.tailIntervalMs ?? 250);
    let askedAt = performance.now();
    return async (): Promise<boolean> => {
      if (!(await wait())) return false;
      if (performance.now() - askedAt < (options.askAgainMs ?? defaultAskAgainMs)) return true;
      askedAt = performance.now();
      if (reader.mayRead(session) && (await reader.isSignedIn())) return true;
      throw denied(reader);
    };
  };

  app.get('/v1/audit/sessions', async (request) => {
    const reader = await authorizeRead(request);
    const query = parseQuery(request.query);
    const all = await readSessions(directory, query);
    const sessions = reader.mayRead(null) ? all : all.filter((session) => reader.mayRead(session));
    if (sessions.length === 0 && !reader.mayRead(null)) throw denied(reader);
    await reads.append(reader, 'sessions', query);
    return { sessions };
  });

  app.get<ById>('/v1/audit/sessions/:id', async (request) => {
    const [reader, session] = await one(options, request);
    await reads.append(reader, 'show', { session: session.session });
    return session;
  });

  app.get<ById>('/v1/audit/sessions/:id/transcript', async (request, reply) => {
    const query = parseWith(TranscriptQuery, request.query);
    const [reader, session] = await one(options, request);
    await reads.append(reader, 'replay', { session: session.session }, query);
    if (query.follow === undefined) return sendLines(reply, readTranscript(recordingOf(directory, session)));
    return sendText(
      reply,
      liveLines(followTranscript(directory, session, untilNews(reply, reader, session))),
    );
  });

  app.get<ById>('/v1/audit/sessions/:id/channels', async (request) => {
    const [reader, session] = await one(options, request);
    await reads.append(reader, 'show', { session: session.session });
    return { channels: await readChannels(recordingOf(directory, session)) };
  });

  app.get<ById>('/v1/audit/sessions/:id/streams', async (request, reply) => {
    const query = parseWith(StreamsQuery, request.query);
    const [reader, session] = await one(options, request);
    await reads.append(reader, 'replay', { session: session.session }, query);
    const choice = { channel: query.channel ?? null, input: query.input !== undefined };
    if (query.follow === undefined)
      return sendLines(reply, readStreams(recordingOf(directory, session), choice));
    const followed = { evidence: directory, session, ...choice };
    return sendText(reply, liveLines(followStreams(followed, untilNews(reply, reader, session))));
  });

  app.get<ById>('/v1/audit/sessions/:id/originals', async (request, reply) => {
    const query = parseWith(OriginalsQuery, request.query);
    const [reader, session] = await one(options, request);
    if (!reader.mayUnseal(session)) throw denied(reader);
    await reads.append(reader, 'unseal', { session: session.session }, query);
    const choice = { ...query, indexes: indexesIn(query) };
    return sendLines(reply, readSealed(recordingOf(directory, session), choice));
  });

  app.get('/v1/audit/events', async (request, reply) => {
    const [reader, query] = await range(options, request);
    await reads.append(reader, 'export', query);
    return sendText(reply, format(readEventBatches(directory, query), 'jsonl'));
  });

  app.get('/v1/audit/manifest', async (request) => {
    const reader = await authorizeRead(request);
    const { manifest, ...query } = parseWith(ManifestQuery, request.query);
    await mayReadRange(options, reader, query);
    const { index } = await reads.append(reader, 'export', query, { manifest });
    const { name } = options.signer;
    return { note: await options.signer.sign(formatStatement(name, { sha256: manifest, entry: index })) };
  });

  app.get('/v1/audit/tail', async (request, reply) => {
    const [reader, query, session] = await range(options, request);
    await reads.append(reader, 'tail', query);
    return sendText(reply, liveLines(followEvents(directory, query, untilNews(reply, reader, session))));
  });

  app.get('/v1/audit/stream', async (request, reply) => {
    const reader = await authorizeRead(request);
    const { next, ...query } = parseWith(StreamQuery, request.query);
    const session = await mayReadRange(options, reader, query);
    if (next > (await publishedSize(within(directory, 'log'))))
      throw new EvidenceError('log-shorter', 'The log has fewer entries than were told before.', {
        hint: 'was it restored from an older copy? Begin with a new cursor',
      });
    await reads.append(reader, 'tail', query, { next });
    const leaves = followLeaves(new LeafReader(directory, query, next), untilNews(reply, reader, session));
    return sendText(reply, liveLines(leaves));
  });

  app.get('/v1/audit/files', async (request, reply) => {
    const [reader, query] = await range(options, request);
    await reads.append(reader, 'files', query);
    if (query.session !== undefined) {
      const only = query.session;
      return sendLines(
        reply,
        evidenceFiles(directory, (session) => session === only, false),
      );
    }
    return sendLines(
      reply,
      evidenceFiles(directory, () => true, true),
    );
  });

  app.get<{ Querystring: { path?: unknown } }>('/v1/audit/file', async (request, reply) => {
    const reader = await authorizeRead(request);
    const file = typeof request.query.path === 'string' ? parseEvidencePath(request.query.path) : null;
    if (file === null) throw notFound();
    if (!reader.mayRead(null)) {
      if (file.session === null) throw denied(reader);
      if (!reader.mayRead(await findSession(directory, file.session))) throw denied(reader);
    }
    await reads.appendOncePerMinute(reader, file.session);
    return sendFile(reply, within(directory, file.path));
  });
}

const parseQuery = (given: unknown): AuditQuery => parseWith(AuditQuery, given);

export function parseWith<T>(schema: z.ZodType<T>, given: unknown): T {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const names = parsed.error.issues.map((issue) => issue.path.join('.') || issue.code).join(', ');
  throw new RelayError('request-invalid', `The filters cannot be read: ${names}.`);
}

export const denied = ({ stepUp }: EvidenceReader): RelayError => {
  if (stepUp !== null) return new StepUpRequired('To read this evidence', stepUp);
  return new RelayError('evidence-denied', 'You may not read this evidence.', {
    hint: 'Reading evidence is the right of a group; ask who keeps the relay’s policy.',
  });
};
const notFound = (): EvidenceError => new EvidenceError('evidence-not-found', 'There is no such evidence.');

/** Everything, or with `session=` one session that the caller may read. */
async function range(
  options: AuditRoutesOptions,
  request: FastifyRequest,
): Promise<[EvidenceReader, AuditQuery, SessionSummary | null]> {
  const reader = await options.authorizeRead(request);
  const query = parseQuery(request.query);
  return [reader, query, await mayReadRange(options, reader, query)];
}

/** @returns what the right is about: one session, or with null everything */
async function mayReadRange(
  { directory }: AuditRoutesOptions,
  reader: EvidenceReader,
  query: AuditQuery,
): Promise<SessionSummary | null> {
  if (reader.mayRead(null)) return null;
  if (query.session === undefined) throw denied(reader);
  const session = await findSession(directory, query.session);
  if (reader.mayRead(session)) return session;
  throw denied(reader);
}

/** A session of somebody else is, to one who may not read it, as if it were not there. */
export async function one(
  { directory, authorizeRead }: Pick<AuditRoutesOptions, 'directory' | 'authorizeRead'>,
  request: FastifyRequest<ById>,
): Promise<[EvidenceReader, SessionSummary]> {
  const reader = await authorizeRead(request);
  const session = await findSession(directory, request.params.id);
  if (!reader.mayRead(session))
    throw reader.stepUp !== null || reader.mayRead(null) ? denied(reader) : notFound();
  return [reader, session];
}

async function findSession(directory: Location, id: string): Promise<SessionSummary> {
  const [session] = await readSessions(directory, { session: id });
  if (session === undefined) throw notFound();
  return session;
}

/** `evidence.read` entries. A read that its reader did not sign is refused, and leaves none. */
export class ReadEntries {
  readonly #append: (entry: NewEntry) => Promise<{ readonly index: number }>;
  /** When a login last fetched files of a session, by both names; bounded. */
  readonly #lately = new Map<string, number>();

  /** @param append resolves when the entry is durable */
  constructor(append: (entry: NewEntry) => Promise<{ readonly index: number }>) {
    this.#append = append;
  }

  /** @returns where the entry is. @throws as `EvidenceReader.signed`, and what `append` throws */
  async append(
    reader: EvidenceReader,
    action: ReadAction,
    query: AuditQuery,
    more: Readonly<Record<string, string | number | boolean | undefined>> = {},
  ): Promise<{ readonly index: number }> {
    const asked = askedFor(query, more);
    return this.#tell(reader, action, asked, await reader.signed(action, asked));
  }

  /** A recording is many files; fetching them is one act of reading. Each fetch is signed all the same. */
  async appendOncePerMinute(reader: EvidenceReader, session: string | null): Promise<void> {
    const asked = session === null ? {} : { session };
    const request = await reader.signed('files', asked);
    const key = JSON.stringify([reader.login, session]);
    const now = performance.now();
    if (now - (this.#lately.get(key) ?? -Infinity) < 60_000) return;
    await this.#tell(reader, 'files', asked, request);
    this.#lately.delete(key);
    this.#lately.set(key, now);
    if (this.#lately.size > 10_000) this.#lately.delete(this.#lately.keys().next().value!);
  }

  async #tell(
    { principal, login }: EvidenceReader,
    action: ReadAction,
    { session, from, to, filters }: AskedFor,
    request: string,
  ): Promise<{ readonly index: number }> {
    return this.#append({
      kind: 'evidence.read',
      actor: actorOf(principal),
      action,
      session: session ?? null,
      from: from ?? null,
      to: to ?? null,
      filters: filters ?? {},
      login,
      request,
    });
  }
}

/** Resolves after the interval while the caller is there; false once they are gone. */
function untilHungUp(reply: FastifyReply, intervalMs: number): () => Promise<boolean> {
  let gone = false;
  let wake: (() => void) | null = null;
  reply.raw.once('close', () => {
    gone = true;
    wake?.();
  });
  return () =>
    new Promise((resolve) => {
      if (gone) return resolve(false);
      const timer = setTimeout(() => resolve(!gone), intervalMs);
      wake = () => {
        clearTimeout(timer);
        resolve(false);
      };
    });
}

async function* lines(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield `${JSON.stringify(value)}\n`;
}

/** An empty line when all there is has been told, and after each while of silence: proxies close what says nothing. */
async function* liveLines(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  let spokeAt = -Infinity;
  let silent = false;
  for await (const value of values) {
    if (value === null && silent && performance.now() - spokeAt < longestSilenceMs) continue;
    silent = value === null;
    spokeAt = performance.now();
    yield value === null ? '\n' : `${JSON.stringify(value)}\n`;
  }
}

const longestSilenceMs = 15_000;

export const sendLines = (reply: FastifyReply, values: AsyncIterable<unknown>): FastifyReply =>
  sendText(reply, lines(values));

function sendText(reply: FastifyReply, text: AsyncIterable<string>): FastifyReply {
  const body = Readable.from(text, { objectMode: false });
  return reply.type('application/jsonl').header('cache-control', 'no-store').send(body);
}

/** One that is not here is held in memory: it is a segment, or what a segment masked. */
const largestFileBytes = 1024 * 1024 * 1024;

async function sendFile(reply: FastifyReply, file: Location): Promise<FastifyReply> {
  if (typeof file !== 'string') {
    const content = await readIfThere(file, largestFileBytes);
    if (content === null) throw notFound();
    return reply.type('application/octet-stream').header('cache-control', 'no-store').send(content);
  }
  try {
    const { size } = await stat(file);
    reply.type('application/octet-stream').header('cache-control', 'no-store').header('content-length', size);
    return await reply.send(createReadStream(file, { end: Math.max(0, size - 1) }));
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) throw notFound();
    throw error;
  }
}
