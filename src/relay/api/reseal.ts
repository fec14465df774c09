/** Sealing originals to other auditors over HTTP (`wire/reseal.ts`). */
import { hash } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { actorOf } from '../../evidence/entry.ts';
import { ResealBody, resealBodyBytes } from '../../wire/reseal.ts';
import { RelayError } from '../error.ts';
import type { Resealing } from '../retention/resealing.ts';
import { denied, one, parseWith } from './audit.ts';
import type { Auditor } from './evidence-readers.ts';

export interface ResealRoutesOptions {
  /** The evidence directory. */
  readonly directory: string;
  /** @throws HoopError when the caller is nobody */
  readonly authorize: (request: FastifyRequest) => Promise<Auditor>;
  readonly resealing: Pick<Resealing, 'replace'>;
}

interface OfSegment {
  Params: { id: string; segment: string };
}

export function resealRoutes(
  app: FastifyInstance,
  { directory, authorize, resealing }: ResealRoutesOptions,
): void {
  const callers = new WeakMap<FastifyRequest, Auditor>();
  // Nobody's megabytes are read.
  const onRequest = async (request: FastifyRequest) => void callers.set(request, await authorize(request));

  app.post<OfSegment>(
    '/v1/audit/sessions/:id/originals/:segment',
    { bodyLimit: resealBodyBytes, onRequest },
    async (request, reply) => {
      const auditor = callers.get(request)!;
      const body = parseWith(ResealBody, request.body);
      const [, session] = await one({ directory, authorizeRead: async () => auditor }, request);
      if (!auditor.mayReseal(session)) throw denied(auditor);
      const { segment, from, to, recipients, ...claims } = await auditor.signedReseal(body.request);
      const age = Buffer.from(body.age, 'base64');
      if (
        claims.session !== session.session ||
        String(segment) !== request.params.segment ||
        to !== hash('sha256', age, 'hex')
      )
        throw new RelayError('request-invalid', 'The signed request is for something else than the call.');
      await resealing.replace(
        {
          kind: 'originals.resealed',
          actor: actorOf(auditor.principal),
          session: session.session,
          segment,
          from,
          to,
          recipients,
          login: auditor.login,
          request: body.request,
        },
        age,
      );
      return reply.code(204).send();
    },
  );
}
