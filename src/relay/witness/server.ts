/**
 * A witness of its own: `POST /add-checkpoint`, `GET /<origin hash>/checkpoint` (https://c2sp.org/tlog-witness), and
 * `/healthz`. Whoever has a checkpoint that a known log signed may bring it: there is no other sign-in.
 */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { openWitnessKey } from '../../evidence/log/key-file.ts';
import { hasErrno } from '../../errors.ts';
import { systemClock } from '../../system/clock.ts';
import type { DurableFiles } from '../../system/durable-file.ts';
import { readSecretFile } from '../config/secret-file.ts';
import { RelayError } from '../error.ts';
import { addressGroup } from '../idp/rate-limit.ts';
import type { RelayLogger } from '../logging.ts';
import type { WitnessServerConfig } from './config.ts';
import { addCheckpoint } from './judge.ts';
import { RequestRate } from './rate.ts';
import { originHash, WitnessStore } from './store.ts';

export interface RunningWitness {
  readonly vkey: string;
  readonly url: string;
  close(): Promise<void>;
}

/** 63 lines of proof and the longest note. */
const bodyBytes = 72 * 1024;
const requestTimeoutMs = 15_000;

/**
 * @throws WitnessError `witness-locked`, `witness-state-damaged`; EvidenceError `log-key-exposed`, `note-malformed`;
 * RelayError `relay-bind-failed`; PrivateFileError
 */
export async function startWitness(
  config: WitnessServerConfig,
  { logger, files }: { readonly logger: RelayLogger; readonly files?: DurableFiles },
): Promise<RunningWitness> {
  const cosigner = await openWitnessKey(config.keyFile, config.name);
  const store = await WitnessStore.open(config.dataDir, {
    origins: config.logs.keys(),
    own: cosigner.verifier,
    ...(files !== undefined && { files }),
  });
  try {
    const app = createApp(config, logger);
    const judge = { logs: config.logs, cosigner, store, clock: systemClock };
    app.post<{ Body: Buffer | undefined }>('/add-checkpoint', async (request, reply) => {
      const { status, body } = await addCheckpoint(judge, request.body ?? Buffer.alloc(0));
      if (status !== 200) logger.info('not cosigned', { status });
      const type = status === 409 ? 'text/x.tlog.size' : 'text/plain; charset=utf-8';
      // As bytes: the framework would add a charset to the type.
      return reply.code(status).header('content-type', type).send(Buffer.from(body));
    });
    const origins = new Map([...config.logs.keys()].map((origin) => [originHash(origin), origin]));
    app.get<{ Params: { hash: string } }>('/:hash/checkpoint', async (request, reply) => {
      const last = store.last(origins.get(request.params.hash) ?? '');
      if (last === null) return reply.callNotFound();
      return reply.header('cache-control', 'no-cache').type('text/plain; charset=utf-8').send(last.note);
    });
    const { port } = await listen(app, config);
    const { host } = config.listen;
    return {
      vkey: cosigner.verifier.toString(),
      url: `${config.tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
      close: async () => {
        await app.close();
        store.close();
      },
    };
  } catch (error) {
    store.close();
    throw error;
  }
}

function createApp({ tls, trustedProxies }: WitnessServerConfig, logger: RelayLogger): FastifyInstance {
  const secrets = tls && {
    cert: readFileSync(tls.certFile),
    key: readSecretFile(tls.keyFile, 65_536),
  };
  const app = fastify({
    logger: false,
    bodyLimit: bodyBytes,
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    forceCloseConnections: true,
    serverFactory: (handler) => {
      const options = { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs, noDelay: true };
      return secrets === null
        ? http.createServer(options, handler)
        : https.createServer({ ...options, ...secrets, minVersion: 'TLSv1.2' }, handler);
    },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  const rate = new RequestRate(systemClock);
  app.addHook('onRequest', async (request, reply) => {
    if (rate.admits(addressGroup(request.ip))) return;
    await reply
      .code(429)
      .header('retry-after', '1')
      .type('text/plain; charset=utf-8')
      .send('too many requests\n');
  });
  app.setErrorHandler((error, request, reply) => {
    const given = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
    const status = given >= 400 && given < 500 ? given : 500;
    if (status === 500)
      logger.error('request failed', { route: request.routeOptions.url ?? '', status }, error);
    return reply.code(status).type('text/plain; charset=utf-8').send('the request cannot be answered\n');
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).type('text/plain; charset=utf-8').send('there is nothing here\n'),
  );
  app.get('/healthz', (_request, reply) => reply.header('cache-control', 'no-store').send({ status: 'ok' }));
  return app;
}

async function listen(app: FastifyInstance, { listen: at }: WitnessServerConfig): Promise<AddressInfo> {
  try {
    await app.listen(at);
  } catch (cause) {
    throw new RelayError('relay-bind-failed', `The witness cannot listen on ${at.host}:${at.port}.`, {
      hint: hasErrno(cause, 'EADDRINUSE') ? 'another program has the port: set listen.port' : 'see listen',
      cause,
    });
  }
  return app.server.address() as AddressInfo;
}
