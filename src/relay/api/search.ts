/**
 * Searching recordings over HTTP (`wire/search.ts`). Each search has one thread of the lowest priority, so that it gives way to
 * everything that the relay forwards; a caller that hangs up ends it.
 */
import type { FastifyInstance } from 'fastify';
import { readSessions } from '../../evidence/read/sessions.ts';
import { compileMatcher } from '../../evidence/search/matcher.ts';
import { searchSessions, type SearchItem } from '../../evidence/search/search.ts';
import { searchAsked, SearchQuery } from '../../wire/search.ts';
import { RelayError } from '../error.ts';
import { denied, parseWith, sendLines, type AuditRoutesOptions } from './audit.ts';

/** Each reads and decompresses as fast as the machine lets it. */
const mostSearches = 2;
/** Of lines about how far it is. */
const progressMs = 500;

export function searchRoutes(
  app: FastifyInstance,
  {
    directory,
    local,
    authorizeRead,
    reads,
  }: Pick<AuditRoutesOptions, 'directory' | 'authorizeRead' | 'reads'> & {
    /** The evidence directory of this machine: threads read there what is there. */
    readonly local: string;
  },
): void {
  let running = 0;

  app.post('/v1/audit/search', async (request, reply) => {
    // The end of the answer, or of a caller who does not wait for it; heard from the beginning on.
    const over = new AbortController();
    reply.raw.once('close', () => over.abort());
    const { signal } = over;
    const reader = await authorizeRead(request);
    const query = parseWith(SearchQuery, request.body);
    const { from, to, person, target, task, session, ...pattern } = query;
    compileMatcher(pattern);
    const all = await readSessions(directory, { from, to, person, target, task, session });
    const sessions = reader.mayRead(null) ? all : all.filter((each) => reader.mayRead(each));
    if (sessions.length === 0 && !reader.mayRead(null)) throw denied(reader);
    if (running >= mostSearches)
      throw new RelayError('relay-overloaded', 'Too many searches are running.', { hint: 'try again later' });
    signal.throwIfAborted();
    running++;
    signal.addEventListener('abort', () => running--, { once: true });
    await reads.append(reader, 'search', ...searchAsked(query));
    const options = {
      ...pattern,
      directory: local,
      elsewhere: directory,
      priority: 'low' as const,
      threads: 1,
      signal,
    };
    return sendLines(reply, withFewProgress(searchSessions(sessions, { from, to }, options)));
  });
}

async function* withFewProgress(items: AsyncIterable<SearchItem>): AsyncGenerator<SearchItem> {
  let toldAt = -Infinity;
  for await (const item of items) {
    if (item.kind === 'progress') {
      if (performance.now() - toldAt < progressMs) continue;
      toldAt = performance.now();
    }
    yield item;
  }
}
