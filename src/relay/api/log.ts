/**
 * `GET /log/…`: the log as static files, for any client of https://c2sp.org/tlog-tiles. Public, like the origin that it is
 * named after; who may not read entries must not reach this address.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { EvidenceError } from '../../evidence/error.ts';
import { parseTilePath, tilePath } from '../../evidence/log/tile.ts';
import { hasErrno } from '../../errors.ts';

/** @param directory the log's own (`<evidence>/log`) */
export function logRoutes(app: FastifyInstance, directory: string): void {
  app.get('/log/checkpoint', async (_request, reply) => {
    reply.header('cache-control', 'no-cache').type('text/plain; charset=utf-8');
    return send(reply, path.join(directory, 'checkpoint'));
  });
  app.get<{ Params: { '*': string } }>('/log/tile/*', async (request, reply) => {
    // The path is built again from what it said: nothing of the request reaches the file system.
    const tile = parseTilePath(`tile/${request.params['*']}`);
    if (tile === null) throw notFound();
    reply.header('cache-control', 'public, max-age=604800, immutable').type('application/octet-stream');
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
