/** The embedded provider as a fastify plugin: `app.register(mountProvider(provider))`. */
import type { FastifyPluginAsync } from 'fastify';
import type { EmbeddedProvider } from './provider.ts';

/** Registers the provider's paths. It reads bodies itself and answers on the raw response; the relay's hooks end here. */
export function mountProvider(provider: EmbeddedProvider): FastifyPluginAsync {
  const base = new URL(provider.issuer).pathname;
  return async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request, _payload, done) => done(null));
    app.route({
      method: ['GET', 'POST'],
      url: `${base}/*`,
      handler: async (request, reply) => {
        reply.hijack();
        await provider.handle(request.raw, reply.raw, request.ip);
      },
    });
  };
}
