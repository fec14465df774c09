/** Targets and sessions: list, open, end, kill. The tunnel's upgrade is in `relay/tunnel.ts`. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { actorOf, type NewEntry } from '../../evidence/entry.ts';
import { Authorization } from '../../gate/authorization.ts';
import type { Authenticated } from '../../identity/authenticator.ts';
import type { ReplayCache } from '../../identity/replay.ts';
import { verifySignedRequest } from '../../identity/signed-request.ts';
import { isSessionId, type SessionId } from '../../model/ids.ts';
import { owns } from '../../model/principal.ts';
import type { Decision } from '../../policy/decision.ts';
import type { Policies } from '../../policy/policies.ts';
import type { Clock } from '../../system/clock.ts';
import { SessionKillClaims, SessionOpenClaims, SignedRequest } from '../../wire/api.ts';
import type { LiveSessionList, SessionAnswer, TargetList } from '../../wire/api.ts';
import type { RelayConfig } from '../config/config.ts';
import type { TargetConfig } from '../config/targets.ts';
import { RelayError, StepUpRequired } from '../error.ts';
import { principalView } from '../principal-view.ts';
import type { SessionRegistry } from '../sessions/registry.ts';
import type { Sessions, StoredSession } from '../state/sessions.ts';

export interface SessionRoutesOptions {
  readonly config: Pick<RelayConfig, 'publicUrl' | 'targets' | 'sessions'>;
  readonly policies: () => Policies;
  readonly registry: Pick<SessionRegistry, 'open' | 'find'>;
  readonly state: Pick<Sessions, 'live' | 'find' | 'requestKill'>;
  readonly replay: ReplayCache;
  readonly clock: Clock;
  readonly append: (entry: NewEntry) => Promise<unknown>;
  readonly authenticate: (request: FastifyRequest) => Promise<Authenticated>;
}

export function sessionRoutes(app: FastifyInstance, options: SessionRoutesOptions): void {
  const { authenticate, registry } = options;
  app.get('/v1/targets', async (request) => listTargets(options, await authenticate(request), request.ip));
  app.get('/v1/sessions', async (request) => listSessions(options, await authenticate(request), request.ip));
  app.post('/v1/sessions', async (request): Promise<SessionAnswer> => {
    const caller = await authenticate(request);
    const { claims, request: signed } = await readSigned(options, caller, request.body, SessionOpenClaims);
    const opened = await registry.open({ caller, claims, request: signed, sourceAddress: request.ip });
    const { session, target, server, ssh, remainingMs } = opened;
    return {
      session: session.facts.id,
      target: target.name,
      protocol: target.protocol,
      server,
      database: databaseOf(target),
      ssh,
      deadline: new Date(session.facts.deadlineMs).toISOString(),
      remainingMs: Math.max(1, remainingMs),
    };
  });
  app.delete<{ Params: { id: string } }>('/v1/sessions/:id', async (request, reply) => {
    const caller = await authenticate(request);
    const session = registry.find(sessionId(request.params.id));
    if (session === null || !owns(caller.principal, session.facts.authorization.principal))
      throw unknownSession();
    // Not waited for: sealing may take a while, and the caller is done.
    void session.end('ended').catch(() => undefined);
    return reply.code(204).send();
  });
  app.post<{ Params: { id: string } }>('/v1/sessions/:id/kill', async (request, reply) => {
    const caller = await authenticate(request);
    await kill(options, caller, sessionId(request.params.id), request);
    return reply.code(204).send();
  });
}

function listTargets(options: SessionRoutesOptions, caller: Authenticated, sourceAddress: string) {
  const { config, clock, policies } = options;
  const circumstances = {
    timeMs: clock.wallMs(),
    sourceAddress,
    authentication: caller.authentication,
    reason: null,
    task: null,
    durationSeconds: Math.ceil(config.sessions.defaultDurationMs / 1000),
  };
  // Whoever need only sign in again is shown what for.
  const shown = (target: TargetConfig): boolean => {
    const asked = Authorization.connect(policies(), caller.principal, target, circumstances);
    return !asked.denied || asked.stepUp !== null;
  };
  const targets = [...config.targets.values()].filter(shown).map((target) => ({
    name: target.name,
    protocol: target.protocol,
    description: target.description,
    database: databaseOf(target),
    allowed: true,
  }));
  return { targets } satisfies z.infer<typeof TargetList>;
}

async function listSessions(options: SessionRoutesOptions, caller: Authenticated, sourceAddress: string) {
  const sessions = (await options.state.live())
    .filter(
      (session) =>
        owns(caller.principal, session.principal) ||
        decideKill(options, caller, session, sourceAddress).allows('kill', caller.principal, session.id),
    )
    .map(({ id, target, principal, openedAtMs, deadlineMs, reason, task }) => ({
      session: id,
      target,
      reason,
      task,
      principal: principalView(principal),
      openedAt: new Date(openedAtMs).toISOString(),
      deadline: new Date(deadlineMs).toISOString(),
    }));
  return { sessions } satisfies z.infer<typeof LiveSessionList>;
}

/** Ends any session, here or in another process. The end does not wait for the record: access goes first. */
async function kill(
  options: SessionRoutesOptions,
  caller: Authenticated,
  id: SessionId,
  http: FastifyRequest,
): Promise<void> {
  const { claims, request } = await readSigned(options, caller, http.body, SessionKillClaims);
  if (claims.session !== id)
    throw new RelayError('request-invalid', 'The signed request names another session.');
  const session = await options.state.find(id);
  if (session === null || session.closedAtMs !== null) throw unknownSession();
  const decision = decideKill(options, caller, session, http.ip);
  if (decision.stepUp !== null) throw new StepUpRequired(`To end session ${id}`, decision.stepUp);
  if (!decision.allows('kill', caller.principal, id))
    throw new RelayError('kill-denied', `You may not end session ${id}.`);
  const told = options.append({
    kind: 'session.killed',
    actor: actorOf(caller.principal),
    session: id,
    login: caller.login,
    reason: claims.reason ?? null,
    request,
  });
  void options.registry
    .find(id)
    ?.end('killed')
    .catch(() => undefined);
  await Promise.all([options.state.requestKill(id, request, caller.login), told]);
}

/** A session whose target is no longer configured is judged as one of a target without groups. */
function decideKill(
  { config, policies, clock }: SessionRoutesOptions,
  caller: Authenticated,
  session: StoredSession,
  sourceAddress: string,
): Decision {
  const target: Pick<TargetConfig, 'name' | 'groups'> & { protocol: string } = config.targets.get(
    session.target,
  ) ?? {
    name: session.target,
    protocol: 'postgres',
    groups: [],
  };
  const resource = { session: session.id, target, owner: session.principal };
  const { authentication } = caller;
  const circumstances = { timeMs: clock.wallMs(), sourceAddress, authentication };
  return policies().kill(caller.principal, resource, circumstances);
}

async function readSigned<Claims extends SessionOpenClaims | SessionKillClaims>(
  { replay, clock, config }: SessionRoutesOptions,
  { publicJwk, jkt }: Authenticated,
  body: unknown,
  schema: z.ZodType<Claims>,
): Promise<{ claims: Claims; request: string }> {
  const parsed = SignedRequest.safeParse(body);
  if (!parsed.success) throw new RelayError('request-invalid', 'The body is not a signed request.');
  const { request } = parsed.data;
  const verification = { schema, publicJwk, jkt, relay: config.publicUrl, clock, replay };
  return { claims: await verifySignedRequest(request, verification), request };
}

function sessionId(text: string): SessionId {
  if (!isSessionId(text)) throw unknownSession();
  return text;
}

const databaseOf = (target: TargetConfig): string | null =>
  target.protocol === 'postgres' ? target.database : null;

const unknownSession = (): RelayError =>
  new RelayError('session-unknown', 'There is no live session of this id.', {
    hint: 'list them: hoop sessions list',
  });
