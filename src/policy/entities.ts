/** hoop's nouns as Cedar entities. Groups and target groups need no entity of their own: a parent's id is enough. */
import type { CedarValueJson, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Identity, Party, Principal } from '../model/principal.ts';
import type { SessionId, TargetName } from '../model/ids.ts';
import { relayId } from './schema.ts';

/** What policy may know of a target; from configuration. */
export interface TargetResource {
  readonly name: TargetName;
  readonly protocol: string;
  /** Names of target groups. */
  readonly groups: readonly string[];
}

/** What policy may know of a session. */
export interface SessionResource {
  readonly session: SessionId;
  readonly target: TargetResource;
  readonly owner: Party;
}

const principalTypes = { person: 'Person', service: 'Service', agent: 'Agent' } as const;

/**
 * @throws TypeError when the issuer could make two principals look alike (a `#` in it); the caller turns it into deny
 */
export function principalEntity(principal: Principal): EntityJson {
  const { kind, actsFor, groups } = principal;
  const uid = { type: principalTypes[kind], id: idOf(principal) };
  const attrs: Record<string, CedarValueJson> = { issuer: principal.issuer, subject: principal.subject };
  if (principal.email !== null) attrs['email'] = principal.email;
  if (kind === 'agent' && actsFor !== null)
    attrs['actsFor'] = { __entity: { type: principalTypes.person, id: idOf(actsFor) } };
  return { uid, attrs, parents: groups.map((id) => ({ type: 'Group', id })) };
}

/** The principal, and the person for whom it acts: both have groups that policies may ask about. */
export function principalEntities(principal: Principal): readonly [EntityJson, ...EntityJson[]] {
  const own = principalEntity(principal);
  const { actsFor } = principal;
  if (actsFor === null) return [own];
  return [own, principalEntity({ ...actsFor, kind: 'person', actsFor: null })];
}

function idOf({ issuer, subject }: Identity): string {
  if (issuer === '' || issuer.includes('#') || subject === '')
    throw new TypeError('an issuer has no fragment, and issuer and subject are not empty');
  return `${issuer}#${subject}`;
}

/** A target as entity, in its target groups. */
export function targetEntity(target: TargetResource): EntityJson {
  return {
    uid: { type: 'Target', id: target.name },
    attrs: { name: target.name, protocol: target.protocol },
    parents: target.groups.map((id) => ({ type: 'TargetGroup', id })),
  };
}

/** A session as entity, in its target. */
export function sessionEntity(session: SessionResource): EntityJson {
  return {
    uid: { type: 'Session', id: session.session },
    attrs: { ownerIssuer: session.owner.issuer, ownerSubject: session.owner.subject },
    parents: [{ type: 'Target', id: session.target.name }],
  };
}

/** The relay itself. */
export const relayEntity: EntityJson = { uid: { type: 'Relay', id: relayId }, attrs: {}, parents: [] };

/** Cedar's own form of an entity's name, for messages: `Target::"db-prod"`. */
export const entityName = (uid: TypeAndId): string => `${uid.type}::${JSON.stringify(uid.id)}`;
