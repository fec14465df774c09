/** `GET /.well-known/hoop`: what a CLI needs to know of a relay it has never met. Public. */
import type { FastifyInstance } from 'fastify';
import type { Discovery } from '../../wire/api.ts';

/** @param discovery asked for at each request: the log's key may change */
export function discoveryRoutes(app: FastifyInstance, discovery: () => Discovery): void {
  app.get('/.well-known/hoop', (_request, reply) =>
    reply.header('cache-control', 'max-age=60').send(discovery()),
  );
}
