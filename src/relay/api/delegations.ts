/**
 * `POST /v1/delegations`: a person lets an agent act for them for a while. The person's key signs it, policy permits it
 * (`delegate`), it is on record before the agent's token is handed out, and the token is kept by its digest alone.
 */
import { hash, randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { actorOf, type NewEntry } from '../../evidence/entry.ts';
import type { Authenticated } from '../../identity/authenticator.ts';
import type { ReplayCache } from '../../identity/replay.ts';
import { isUsable } from '../../identity/service-account.ts';
import { verifySignedRequest } from '../../identity/signed-request.ts';
import type { Principal } from '../../model/principal.ts';
import type { Policies } from '../../policy/policies.ts';
import type { Clock } from '../../system/clock.ts';
import { ulid } from '../../system/ulid.ts';
import {
  AgentDelegateClaims,
  delegationPrefix,
  SignedRequest,
  type DelegationAnswer,
} from '../../wire/api.ts';
import type { RelayConfig } from '../config/config.ts';
import { RelayError, StepUpRequired } from '../error.ts';
import { decideDelegate } from '../machines/delegations.ts';
import { principalView } from '../principal-view.ts';
import type { Delegations } from '../state/delegations.ts';
import type { ServiceAccounts } from '../state/service-accounts.ts';

export interface DelegationRoutesOptions {
  readonly config: Pick<RelayConfig, 'publicUrl'>;
  readonly policies: () => Policies;
  readonly state: { readonly delegations: Delegations; readonly serviceAccounts: ServiceAccounts };
  readonly replay: ReplayCache;
  readonly clock: Clock;
  readonly append: (entry: NewEntry) => Promise<unknown>;
  readonly authenticate: (request: FastifyRequest) => Promise<Authenticated>;
}

export function delegationRoutes(app: FastifyInstance, options: DelegationRoutesOptions): void {
  app.post('/v1/delegations', async (request, reply): Promise<DelegationAnswer> => {
    const caller = await options.authenticate(request);
    reply.header('cache-control', 'no-store');
    return delegate(options, caller, request);
  });
}

async function delegate(
  options: DelegationRoutesOptions,
  { principal, authentication, login, publicJwk, jkt }: Authenticated,
  http: FastifyRequest,
): Promise<DelegationAnswer> {
  const { config, state, replay, clock, append } = options;
  const body = SignedRequest.safeParse(http.body);
  if (!body.success) throw new RelayError('request-invalid', 'The body is not a signed request.');
  const { request } = body.data;
  const relay = config.publicUrl;
  const verification = { schema: AgentDelegateClaims, publicJwk, jkt, relay, clock, replay };
  const claims = await verifySignedRequest(request, verification);
  const { durationSeconds } = claims;
  const agent = await agentNamed(options, claims.agent);
  const circumstances = { sourceAddress: http.ip, durationSeconds, authentication };
  const asked = agent && decideDelegate(options, { person: principal, agent, circumstances });
  const policies = asked?.policies ?? null;
  if (asked?.stepUp != null) throw new StepUpRequired(`To let ${claims.agent} act for you`, asked.stepUp);
  if (agent === null || policies === null)
    throw new RelayError('delegation-denied', `You may not let ${claims.agent} act for you.`, {
      hint: 'there is no such agent, or no policy permits you to delegate to it',
    });
  const expiresAtMs = clock.wallMs() + durationSeconds * 1000;
  const scope = { targets: claims.targets ?? null, task: claims.task ?? null };
  await append({
    kind: 'agent.delegated',
    actor: actorOf(principal),
    login,
    agent: { issuer: agent.issuer, subject: agent.subject },
    ...scope,
    reason: claims.reason ?? null,
    expires: new Date(expiresAtMs).toISOString(),
    policies: [...policies],
    request,
  });
  const token = `${delegationPrefix}${randomBytes(32).toString('base64url')}`;
  const id = ulid(clock.wallMs());
  const delegation = { id, login, account: agent.subject, scope, request, expiresAtMs };
  await state.delegations.add(hash('sha256', token, 'hex'), delegation);
  return { token, agent: principalView(agent), expiresAt: new Date(expiresAtMs).toISOString() };
}

/** As policy sees it, which is asked before anything is handed out; null when there is none that may sign in. */
async function agentNamed(
  { state, config, clock }: DelegationRoutesOptions,
  name: string,
): Promise<Principal | null> {
  const account = await state.serviceAccounts.byName(name);
  if (account === null || !isUsable(account, clock.wallMs())) return null;
  const { kind, id: subject, groups } = account;
  return { kind, issuer: config.publicUrl, subject, email: null, groups, actsFor: null };
}
