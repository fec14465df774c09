/**
 * `GET /log/…`: the log as static files (https://c2sp.org/tlog-tiles). Checkpoint and hashes are public: they let anybody
 * witness the log and say nothing about anyone. Entries hold who did what, so they are for readers of evidence, and reading
 * them leaves an entry.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { EvidenceError } from '../../evidence/error.ts';
import { parseTilePath, tilePath } from '../../evidence/log/tile.ts';
import { hasErrno } from '../../errors.ts';
import { RelayError } from '../error.ts';
import type { EvidenceReader, ReadEntries } from './audit.ts';

export interface LogRoutesOptions {
  /** The log's own (`<evidence>/log`). */
  readonly directory: string;
  /** @throws HoopError when the caller is nobody */
  readonly authorizeRead: (request: FastifyRequest) => Promise<EvidenceReader>;
  readonly reads: Pick<ReadEntries, 'appendOncePerMinute'>;
}

export function logRoutes(app: FastifyInstance, { directory, authorizeRead, reads }: LogRoutesOptions): void {
  app.get('/log/checkpoint', async (_request, reply) => {
    reply.header('cache-control', 'no-cache').type('text/plain; charset=utf-8');
    return send(reply, path.join(directory, 'checkpoint'));
  });
  app.get<{ Params: { '*': string } }>('/log/tile/*', async (request, reply) => {
    // The path is built again from what it said: nothing of the request reaches the file system.
    const tile = parseTilePath(`tile/${request.params['*']}`);
    if (tile === null) throw notFound();
    if (tile.level === 'entries') {
      const reader = await authorizeRead(request);
      if (!reader.mayRead(null))
        throw new RelayError('evidence-denied', 'You may not read the entries of this log.');
      await reads.appendOncePerMinute(reader, null);
    }
    const scope = tile.level === 'entries' ? 'private' : 'public';
    reply.header('cache-control', `${scope}, max-age=604800, immutable`).type('application/octet-stream');
    return send(reply, path.join(directory, tilePath(tile.level, tile.n, tile.width)));
  });
}

const notFound = (): EvidenceError => new EvidenceError('evidence-not-found', 'The log has no such file.');

async function send(reply: FastifyReply, file: string): Promise<FastifyReply> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    reply.removeHeader('cache-control');
    throw notFound();
  }
  return reply.send(bytes);
}
