/**
 * Events as OCSF 1.6.0 (https://schema.ocsf.io/1.6.0). Which class a kind becomes is in `ocsf-classes.ts`; what OCSF has no
 * attribute for stands under `unmapped`, by the names of an event, so that nothing is lost.
 */
import { version } from '../../system/version.ts';
import type { EvidenceEvent } from '../read/event.ts';
import type { Who } from '../read/sessions.ts';
import { eventId } from './event-id.ts';
import { gravities, gravityOf, type Gravity } from './gravity.ts';
import { classOf } from './ocsf-classes.ts';

export const ocsfVersion = '1.6.0';

const product = { name: 'hoop', vendor_name: 'hoop', version };
/** Where commands reach a target from: nobody gets there but through the relay. */
const relay = { svc_name: 'hoop relay' };

const userTypes = { person: { type_id: 1, type: 'User' }, service: { type_id: 4, type: 'Service' }, agent: { type_id: 99, type: 'Agent' } }; // prettier-ignore

/**
 * One object of class `class_uid`, without a newline. What is undefined is left out of JSON; that every object has all members, in the
 * same order, makes it quick.
 */
export function ocsfEvent(event: EvidenceEvent): string {
  const { class: of, activity } = classOf(event);
  const attributes = of.attributes(event, common);
  const isCommand = event.kind === 'command';
  const timeMs = Date.parse(event.time);
  const gravity = gravityOf(event);
  const status = statusOf(event);
  const control = controlOf(event);
  return JSON.stringify({
    class_uid: of.uid,
    class_name: of.name,
    category_uid: Math.floor(of.uid / 1000),
    category_name: of.category,
    activity_id: activity.id,
    activity_name: activity.name,
    type_uid: of.uid * 100 + activity.id,
    type_name: `${of.name}: ${activity.name}`,
    time: timeMs,
    severity_id: gravities.indexOf(gravity) + 1,
    severity: severities[gravity],
    message: messageOf(event),
    start_time: isCommand ? timeMs : undefined,
    end_time: isCommand && event.endedAt !== null ? Date.parse(event.endedAt) : undefined,
    duration: isCommand && event.durationMs !== null ? Math.round(event.durationMs) : undefined,
    status_id: status.id,
    status: status.name,
    status_code: event.errorCode ?? undefined,
    status_detail: event.reason ?? event.tag ?? event.outcome ?? undefined,
    action_id: control?.action_id,
    action: control?.action,
    disposition_id: control?.disposition_id,
    disposition: control?.disposition,
    metadata: {
      version: ocsfVersion,
      product,
      profiles: control === null ? of.profiles : ['security_control', ...of.profiles],
      uid: eventId(event),
      event_code: event.kind,
      log_name: 'hoop',
      original_time: event.time,
      correlation_uid: event.task ?? undefined,
    },
    ...attributes,
    unmapped: unmappedOf(event, !('actor' in attributes || 'user' in attributes)),
  });
}

const severities: Readonly<Record<Gravity, string>> = {
  informational: 'Informational',
  low: 'Low',
  medium: 'Medium',
  high: 'High',
  critical: 'Critical',
};

function messageOf({ kind, outcome, target }: EvidenceEvent): string {
  const what = outcome === null ? kind : `${kind} ${outcome}`;
  return target === null ? what : `${what} at ${target}`;
}

const failures: ReadonlySet<string> = new Set([
  'failed',
  'blocked',
  'cancelled',
  'rejected',
  'evidence-failed',
]);
const failedKinds: ReadonlySet<string> = new Set(['command.blocked', 'review.refused', 'gap', 'unreadable']);

function statusOf({ kind, outcome }: EvidenceEvent): { readonly id: number; readonly name: string } {
  if (kind === 'command.held' || outcome === 'unfinished') return { id: 99, name: outcome ?? 'held' };
  const failed = failedKinds.has(kind) || (outcome !== null && failures.has(outcome));
  return failed ? { id: 2, name: 'Failure' } : { id: 1, name: 'Success' };
}

const denied = { action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked' };
const held = { action_id: 99, action: 'held', disposition_id: 14, disposition: 'Delayed' };
const allowed = { action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed' };
const approved = { action_id: 1, action: 'Allowed', disposition_id: 8, disposition: 'Approved' };

/** What the relay did about a command; null: the event is about none. */
function controlOf({ kind, outcome, review }: EvidenceEvent) {
  if (kind === 'command.blocked' || (kind === 'command' && outcome === 'blocked')) return denied;
  if (kind === 'command.held') return held;
  if (kind !== 'command') return null;
  return review === null ? allowed : approved;
}

/** Everything that was given and has no place of its own; texts also in full, since a class may not take one. */
const unmappedOf = (event: EvidenceEvent, withPrincipal: boolean) => ({
  logIndex: event.logIndex ?? undefined,
  session: event.session ?? undefined,
  target: event.target ?? undefined,
  task: event.task ?? undefined,
  reason: event.reason ?? undefined,
  connection: event.connection ?? undefined,
  command: event.command ?? undefined,
  textBytes: event.textBytes ?? undefined,
  parameters: event.parameters ?? undefined,
  tag: event.tag ?? undefined,
  rows: event.rows ?? undefined,
  effects: event.effects ?? undefined,
  relations: event.relations ?? undefined,
  functions: event.functions ?? undefined,
  review: event.review ?? undefined,
  redactions: event.redactions ?? undefined,
  details: event.details ?? undefined,
  programs: event.programs ?? undefined,
  paths: event.paths ?? undefined,
  destinations: event.destinations ?? undefined,
  parent: event.parent ?? undefined,
  how: event.how ?? undefined,
  protocol: event.protocol ?? undefined,
  text: event.text ?? undefined,
  actsFor: event.principal?.actsFor ?? undefined,
  principal: withPrincipal ? event.principal : undefined,
});

/** Objects that classes share. */
export const common = {
  relay,
  product,
  user: ({ kind, issuer, subject, email, groups }: Who) => ({
    ...userTypes[kind],
    uid: subject,
    name: email ?? subject,
    domain: issuer,
    ...(email !== null && { email_addr: email }),
    groups: groups.map((name) => ({ name })),
  }),
  /** The relay itself is an application. */
  actor: ({ principal, session }: EvidenceEvent) => ({
    ...(principal === null ? { app_name: 'hoop' } : { user: common.user(principal) }),
    ...(session !== null && { session: { uid: session, is_remote: true } }),
  }),
  target: ({ target }: EvidenceEvent): string => target ?? 'unknown',
};
export type Common = typeof common;
