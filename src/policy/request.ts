/** A question to the policies, as hoop asks it and as Cedar takes it. */
import type { CedarValueJson, EntityJson, StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs';
import type { Authentication } from '../model/authentication.ts';
import type { CommandFacts } from '../model/command-facts.ts';
import { owns, type Principal } from '../model/principal.ts';
import { principalEntities, principalEntity, relayEntity, sessionEntity, targetEntity } from './entities.ts';
import type { SessionResource, TargetResource } from './entities.ts';

/** Where and when somebody asks. */
export interface Circumstances {
  /** Wall clock, milliseconds since the epoch. */
  readonly timeMs: number;
  /** The requester's IP address as the relay sees it; IPv4 in IPv6 form is taken as IPv4. */
  readonly sourceAddress: string;
  /** Of the principal's login, as it is now. */
  readonly authentication: Authentication;
}

/** What a request for a session adds. */
export interface ConnectCircumstances extends Circumstances {
  /** The duration that will be granted if allowed. */
  readonly durationSeconds: number;
  readonly reason: string | null;
  readonly task: string | null;
}

/** What a command adds. `reason` and `task` are those of its session. */
export interface ExecuteCircumstances extends Circumstances {
  readonly facts: CommandFacts;
  readonly reason: string | null;
  readonly task: string | null;
}

/** What letting an agent act adds. */
export interface DelegateCircumstances extends Circumstances {
  /** For how long. */
  readonly durationSeconds: number;
}

/** One question. `session: null` asks for the record of everything. */
export type PolicyRequest = { readonly principal: Principal } & (
  | {
      readonly action: 'connect';
      readonly target: TargetResource;
      readonly circumstances: ConnectCircumstances;
    }
  | {
      readonly action: 'execute' | 'forward';
      readonly target: TargetResource;
      readonly circumstances: ExecuteCircumstances;
    }
  | {
      readonly action: 'kill' | 'unseal' | 'reseal' | 'review';
      readonly session: SessionResource;
      readonly circumstances: Circumstances;
    }
  | {
      readonly action: 'readEvidence';
      readonly session: SessionResource | null;
      readonly circumstances: Circumstances;
    }
  | { readonly action: 'administer'; readonly circumstances: Circumstances }
  | {
      readonly action: 'delegate';
      /** As it is without a person. */
      readonly agent: Principal;
      readonly circumstances: DelegateCircumstances;
    }
);

/** Cedar's call but for the policies, and the id of the resource. */
export interface CedarRequest {
  readonly call: Pick<
    StatefulAuthorizationCall,
    'principal' | 'action' | 'resource' | 'context' | 'entities'
  >;
  /** Id of the resource. */
  readonly id: string;
}

/** @throws TypeError, RangeError for values that cannot be asked about; the caller denies */
export function cedarRequest(request: PolicyRequest): CedarRequest {
  const [principal, ...people] = principalEntities(request.principal);
  const { resource, others } = resourceOf(request);
  return {
    call: {
      principal: principal.uid,
      action: { type: 'Action', id: request.action },
      resource: resource.uid,
      context: contextOf(request),
      entities: [principal, ...people, resource, ...others],
    },
    id: '__entity' in resource.uid ? resource.uid.__entity.id : resource.uid.id,
  };
}

/** Everything about a request that a decision may depend on, except the time. */
export function shapeOf(request: PolicyRequest): string {
  const { kind, issuer, subject, email, groups, actsFor } = request.principal;
  return JSON.stringify([
    request.action,
    kind,
    issuer,
    subject,
    email,
    groups,
    actsFor,
    'agent' in request ? request.agent : null,
    'target' in request ? request.target : null,
    'session' in request ? request.session : null,
    { ...request.circumstances, timeMs: 0 },
  ]);
}

function resourceOf(request: PolicyRequest): { resource: EntityJson; others: EntityJson[] } {
  if ('agent' in request) return { resource: principalEntity(request.agent), others: [] };
  if ('target' in request) return { resource: targetEntity(request.target), others: [] };
  if ('session' in request && request.session !== null)
    return { resource: sessionEntity(request.session), others: [targetEntity(request.session.target)] };
  return { resource: relayEntity, others: [] };
}

function contextOf(request: PolicyRequest): Record<string, CedarValueJson> {
  const { timeMs, sourceAddress, authentication } = request.circumstances;
  const context: Record<string, CedarValueJson> = {
    time: { __extn: { fn: 'datetime', arg: new Date(timeMs).toISOString() } },
    sourceAddress: { __extn: { fn: 'ip', arg: plainAddress(sourceAddress) } },
    amr: [...authentication.amr],
  };
  if (authentication.timeMs !== null) context['authAgeSeconds'] = ageSeconds(authentication.timeMs, timeMs);
  if (authentication.acr !== null) context['acr'] = authentication.acr;
  if (request.action === 'administer') return context;
  if (request.action === 'delegate')
    return { ...context, durationSeconds: request.circumstances.durationSeconds };
  if ('session' in request) return { ...context, own: isOwner(request.principal, request.session) };
  if (request.circumstances.task !== null) context['task'] = request.circumstances.task;
  if (request.circumstances.reason !== null) context['reason'] = request.circumstances.reason;
  if (request.action === 'connect') {
    context['durationSeconds'] = request.circumstances.durationSeconds;
    return context;
  }
  const { effects, relations, functions, programs, paths, destinations } = request.circumstances.facts;
  return {
    ...context,
    effects: [...effects],
    relations: [...relations],
    functions: [...functions],
    programs: [...programs],
    paths: [...(paths ?? [])],
    // Where a program of the server leads nobody reads, and no policy shall take that for nowhere.
    destinations: [...(destinations ?? (request.action === 'forward' ? ['unknown'] : []))],
    unbounded: effects.includes('unbounded'),
  };
}

/** Whole seconds; a provider's clock may be a little ahead of ours. */
const ageSeconds = (authTimeMs: number, nowMs: number): number =>
  Math.max(0, Math.floor((nowMs - authTimeMs) / 1000));

function isOwner(principal: Principal, session: SessionResource | null): boolean {
  return session !== null && owns(principal, session.owner);
}

/** `::ffff:192.0.2.1` is how a dual-stack socket shows IPv4; `%eth0` is a zone, no part of the address. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, '');
}
