/**
 * `GET /log/…`: the log as static files (https://c2sp.org/tlog-tiles). Checkpoint and hashes are public: they let anybody
 * witness the log and say nothing about anyone. Entries hold who did what, so they are for readers of evidence, and reading
 * them leaves an entry.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { EvidenceError } from '../../evidence/error.ts';
import type { Log } from '../../evidence/log/log.ts';
import { parseTilePath, tilePath } from '../../evidence/log/tile.ts';
import { hasErrno } from '../../errors.ts';
import { RelayError, StepUpRequired } from '../error.ts';
import type { EvidenceReader, ReadEntries } from './audit.ts';

export interface LogRoutesOptions {
  /** The log's own (`<evidence>/log`). */
  readonly directory: string;
  /** @throws HoopError when the caller is nobody */
  readonly authorizeRead: (request: FastifyRequest) => Promise<EvidenceReader>;
  readonly reads: Pick<ReadEntries, 'appendOncePerMinute'>;
  readonly log: Pick<Log, 'covered'>;
}

/** A key that signs slowly, or not at all, keeps nobody from the checkpoint before. */
const longestWaitMs = 3000;

export function logRoutes(
  app: FastifyInstance,
  { directory, authorizeRead, reads, log }: LogRoutesOptions,
): void {
  // Whoever asks after something happened finds it under the checkpoint. The next one is waited for and none is made for
  // it, so that nobody can make the relay sign.
  app.get('/log/checkpoint', async (_request, reply) => {
    await log.covered(AbortSignal.timeout(longestWaitMs));
    reply.header('cache-control', 'no-cache').type('text/plain; charset=utf-8');
    return send(reply, path.join(directory, 'checkpoint'));
  });
  // How the log's key was handed over, and what witnesses said: proofs for everybody, which name nobody.
  for (const folder of ['handover', 'witnessed'])
    app.get<{ Params: { name: string } }>(`/log/${folder}/:name`, async (request, reply) => {
      const { name } = request.params;
      if (!isDigest(name)) throw notFound();
      reply.header('cache-control', 'no-cache').type('text/plain; charset=utf-8');
      return send(reply, path.join(directory, folder, name));
    });
  app.get('/log/witnessed', async (_request, reply) => {
    const found = await readdir(path.join(directory, 'witnessed')).catch(() => []);
    const lines = found.filter(isDigest).map((name) => `${name}\n`);
    return reply.header('cache-control', 'no-cache').type('text/plain; charset=utf-8').send(lines.join(''));
  });
  app.get<{ Params: { '*': string } }>('/log/tile/*', async (request, reply) => {
    // The path is built again from what it said: nothing of the request reaches the file system.
    const tile = parseTilePath(`tile/${request.params['*']}`);
    if (tile === null) throw notFound();
    if (tile.level === 'entries') {
      const reader = await authorizeRead(request);
      if (!reader.mayRead(null)) throw denied(reader);
      await reads.appendOncePerMinute(reader, null);
    }
    const scope = tile.level === 'entries' ? 'private' : 'public';
    reply.header('cache-control', `${scope}, max-age=604800, immutable`).type('application/octet-stream');
    return send(reply, path.join(directory, tilePath(tile.level, tile.n, tile.width)));
  });
}

const isDigest = (name: string): boolean => /^[0-9a-f]{64}$/.test(name);

const denied = ({ stepUp }: EvidenceReader): RelayError =>
  stepUp === null
    ? new RelayError('evidence-denied', 'You may not read the entries of this log.')
    : new StepUpRequired('To read the entries of this log', stepUp);

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
