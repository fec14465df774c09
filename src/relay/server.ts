/**
 * The relay's one listener: HTTP API, embedded provider, log, health, and the upgrades to WebSockets. Routes are in `api/`;
 * here is what they share: limits, errors as problem documents, the nonce on every answer, what is counted.
 */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { HoopError, hasErrno } from '../errors.ts';
import type { RelayConfig } from './config/config.ts';
import { readSecretFile } from './config/secret-file.ts';
import { RelayError } from './error.ts';
import { sendProblem } from './api/problem.ts';
import type { RelayLogger } from './logging.ts';
import type { RelayMetrics } from './metrics.ts';
import type { UpgradeServer } from './upgrade.ts';

export interface ServerOptions {
  readonly config: RelayConfig;
  readonly logger: RelayLogger;
  readonly metrics: RelayMetrics;
}

/** Headers and body of a request must be here by then; a tunnel is no request any more. */
const requestTimeoutMs = 30_000;

/** A server without routes that does not listen yet. */
export function createServer({ config, logger, metrics }: ServerOptions): FastifyInstance {
  const tls = config.tls && {
    cert: readFileSync(config.tls.certFile),
    key: readSecretFile(config.tls.keyFile, 65_536),
  };
  const app = fastify({
    logger: false,
    bodyLimit: 65_536,
    trustProxy: config.behindProxy === null ? false : [...config.behindProxy.trusted],
    forceCloseConnections: true,
    serverFactory: (handler) => {
      const options = { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs, noDelay: true };
      return tls === null
        ? http.createServer(options, handler)
        : https.createServer({ ...options, ...tls, minVersion: 'TLSv1.2' }, handler);
    },
  });
  app.setErrorHandler((error, request, reply) => {
    const answered = sendProblem(reply, error);
    if (reply.statusCode >= 500)
      logger.error(
        'request failed',
        { route: request.routeOptions.url ?? '', status: reply.statusCode },
        error,
      );
    if (error instanceof HoopError) metrics.failed(error.code);
    return answered;
  });
  app.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .type('application/problem+json')
      .send({ title: 'There is nothing here.', status: 404, code: 'not-found' }),
  );
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    metrics.requestAnswered(
      { method: request.method, route, status: reply.statusCode },
      reply.elapsedTime / 1000,
    );
  });
  return app;
}

/** Listens, and hands over upgrades. @throws RelayError `relay-bind-failed` */
export async function listen(
  app: FastifyInstance,
  config: RelayConfig,
  upgrades: Pick<UpgradeServer<never>, 'upgrade'>,
): Promise<AddressInfo> {
  app.server.on('upgrade', (request, socket, head) => void upgrades.upgrade(request, socket, head));
  try {
    await app.listen(config.listen);
  } catch (cause) {
    const { host, port } = config.listen;
    throw new RelayError('relay-bind-failed', `The relay cannot listen on ${host}:${port}.`, {
      hint: hasErrno(cause, 'EADDRINUSE')
        ? 'another program has the port: set listen.port'
        : 'see listen in relay.yaml',
      cause,
    });
  }
  return app.server.address() as AddressInfo;
}
